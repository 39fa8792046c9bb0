"""Work without a waiting caller; one piece of work for many; bounded memory."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from difyd.background import Background
from difyd.catalog.joined import Joined
from difyd.catalog.lru import Lru


class Spawning(SynchronousTestCase):
    def setUp(self) -> None:
        self.background, self.gate = Background(), Deferred()
        self.ended: list[str] = []

    async def work(self) -> str:
        try:
            await self.gate
        except CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return "result"

    async def quietly(self) -> None:
        await self.work()

    def test_idle(self) -> None:
        """Idle is told when the last of it is done."""
        self.background.spawn("work", self.quietly())
        idle = self.background.idle()
        self.assertNoResult(idle)
        self.gate.callback(None)
        self.successResultOf(idle)
        self.successResultOf(self.background.idle())

    def test_cancel(self) -> None:
        """Cancelled work is no failure."""
        self.background.spawn("work", self.quietly())
        self.background.cancel()
        self.successResultOf(self.background.idle())
        self.assertEqual(self.ended, ["cancelled"])

    def test_failure_is_logged(self) -> None:
        """What nobody foresaw is in the log."""
        self.background.spawn("work", self.quietly())
        self.gate.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.successResultOf(self.background.idle())

    def test_at_once(self) -> None:
        """Work that need not wait is done when `spawn` returns."""
        self.gate.callback(None)
        self.background.spawn("work", self.quietly())
        self.assertEqual(self.ended, ["done"])
        self.successResultOf(self.background.idle())

    def test_finish(self) -> None:
        """The result comes to whoever waits."""
        answer = self.background.finish("work", self.work())
        self.gate.callback(None)
        self.assertEqual(self.successResultOf(answer), "result")

    def test_finish_without_caller(self) -> None:
        """A caller that goes away does not stop it; idle waits for it."""
        answer = self.background.finish("work", self.work())
        answer.addErrback(lambda _: None).cancel()
        idle = self.background.idle()
        self.assertNoResult(idle)
        self.gate.callback(None)
        self.successResultOf(idle)
        self.assertEqual(self.ended, ["done"])

    def test_failure_without_caller(self) -> None:
        """Then its failure is in the log."""
        self.background.finish("work", self.work()).addErrback(lambda _: None).cancel()
        self.gate.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Joining(SynchronousTestCase):
    def setUp(self) -> None:
        self.joined: Joined[str, str] = Joined()
        self.gate: Deferred[str] = Deferred()
        self.began = 0

    def ask(self) -> Deferred[str]:
        async def work() -> str:
            self.began += 1
            return await self.gate

        return self.joined.ask("key", work)

    def test_shared(self) -> None:
        """One piece of work, an answer for each."""
        answers = [self.ask(), self.ask()]
        self.gate.callback("x")
        self.assertEqual(([self.successResultOf(answer) for answer in answers], self.began), (["x", "x"], 1))
        self.assertFalse(self.joined.running("key"))

    def test_failure(self) -> None:
        """Its failure is everybody's, and may be handled by each in his way."""
        answers = [self.ask(), self.ask()]
        self.gate.errback(ZeroDivisionError())
        for answer in answers:
            self.failureResultOf(answer, ZeroDivisionError)

    def test_all_gone(self) -> None:
        """When all have gone away the work still comes to its end, quietly."""
        self.ask().addErrback(lambda _: None).cancel()
        self.assertTrue(self.joined.running("key"))
        self.gate.callback("x")
        self.assertFalse(self.joined.running("key"))


class Remembering(SynchronousTestCase):
    @given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["put", "get", "drop"]), st.integers(0, 8))))
    def test_bounds(self, steps: list[tuple[str, str, int]]) -> None:
        """Never more entries nor weight than allowed; what is found is what was put last."""
        kept: Lru[str, bytes] = Lru(3, 16, len)
        model: dict[str, bytes] = {}
        for key, what, size in steps:
            if what == "put":
                kept.put(key, b"x" * size)
                model[key] = b"x" * size
            elif what == "drop":
                kept.drop(key)
                model.pop(key, None)
            elif (found := kept.get(key)) is not None:
                self.assertEqual(found, model[key])
            self.assertLessEqual(len(kept), 3)
            self.assertLessEqual(kept._size, 16)
            self.assertEqual(kept._size, sum(map(len, kept._kept.values())))

    def test_least_recently_used_goes(self) -> None:
        """A look at a value keeps it longer."""
        kept: Lru[str, int] = Lru(2)
        kept.put("a", 1)
        kept.put("b", 2)
        kept.get("a")
        kept.put("c", 3)
        self.assertEqual([kept.get(key) for key in "abc"], [1, None, 3])

    def test_giants(self) -> None:
        """A value that would push out nearly everything is not kept."""
        kept: Lru[str, bytes] = Lru(10, 100, len)
        kept.put("small", b"x")
        kept.put("giant", b"x" * 26)
        self.assertEqual((kept.get("small"), kept.get("giant")), (b"x", None))
