"""Decimals in plain notation."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.wire.decimals import decimal, price


class DecimalTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Exact, plain, without needless zeros."""
        cases = {
            "2.50": "2.5",
            "0.0010": "0.001",
            "1e-6": "0.000001",
            "1E+3": "1000",
            "010": "10",
            ".5": "0.5",
            "5.": "5",
            "+3": "3",
            "-0.0": "0",
        }
        self.assertEqual({text: decimal(text) for text in cases}, cases)
        self.assertEqual(decimal("0.12345678901234567890123456789012345"), "0.12345678901234567890123456789012345")

    def test_no_decimals(self) -> None:
        """No separators, bases, words or blanks; and no exponent that would fill the memory."""
        for text in ("", "abc", "1,5", " 1", "1_000", "0x10", "true", ".inf", ".", "1e", "1e999999999", "1e-5000"):
            self.assertRaises(ValueError, decimal, text)

    @settings(deadline=None)
    @given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=12))
    def test_same_value(self, value: Decimal) -> None:
        """The text means the same number and can be read again."""
        self.assertEqual(Decimal(decimal(str(value))), value)
        self.assertEqual(decimal(decimal(str(value))), decimal(str(value)))

    def test_prices(self) -> None:
        """A price is a number, a text, or null, which is nothing."""
        self.assertEqual([price(written) for written in (b"0.10", b'"0.10"', b"1e2", b"null")], [b'"0.1"', b'"0.1"', b'"100"', b'"0"'])
        for written in (b"true", b'"cheap"', b"[]"):
            self.assertRaises(ValueError, price, written)
