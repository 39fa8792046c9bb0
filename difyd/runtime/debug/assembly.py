"""The parts of the debugging port, put together."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair
from twisted.python.threadpool import ThreadPool

from difyd.runtime.debug.inquiries import UNREAD, Desk
from difyd.runtime.debug.interfaces import IAnnouncements, IDebugHost, IDebugKeys, LocalPlugins
from difyd.runtime.debug.plugins import DebugPlugins, Limits
from difyd.runtime.debug.server import DebugServer
from difyd.runtime.debug.submission import Declarations
from difyd.runtime.debug.visitors import Visitors
from difyd.store.threads import Threads
from difyd.telemetry.metrics import Metrics

THREADS: Final = 2
"""That look at declarations. More would only keep the interpreter from the reactor."""
BACKLOG: Final = 1024
_CERTIFICATES: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@frozen
class DebugSettings:
    """What the operator, and we, say about the port."""

    limits: Limits
    grace: float = 0.5
    """Seconds for which a plugin that has gone is expected back; consoles want to see within one that it is gone."""
    visitors: int = 2048
    """Connections that have not registered."""
    memory: int = 256 * 1024 * 1024
    """Bytes that they may have handed in, all together."""
    unread: int = UNREAD
    """Bytes that may wait for one plugin which does not read."""


@frozen
class Tls:
    """PEM files. The SDK speaks plain TCP: this is for what stands between it and us, and for plugins of other makes."""

    certificate: Path
    key: Path


@frozen(eq=False)
class Neighbours:
    """What the port needs of others."""

    keys: IDebugKeys
    host: IDebugHost
    local: LocalPlugins
    announcements: IAnnouncements
    metrics: Metrics
    declarations: Callable[[], Declarations]
    """Makes an empty declaration: `difyd.package.registration.Registration`."""


def assemble_debugging(reactor: Any, endpoint: IStreamServerEndpoint, neighbours: Neighbours, settings: DebugSettings) -> DebugServer:
    """The port, not opened."""
    threads = Threads(reactor, ThreadPool(0, THREADS, "debugging"))
    plugins = DebugPlugins(
        reactor,
        threads,
        neighbours.host,
        neighbours.local,
        neighbours.announcements,
        neighbours.metrics,
        settings.limits,
        settings.grace,
    )
    visitors = Visitors(settings.visitors, settings.memory)
    return DebugServer(reactor, endpoint, Desk(neighbours.keys, plugins, visitors, threads, neighbours.declarations, settings.unread))


def debugging_port(reactor: Any, host: str, number: int, tls: Tls | None = None) -> IStreamServerEndpoint:
    """Where the port is to be. With `tls` the files are read here; that they are in order is for the settings to say (`settings.checks`)."""
    if tls is not None:
        return SSL4ServerEndpoint(reactor, number, _certificate(tls), backlog=BACKLOG, interface=host)
    kind: type[TCP4ServerEndpoint] | type[TCP6ServerEndpoint] = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    return kind(reactor, number, BACKLOG, host)


def _certificate(tls: Tls) -> CertificateOptions:
    leaf, *chain = (Certificate.loadPEM(pem).original for pem in _CERTIFICATES.findall(tls.certificate.read_bytes()))
    key = KeyPair.load(tls.key.read_bytes(), FILETYPE_PEM).original
    return CertificateOptions(privateKey=key, certificate=leaf, extraCertChain=chain)
