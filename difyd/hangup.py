"""Has the peer of a connection gone, or spoken, though nobody here was told yet?"""

import errno
import socket
from typing import Any


def hung_up(transport: Any) -> bool:
    """
    Asks the system, without taking anything out of the connection.

    Between the arrival of a peer's last packet and the turn in which the reactor tells of it, a connection looks alive; what is written to it
    then is lost. False where it cannot be known: TLS hides what has come, and a transport in memory has no socket.
    """
    return _waiting(transport) == b""


def at_rest(transport: Any) -> bool:
    """
    Has the peer neither gone nor said anything? For connections on which nothing is to come, as between two requests.

    Looks below TLS, whose farewell is bytes. True where it cannot be known.
    """
    return _waiting(getattr(transport, "transport", transport)) is None


def _waiting(transport: Any) -> bytes | None:
    """The first byte that waits to be read; nothing when there is none to come any more, None when there is none yet, or no socket."""
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if not isinstance(handle, socket.socket):
        return None
    try:
        return handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError as why:
        return None if why.errno in (errno.EAGAIN, errno.EWOULDBLOCK) else b""
