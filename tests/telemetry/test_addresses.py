"""Addresses in texts."""

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from difyd.telemetry.addresses import shown


class AddressTests(SynchronousTestCase):
    def test_address(self) -> None:
        """As people write it."""
        addresses = (IPv4Address("TCP", "192.0.2.1", 5003), IPv6Address("TCP", "::1", 5003), UNIXAddress(b"/socket"))
        self.assertEqual([shown(peer) for peer in addresses], ["192.0.2.1:5003", "[::1]:5003", "UNIXAddress('/socket')"])
