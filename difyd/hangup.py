"""Has the peer of a connection gone, though nobody here was told yet?"""

import errno
import socket
from typing import Any


def hung_up(transport: Any) -> bool:
    """
    Asks the system, without taking anything out of the connection.

    Between the arrival of a peer's last packet and the turn in which the reactor tells of it, a connection looks alive; what is written to it
    then is lost. False where it cannot be known: TLS hides what has come, and a transport in memory has no socket.
    """
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if not isinstance(handle, socket.socket):
        return False
    try:
        return handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except OSError as why:
        return why.errno not in (errno.EAGAIN, errno.EWOULDBLOCK)
