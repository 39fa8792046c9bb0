"""The memory of lists is bounded."""

from twisted.trial.unittest import SynchronousTestCase

from difyd.store.database.memory import Kept


class KeptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.memory: Kept[str, bytes] = Kept(len, 200)

    def put(self, *ids: str, size: int = 50) -> None:
        for id in ids:
            self.memory.put(id, b"x" * size)

    def kept(self, *ids: str) -> list[str]:
        return [id for id, value in zip(ids, self.memory.get(ids), strict=True) if value is not None]

    def test_least_recently_used(self) -> None:
        """What was used least recently makes room."""
        self.put(*"abcd")
        self.assertEqual(self.kept("a"), ["a"])
        self.put("e")
        self.assertEqual(self.kept(*"abcde"), ["a", "c", "d", "e"])

    def test_twice(self) -> None:
        """Two that read the same row at the same time count once."""
        self.put(*"aaaaabcd")
        self.assertEqual(self.kept(*"abcd"), ["a", "b", "c", "d"])

    def test_large(self) -> None:
        """What would push out many others is not kept."""
        self.put("a", size=51)
        self.assertEqual(self.kept("a"), [])
