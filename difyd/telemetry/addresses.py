"""How the log and other texts show where somebody is."""

from twisted.internet.address import IPv4Address, IPv6Address


def shown(address: object) -> str:
    """An IAddress as `host:port`, or in its own words when it is of another kind."""
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
    return str(address)
