"""Errors and answers on the wire."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd import errors
from difyd.web.envelope import ON_THE_WIRE, InvalidRequest, TooLarge, answer, failure, success


def opened(envelope: bytes) -> tuple[int, dict[str, Any]]:
    """Code and error object of an envelope, which must have nothing else."""
    outer = json.loads(envelope)
    if set(outer) != {"code", "message"}:
        raise AssertionError(outer)
    return outer["code"], json.loads(outer["message"])


class EnvelopeTests(SynchronousTestCase):
    def test_success(self) -> None:
        """Data is passed on to the digit."""
        self.assertEqual(success(b'[1.0,1e400,"\xc3\xbc"]'), b'{"code":0,"message":"success","data":[1.0,1e400,"\xc3\xbc"]}')

    def test_table(self) -> None:
        """Code, type and status of each error (http-api 3.2, dify-client 5.5)."""
        for why, code, kind, status, text in (
            (errors.BadRequest("no"), -400, "PluginDaemonBadRequestError", 400, "no"),
            (InvalidRequest("no"), -400, "PluginDaemonBadRequestError", 400, "no"),
            (errors.BadPackage("no"), -400, "PluginDaemonBadRequestError", 400, "no"),
            (TooLarge(7), -400, "PluginDaemonBadRequestError", 413, "request body is too large: at most 7 bytes are accepted"),
            (errors.BadIdentifier("x"), -400, "PluginUniqueIdentifierError", 400, "plugin_unique_identifier is not valid: x"),
            (errors.Unauthorized(), -401, "PluginDaemonUnauthorizedError", 401, "unauthorized"),
            (errors.PermissionDenied("no"), -403, "PluginPermissionDeniedError", 200, "no"),
            (errors.NotFound("endpoint not found"), -404, "PluginDaemonNotFoundError", 404, "endpoint not found"),
            (errors.PluginNotFound(), -404, "PluginNotFoundError", 404, "plugin not found"),
            (errors.NoRuntime("it died"), -500, "PluginDaemonInternalServerError", 404, "no available node, plugin runtime not found: it died"),
            (errors.ShuttingDown(), -500, "PluginDaemonInternalServerError", 503, "the plugin daemon is shutting down"),
            (errors.KilledByTimeout(), -500, "PluginDaemonInternalServerError", 500, "killed by timeout"),
            (errors.LaunchFailed("no"), -500, "PluginDaemonInternalServerError", 500, "no"),
        ):
            shown = answer(why)
            self.assertEqual(shown.status, status, why)
            self.assertEqual(opened(shown.body), (code, {"message": text, "error_type": kind, "args": None}))

    def test_every_error_is_shown(self) -> None:
        """Each class of errors that may reach a client has a place in the table, its own or that of a class above it."""
        for kind in vars(errors).values():
            if isinstance(kind, type) and issubclass(kind, errors.DaemonError) and kind not in (errors.DaemonError, errors.MalformedLine):
                self.assertTrue(any(above in ON_THE_WIRE for above in kind.__mro__), kind)

    def test_plugin_error(self) -> None:
        """The error of a plugin is a JSON text within the JSON text (http-api 3.3)."""
        code, outer = opened(failure(errors.PluginInvokeError("ValueError", "no", {"traceback": "t"})))
        self.assertEqual((code, outer["error_type"], outer["args"]), (-500, "PluginInvokeError", None))
        self.assertEqual(json.loads(outer["message"]), {"error_type": "ValueError", "message": "no", "args": {"traceback": "t"}})

    def test_bug(self) -> None:
        """What is no error of ours is logged with its traceback; the client hears nothing of it."""
        try:
            raise KeyError("a password")
        except KeyError as why:
            shown = answer(why)
        self.assertEqual((shown.status, opened(shown.body)[1]["message"]), (500, "internal server error"))
        (logged,) = self.flushLoggedErrors(KeyError)
        self.assertIn("test_bug", logged.getTraceback())

    @given(st.text())
    def test_one_line(self, text: str) -> None:
        """Whatever an error says, its envelope is one line for every way of splitting lines, and valid UTF-8."""
        envelope = failure(errors.BadRequest(text)).decode()
        self.assertEqual(envelope.splitlines(), [envelope])
        self.assertEqual(opened(envelope.encode())[1]["message"], text)

    def test_lone_surrogate(self) -> None:
        """Half a surrogate pair, which no UTF-8 can carry, becomes U+FFFD."""
        self.assertEqual(opened(failure(errors.BadRequest("a\ud800b")))[1]["message"], "a\ufffdb")
