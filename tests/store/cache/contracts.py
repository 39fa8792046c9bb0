"""
What every cache promises: the one in memory and a shared one are held to the same words.

A subclass is a TestCase too; it makes the thing in `make`, and `advance` lets time pass.
"""

from twisted.internet.defer import Deferred


class Waits:
    """For coroutines in a synchronous test."""

    def now(self, coroutine):
        return self.successResultOf(Deferred.fromCoroutine(coroutine))


class CacheContract(Waits):
    """`make(entries, size)` gives an empty ICache with room for as many values and bytes."""

    def test_kept(self) -> None:
        """A value can be read until its time is over, and not after."""
        cache = self.make(10, 1000)
        self.now(cache.set("a", b"1", 5))
        self.advance(4.9)
        self.assertEqual(self.now(cache.get("a")), b"1")
        self.advance(0.2)
        self.assertIsNone(self.now(cache.get("a")))

    def test_unknown(self) -> None:
        """Nothing is not an error."""
        self.assertIsNone(self.now(self.make(10, 1000).get("a")))

    def test_empty_value(self) -> None:
        """An empty value is a value."""
        cache = self.make(10, 1000)
        self.now(cache.set("a", b"", 5))
        self.assertEqual(self.now(cache.get("a")), b"")

    def test_replaced(self) -> None:
        """The later value counts, with its own time."""
        cache = self.make(10, 1000)
        self.now(cache.set("a", b"1", 1))
        self.now(cache.set("a", b"2", 5))
        self.advance(2)
        self.assertEqual(self.now(cache.get("a")), b"2")

    def test_deleted(self) -> None:
        """What was deleted is gone; the number says how many there were, each once, those run out not counted."""
        cache = self.make(10, 1000)
        self.now(cache.set("a", b"1", 5))
        self.now(cache.set("b", b"2", 1))
        self.advance(2)
        self.assertEqual(self.now(cache.delete("a", "a", "b", "c")), 1)
        self.assertIsNone(self.now(cache.get("a")))

    def test_expire(self) -> None:
        """A new time counts from now; for what is not there (any more) there is none."""
        cache = self.make(10, 1000)
        self.now(cache.set("a", b"1", 5))
        self.advance(4)
        self.assertTrue(self.now(cache.expire("a", 5)))
        self.advance(4)
        self.assertEqual(self.now(cache.get("a")), b"1")
        self.advance(2)
        self.assertFalse(self.now(cache.expire("a", 5)))
        self.assertFalse(self.now(cache.expire("b", 5)))


class BoundedCacheContract(CacheContract):
    """For caches that we bound ourselves."""

    def test_full(self) -> None:
        """Beyond its number of values, the one that was used longest ago goes."""
        cache = self.make(2, 1000)
        self.now(cache.set("a", b"1", 5))
        self.now(cache.set("b", b"2", 5))
        self.now(cache.get("a"))
        self.now(cache.set("c", b"3", 5))
        self.assertEqual([self.now(cache.get(key)) for key in "abc"], [b"1", None, b"3"])

    def test_bytes(self) -> None:
        """Beyond its bytes, as many go as must; replaced and deleted ones take no room."""
        cache = self.make(10, 10)
        for _ in range(3):
            self.now(cache.set("a", b"4444", 5))
        self.now(cache.set("b", b"4444", 5))
        self.assertEqual(self.now(cache.get("a")), b"4444")
        self.now(cache.set("c", b"666666", 5))
        self.assertEqual([self.now(cache.get(key)) for key in "abc"], [b"4444", None, b"666666"])
        self.now(cache.delete("a", "c"))
        self.now(cache.set("d", b"0123456789", 5))
        self.assertEqual(self.now(cache.get("d")), b"0123456789")

    def test_too_large(self) -> None:
        """A value that would fill more than everything is not kept, nor is the older one; the others stay."""
        cache = self.make(10, 10)
        self.now(cache.set("a", b"1", 5))
        self.now(cache.set("b", b"1", 5))
        self.now(cache.set("b", b"x" * 11, 5))
        self.assertEqual([self.now(cache.get(key)) for key in "ab"], [b"1", None])


class LeasesContract(Waits):
    """`make()` gives fresh ILeases."""

    def test_one_holder(self) -> None:
        """While somebody holds it nobody else gets it; another name is free."""
        leases = self.make()
        self.assertTrue(self.now(leases.acquire("a", 10)).held())
        self.assertIsNone(self.now(leases.acquire("a", 10)))
        self.assertIsNotNone(self.now(leases.acquire("b", 10)))

    def test_runs_out(self) -> None:
        """A holder that does not renew loses it, knows so at once, and cannot get it back by renewing."""
        leases = self.make()
        first = self.now(leases.acquire("a", 10))
        self.advance(10.1)
        self.assertFalse(first.held())
        second = self.now(leases.acquire("a", 10))
        self.assertFalse(self.now(first.renew()))
        self.assertFalse(first.held())
        self.assertTrue(second.held())

    def test_lost_for_good(self) -> None:
        """Renewing what has run out fails even if nobody took it meanwhile: in between somebody may have had it and given it back."""
        lease = self.now(self.make().acquire("a", 10))
        self.advance(10.1)
        self.assertFalse(self.now(lease.renew()))

    def test_renewed(self) -> None:
        """Renewing counts from now."""
        leases = self.make()
        lease = self.now(leases.acquire("a", 10))
        for _ in range(3):
            self.advance(6)
            self.assertTrue(self.now(lease.renew()))
        self.assertTrue(lease.held())
        self.assertIsNone(self.now(leases.acquire("a", 10)))

    def test_released(self) -> None:
        """What was given back is free at once; giving back twice is no error and takes nothing from the next holder."""
        leases = self.make()
        first = self.now(leases.acquire("a", 10))
        self.now(first.release())
        self.assertFalse(first.held())
        second = self.now(leases.acquire("a", 10))
        self.now(first.release())
        self.assertTrue(second.held())
        self.assertFalse(self.now(first.renew()))


class MessagesContract(Waits):
    """`make()` gives fresh IMessages."""

    def test_heard(self) -> None:
        """Every subscriber of a channel hears every message, in order; other channels are not disturbed."""
        messages, heard = self.make(), []
        messages.subscribe("a", lambda message: heard.append(("first", message)))
        messages.subscribe("a", lambda message: heard.append(("second", message)))
        messages.subscribe("b", lambda message: heard.append(("other", message)))
        self.now(messages.publish("a", b"1"))
        self.now(messages.publish("a", b"2"))
        self.advance(1)
        self.assertEqual(heard, [("first", b"1"), ("second", b"1"), ("first", b"2"), ("second", b"2")])

    def test_later(self) -> None:
        """Nobody is called while the publisher still works."""
        messages, heard = self.make(), []
        messages.subscribe("a", heard.append)
        self.now(messages.publish("a", b"1"))
        self.assertEqual(heard, [])

    def test_unsubscribed(self) -> None:
        """Who has ended the subscription hears nothing more, also not what is on its way; ending it twice is no error."""
        messages, heard = self.make(), []
        end = messages.subscribe("a", heard.append)
        self.now(messages.publish("a", b"1"))
        end()
        end()
        self.advance(1)
        self.assertEqual(heard, [])

    def test_broken_listener(self) -> None:
        """What a listener raises is logged and does not keep the others from hearing."""
        messages, heard = self.make(), []
        messages.subscribe("a", lambda message: {}["nothing"])
        messages.subscribe("a", heard.append)
        self.now(messages.publish("a", b"1"))
        self.advance(1)
        self.assertEqual(heard, [b"1"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
