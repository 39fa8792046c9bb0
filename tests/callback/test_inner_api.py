"""The inner API is asked over HTTP, and whatever Dify does becomes a result or a sentence."""

import gzip
import json
from typing import Any

from attrs import define, field
from msgspec import Raw
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import RequestGenerationFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from difyd.callback.errors import InnerApiError, NoSuchRoute
from difyd.callback.inner_api import LONGEST_RESULT, QUOTED, Answer, InnerApi, Limits
from tests.callback.fakes import KEY, LIMITS, TRACE, URL, Channel, Rig, begun, frame, silent, single, whole


class InnerApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig()
        self.channel = Channel()
        self.frames: list[bytes] = []

    def ask(self) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self.rig.api.ask("p", b'{"a":1}', TRACE))

    def result(self) -> Deferred[Raw]:
        async def work() -> Raw:
            return await (await self.rig.api.ask("p", b"{}", TRACE)).result()

        return Deferred.fromCoroutine(work())

    def stream(self) -> Deferred[None]:
        async def work() -> None:
            answer = await self.rig.api.ask("p", b"{}", TRACE)
            await answer.frames(self.frames.extend, lambda _: self.channel.room())

        done = Deferred.fromCoroutine(work())
        self.rig.agent.flush()
        return done

    def failed(self, d: Deferred[Any], kind: type[InnerApiError] = InnerApiError) -> str:
        self.rig.agent.flush()
        return str(self.failureResultOf(d, kind).value)

    def test_not_found(self) -> None:
        """A 404 means a wrong key as often as an unknown route: the operator reads which setting to look at, and not its value."""
        told: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            told.append(str(formatEvent(event)))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.assertEqual(self.failed(self.ask()), 'request failed with status code: 404 and respond with: {"code": "not_found"}')
        (line,) = [line for line in told if "404" in line]
        self.assertIn("DIFY_INNER_API_KEY", line)
        self.assertNotIn(KEY, line)

    def test_request(self) -> None:
        """One POST below the base, with key and trace, and a body of known length."""
        rig = self.rig = Rig("http://api:5001//some///where/")
        rig.dify.answers["p"] = single({})
        self.assertEqual(rig.api.base, "http://api:5001/some/where")
        self.successResultOf(self.ask())
        (asked,) = rig.dify.asked
        self.assertEqual((asked.request.method, asked.path, asked.raw), (b"POST", "/some/where/inner/api/p", b'{"a":1}'))
        expected = {"x-inner-api-key": KEY, "content-type": "application/json", "traceparent": TRACE, "content-length": "7", "host": "api:5001"}
        self.assertEqual({name: asked.headers[name] for name in expected}, expected)
        self.assertNotIn("transfer-encoding", asked.headers)

    def test_addresses(self) -> None:
        """Literal addresses, names and paths in any script, and what does not belong into a base."""
        for url, base in (
            ("http://[::1]:5001/ä x", "http://[::1]:5001/%C3%A4%20x"),
            ("http://bücher.example/", "http://xn--bcher-kva.example"),
            ("https://api:5001/a/?key=1#top", "https://api:5001/a"),
        ):
            rig = self.rig = Rig(url)
            rig.dify.answers["p"] = single({})
            self.assertEqual(rig.api.base, base)
            self.successResultOf(self.ask())
            self.assertEqual(rig.dify.asked[0].headers["host"], base.split("/")[2])

    def test_result(self) -> None:
        """The data of an answer; nothing is left behind."""
        self.rig.dify.answers["p"] = single({"a": [1.0]})
        self.assertEqual(bytes(self.successResultOf(self.result())), b'{"a": [1.0]}')
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_compressed(self) -> None:
        """What was offered is understood."""
        rig = self.rig

        def answer(asked: Any) -> bytes:
            self.assertIn("gzip", asked.headers["accept-encoding"])
            asked.request.setHeader("Content-Encoding", "gzip")
            return gzip.compress(b'{"data":{}}')

        rig.dify.answers["p"] = answer
        self.assertEqual(bytes(self.successResultOf(self.result())), b"{}")

    def test_bad_results(self) -> None:
        """An error inside Dify, an answer without data, and one that is none."""
        for body, text in (
            ({"data": None, "error": "boom"}, "request failed: boom"),
            ({"code": "x"}, "data is nil"),
            (b"<html></html>", "the answer cannot be read: "),
            (b"", "the answer cannot be read: "),
        ):
            self.rig.dify.answers["p"] = whole(body)
            self.assertTrue(self.failed(self.result()).startswith(text))

    def test_statuses(self) -> None:
        """Any status but 200 is an error that quotes the body."""
        for status in (201, 204, 302, 400, 401, 404, 429, 500, 502):
            self.rig.dify.answers["p"] = whole(b"" if status == 204 else "ä<b>".encode(), status)
            text = self.failed(self.result(), NoSuchRoute if status == 404 else InnerApiError)
            quoted = "" if status == 204 else "ä<b>"
            self.assertEqual(text, f"request failed with status code: {status} and respond with: {quoted}")
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_long_refusal(self) -> None:
        """Of a long error page the beginning is quoted, and the rest is not waited for."""

        def answer(asked: Any) -> int:
            asked.request.setResponseCode(500)
            asked.request.write(b"x" * 10 * QUOTED)
            return begun(asked)

        self.rig.dify.answers["p"] = answer
        text = self.failed(self.result())
        self.assertTrue(text.endswith("respond with: " + "x" * QUOTED + "…"), text)

    def test_redirect(self) -> None:
        """The key is not carried to where somebody points."""

        def answer(asked: Any) -> bytes:
            asked.request.redirect(b"http://elsewhere/")
            return b"moved"

        self.rig.dify.answers["p"] = answer
        self.assertIn("status code: 302", self.failed(self.result()))
        self.assertEqual(len(self.rig.dify.asked), 1)

    def test_too_big(self) -> None:
        """A result has an end, whatever Dify goes on to send."""
        self.rig.dify.answers["p"] = begun
        done = self.result()
        self.rig.agent.flush()
        self.rig.write(*[bytes(1 << 24)] * (LONGEST_RESULT >> 24), b"x")
        self.assertIn("more than", self.failed(done))

    def test_frames(self) -> None:
        """Frames as they come, and the end of the answer."""
        self.rig.dify.answers["p"] = begun
        done = self.stream()
        text = frame(1) + frame(2)
        self.rig.write(text[:20])
        self.assertEqual(self.frames, [])
        self.rig.write(text[20:])
        self.assertEqual([json.loads(one)["data"] for one in self.frames], [1, 2])
        self.assertNoResult(done)
        self.rig.write(end=True)
        self.successResultOf(done)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_broken_frames(self) -> None:
        """What was whole is delivered before the violation is told."""
        for broken, text in (
            (frame(1)[:-1], "unexpected EOF\nfailed to read data"),
            (b"<html>", "magic number mismatch: 60"),
            (frame(1)[:4] + b"\xff\xff\xff\xff" + frame(1)[8:], "data length is too long: 4294967295"),
        ):
            self.frames.clear()
            self.rig.dify.answers["p"] = whole(frame(1) + broken)
            self.assertEqual(self.failed(self.stream()), text)
            self.assertEqual(len(self.frames), 1)

    def test_cut(self) -> None:
        """A lost connection is no end: between frames, and inside of one."""
        for piece, text in ((b"", ""), (frame(1)[:20], "\nfailed to read data")):
            self.rig.dify.answers["p"] = begun
            done = self.stream()
            self.rig.write(frame(1), piece, cut=True)
            self.assertEqual(self.failed(done), f"the connection to Dify was lost before the end of its answer{text}")

    def test_reader_fails(self) -> None:
        """What the reader of frames raises comes out as it is."""
        self.rig.dify.answers["p"] = begun

        async def work() -> None:
            def take(_: list[bytes]) -> None:
                raise InnerApiError("no frame of mine")

            await (await self.rig.api.ask("p", b"{}", TRACE)).frames(take, lambda _: self.channel.room())

        done = Deferred.fromCoroutine(work())
        self.rig.agent.flush()
        self.rig.write(frame(1) + frame(2)[:20])
        self.assertEqual(self.failed(done), "no frame of mine")

    def test_no_answer(self) -> None:
        """A Dify that does not answer is given up, and its connection closed."""
        self.rig.dify.answers["p"] = silent
        done = self.ask()
        self.rig.agent.flush()
        self.rig.clock.advance(239)
        self.assertNoResult(done)
        self.rig.clock.advance(1)
        self.assertEqual(self.failed(done), "Dify did not answer within 240 s")
        self.rig.agent.flush()
        self.assertTrue(self.rig.dify.asked[0].gone)

    def test_silence(self) -> None:
        """A stream may last as long as it is never silent for too long."""
        self.rig.dify.answers["p"] = begun
        done = self.stream()
        for _ in range(3):
            self.rig.clock.advance(200)
            self.rig.write(frame(1))
        self.rig.clock.advance(240)
        self.assertEqual(self.failed(done), "Dify did not send more of its answer within 240 s")
        self.assertTrue(self.rig.dify.asked[0].gone)

    def test_cancelled(self) -> None:
        """Cancelling closes the connection, before the answer and within it."""
        for answer in (silent, begun):
            self.rig.dify.answers["p"] = answer
            done = self.stream()
            done.cancel()
            self.failureResultOf(done, CancelledError)
            self.rig.agent.flush()
            self.assertTrue(self.rig.dify.asked[-1].gone)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])


@implementer(IAgent)
@define(eq=False)
class Unreachable:
    """What the network may do before there is an answer."""

    why: Exception
    requests: list[Deferred[IResponse]] = field(factory=list)

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Deferred[IResponse]:
        d: Deferred[IResponse] = Deferred()
        d.errback(self.why)
        return d


class NetworkTests(SynchronousTestCase):
    def test_sentences(self) -> None:
        """The author of the plugin reads what happened, without address; the operator finds that in the log."""
        for why, text in (
            (error.DNSLookupError("no results for hostname lookup: api"), "Dify cannot be reached: its host name cannot be resolved"),
            (error.ConnectionRefusedError(), "Dify cannot be reached: connection refused"),
            (error.TimeoutError(), "Dify cannot be reached: no connection within 5 s"),
            (error.TCPTimedOutError(), "Dify cannot be reached: no connection"),
            (error.NoRouteError(), "Dify cannot be reached: no connection"),
            (ResponseNeverReceived([Failure(error.ConnectionLost())]), "the connection to Dify was lost before it answered"),
            (ResponseNeverReceived([Failure(error.ConnectionDone())]), "the connection to Dify was lost before it answered"),
            (
                ResponseNeverReceived([Failure(SSL.Error([("SSL routines", "", "certificate verify failed")]))]),
                "no secure connection to Dify: its certificate or its protocol is not accepted",
            ),
            (ResponseFailed([Failure(ValueError("nonsense"))]), "what Dify answered is no HTTP that can be read"),
            (RequestGenerationFailed([Failure(ValueError("http://api:5001"))]), "Dify cannot be reached: ValueError"),
        ):
            api = InnerApi(Clock(), HTTPClient(Unreachable(why)), URL, KEY, LIMITS)
            caught = self.failureResultOf(Deferred.fromCoroutine(api.ask("p", b"{}", TRACE)), InnerApiError)
            self.assertEqual(str(caught.value), text)

    def test_slow_to_take(self) -> None:
        """A request that Dify does not take in is given up after the time for writing."""
        clock = Clock()

        @implementer(IAgent)
        class Slow:
            def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Deferred[IResponse]:
                class Consumer:
                    def write(self, data: bytes) -> None:
                        bodyProducer.pauseProducing()

                bodyProducer.startProducing(Consumer())
                return Deferred()

        api = InnerApi(clock, HTTPClient(Slow()), URL, KEY, Limits(read=240, write=5, frame=1))
        done = Deferred.fromCoroutine(api.ask("p", bytes(1 << 20), TRACE))
        clock.advance(5)
        self.assertEqual(str(self.failureResultOf(done, InnerApiError).value), "Dify did not take the request within 5 s")
