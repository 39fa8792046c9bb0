"""The key, and what it guards."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.web.auth import Key
from tests.web.cable import KEY, SAY, Cable, Parrot, guarded, parts, post, site_of, status

HEADER = st.binary(max_size=40).filter(lambda value: not set(value) & set(b"\0\r\n"))


class KeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parrot = Parrot()
        self.cable = Cable(site_of(guarded(self.parrot)))

    @given(HEADER)
    def test_other_keys(self, key: bytes) -> None:
        """No other value of the header lets anybody in."""
        expected = 200 if key.strip(b" \t") == KEY else 401
        self.assertEqual(status(self.cable.send(post(SAY, b"x", key=key))), expected)

    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=40), st.booleans())
    def test_other_paths(self, path: str, below: bool) -> None:
        """Without a key no path reaches a handler: what is known is 401, all else 404."""
        path = f"/plugin/t/{path}" if below else f"/{path}"
        self.parrot.seen.clear()
        self.assertIn(status(self.cable.send(post(path, b"x", key=None))), (401, 404))
        self.assertEqual(self.parrot.seen, [])

    def test_answer(self) -> None:
        """The refusal is an envelope without data (http-api 2, dify-client 3.3)."""
        code, headers, body = parts(self.cable.send(post(SAY, b"x", key=None)))
        self.assertEqual((code, headers[b"content-type"]), (401, b"application/json; charset=utf-8"))
        message = rb"{\"message\":\"unauthorized\",\"error_type\":\"PluginDaemonUnauthorizedError\",\"args\":null}"
        self.assertEqual(body, b'{"code":-401,"message":"' + message + b'"}')

    def test_unknown_route_first(self) -> None:
        """A route that there is not is 404 without a key (http-api 1)."""
        code, _, body = parts(self.cable.send(post("/plugin/t/dispatch/nothing", key=None)))
        self.assertEqual((code, body), (404, b'{"code":"not_found","message":"route not found"}'))

    def test_given_twice(self) -> None:
        """Two keys are none, even if one of them is right: whoever put the other there may have been a proxy."""
        self.assertEqual(status(self.cable.send(post(SAY, b"x", "X-Api-Key: other"))), 401)

    def test_no_empty_secret(self) -> None:
        """An empty secret, which every request without a header would match, is refused at the start."""
        self.assertRaises(ValueError, Key, "X-Api-Key", b"")

    def test_secret_is_not_shown(self) -> None:
        """A key that is printed does not print its secret."""
        self.assertNotIn("secret", repr(Key("X-Api-Key", b"secret")))
