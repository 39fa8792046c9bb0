"""What the text of a scalar means."""

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.package.documents.scalars import double, number, resolve, rfc3339, timestamp


class ResolveTests(SynchronousTestCase):
    def check(self, cases: dict[str, Any]) -> None:
        for text, value in cases.items():
            found = resolve(text)[1]
            self.assertEqual((text, repr(found)), (text, repr(value)))

    def test_words(self) -> None:
        """Three spellings of true and false and four of null are words; the rest of YAML 1.1 is text."""
        self.check({"true": True, "True": True, "TRUE": True, "false": False, "~": None, "null": None, "Null": None, "": None})
        self.check({word: word for word in ("tRUE", "yes", "No", "on", "off", "y", "N", "nULL", "none", "=", "<<")})

    def test_integers(self) -> None:
        """Signs, underscores, bases, and octal by a leading zero."""
        self.check(
            {"10": 10, "+5": 5, "-0": 0, "1_000": 1000, "0x1F": 31, "-0x10": -16, "0b101": 5, "0o17": 15, "010": 8, "0777": 511, "00": 0}
        )

    def test_bounds_of_integers(self) -> None:
        """64 bits, the upper half of the unsigned ones without a sign; what is beyond is a float."""
        self.check({"18446744073709551615": 2**64 - 1, "-9223372036854775808": -(2**63), "9223372036854775808": 2**63})
        self.check({"18446744073709551616": 2.0**64, "-9223372036854775809": -(2.0**63), "+18446744073709551615": 2.0**64})

    def test_floats(self) -> None:
        """Fractions and exponents, without a digit before or behind the point; an octal that is none."""
        self.check({"1.5": 1.5, ".5": 0.5, "-.5": -0.5, "1.": 1.0, "1e3": 1000.0, "1E-7": 1e-7, "1_000.5": 1000.5, "08": 8.0, "09.5": 9.5})

    def test_no_numbers(self) -> None:
        """What looks like a number and is none stays text: base 60, infinity by size, broken ones."""
        self.check({text: text for text in ("12:30:45", "1:30", "1e400", "1.2.3", "1e", "0x", "0xG", "--", "+", ".", "1,5", "._5", "0b2")})

    def test_infinity(self) -> None:
        """Infinity and NaN have words of their own."""
        self.check({".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf, ".nan": math.nan})

    def test_times(self) -> None:
        """A date, a date and a time with a zone, or with a space and none; with anything else it is text."""
        self.check({"2024-01-02": "2024-01-02T00:00:00Z", "2024-1-2": "2024-01-02T00:00:00Z", "2024-01-02 3:4:5": "2024-01-02T03:04:05Z"})
        self.check({"2024-01-02t03:04:05Z": "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.120+08:00": "2024-01-02T03:04:05.12+08:00"})
        self.check({text: text for text in ("2024-01-02T03:04:05", "2024-02-30", "2024-13-01", "24-1-2", "2024-01-02T25:00:00Z")})

    @settings(deadline=None)
    @given(st.text(max_size=12))
    def test_anything(self, text: str) -> None:
        """Every text means something."""
        resolve(text)


class NumberTests(SynchronousTestCase):
    def test_integral(self) -> None:
        """A number without a fraction is an integer, with the digits that a double has to say."""
        self.assertEqual([repr(number(value)) for value in (1.0, -0.0, 1e20, 0.5)], ["1", "0", "100000000000000000000", "0.5"])
        self.assertEqual(repr(number(1e21)), "1e+21")
        self.assertEqual(double(2**64 - 1), 18446744073709552000)

    def test_not_served(self) -> None:
        """Infinity and NaN are no JSON."""
        for value in (math.inf, -math.inf, math.nan):
            self.assertRaises(ValueError, number, value)

    @settings(deadline=None)
    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_same_value(self, value: float) -> None:
        """However it is written, it is the same double."""
        self.assertEqual(float(number(value)), value)


class TimeTests(SynchronousTestCase):
    def test_strict(self) -> None:
        """Nine digits of fraction, the offset as it was, zero as Z."""
        cases = {
            "2024-07-12T08:03:44.658609186Z": "2024-07-12T08:03:44.658609186Z",
            "2024-07-12T08:03:44.1200+05:30": "2024-07-12T08:03:44.12+05:30",
            "2024-07-12T08:03:44.000-00:00": "2024-07-12T08:03:44Z",
            "2024-02-29T00:00:00.1234567891Z": "2024-02-29T00:00:00.123456789Z",
        }
        self.assertEqual({text: rfc3339(text) for text in cases}, cases)

    def test_refused(self) -> None:
        """Anything looser is no time."""
        for text in (
            "2024-07-12",
            "2024-07-12 08:03:44",
            "2024-07-12T08:03:44",
            "2024-07-12t08:03:44Z",
            "2024-7-12T08:03:44Z",
            "2023-02-29T00:00:00Z",
        ):
            self.assertRaises(ValueError, rfc3339, text)
        self.assertEqual(rfc3339("2024-07-12T08:03:44", zone="Z"), "2024-07-12T08:03:44Z")

    @settings(deadline=None)
    @given(st.datetimes())
    def test_every_moment(self, moment: Any) -> None:
        """Every moment that there is reads back as itself."""
        text = moment.isoformat() + "Z"
        self.assertEqual(timestamp(text), rfc3339(text))
        self.assertEqual(rfc3339(rfc3339(text)), rfc3339(text))
