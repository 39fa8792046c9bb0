"""Ids and times."""

import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.store.database.ids import Ids
from difyd.store.database.times import NEVER, from_text, rfc3339, to_text

MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC))


class IdTests(SynchronousTestCase):
    def test_form(self) -> None:
        """A UUID of version 7 with the time of its making, in the usual spelling."""
        text = Ids(lambda: 1_772_352_904.125).new()
        made = uuid.UUID(text)
        self.assertEqual((made.version, made.variant, str(made)), (7, uuid.RFC_4122, text))
        self.assertEqual(made.int >> 80, 1_772_352_904_125)

    def test_grows(self) -> None:
        """Ids sort in the order of their making, within a millisecond and when the clock steps back."""
        times = iter([5.0, 5.0, 5.0, 4.0, 0.0, 6.0])
        ids = Ids(lambda: next(times))
        made = [ids.new() for _ in range(6)]
        self.assertEqual(made, sorted(set(made)))

    def test_carries(self) -> None:
        """When the random bits of a millisecond are used up the next id is in the next millisecond, still well formed."""
        ids = Ids(lambda: 0.0)
        ids._last = (1 << 74) - 1
        self.assertEqual(ids.new(), "00000000-0001-7000-8000-000000000000")

    def test_threads(self) -> None:
        """Threads that make ids at the same time get different ones."""
        ids, made = Ids(lambda: 1.0), []
        threads = [threading.Thread(target=lambda: made.extend([ids.new() for _ in range(500)])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(made)), 2000)


class TimeTests(SynchronousTestCase):
    @given(MOMENTS)
    def test_round_trip(self, moment: datetime) -> None:
        """A time comes back as it was kept, in a text of one length."""
        text = to_text(moment)
        self.assertEqual(len(text), 27)
        self.assertEqual(from_text(text), moment)

    @given(MOMENTS, MOMENTS)
    def test_sorts(self, one: datetime, other: datetime) -> None:
        """Texts sort as times do."""
        self.assertEqual(to_text(one) < to_text(other), one < other)

    @given(MOMENTS, st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Asia/Kathmandu"]))
    def test_shown(self, moment: datetime, zone: str) -> None:
        """What is shown is the same point in time, without trailing zeros."""
        text = rfc3339(moment, ZoneInfo(zone))
        self.assertNotRegex(text, r"\.\d*0(Z|[+-])")
        if moment.year > 1970:  # before there were zones with whole minutes
            self.assertEqual(datetime.fromisoformat(text), moment)

    def test_examples(self) -> None:
        """The forms of the wire."""
        moment = datetime(2026, 3, 1, 8, 15, 4, 120000, UTC)
        self.assertEqual(rfc3339(moment, UTC), "2026-03-01T08:15:04.12Z")
        self.assertEqual(rfc3339(moment.replace(microsecond=0), UTC), "2026-03-01T08:15:04Z")
        self.assertEqual(rfc3339(moment, ZoneInfo("Asia/Shanghai")), "2026-03-01T16:15:04.12+08:00")
        self.assertEqual(rfc3339(moment, timezone(-timedelta(hours=3, minutes=30))), "2026-03-01T04:45:04.12-03:30")
        self.assertEqual(rfc3339(None, UTC), NEVER)

    def test_foreign_text(self) -> None:
        """Times that another program wrote are read; without a zone they are UTC."""
        for text in ("2026-03-01T08:15:04Z", "2026-03-01 08:15:04", "2026-03-01T09:15:04+01:00"):
            self.assertEqual(from_text(text), datetime(2026, 3, 1, 8, 15, 4, tzinfo=UTC))
