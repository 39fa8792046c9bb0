"""
What the debugging port and the rest of the daemon are to each other.

The parts of this room know nothing of databases, HTTP or the cluster: they are handed objects that provide the interfaces of this page.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from zope.interface import Attribute, Interface

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.package.assets import Asset
from difyd.runtime.interfaces import IChannel, ISession, IShadow


class IDebugKeys(Interface):
    """The keys that plugins under development present: one per tenant, a UUID, for a while (debug-runtime 2)."""

    async def key_of(tenant: str) -> str:
        """
        The tenant's key, made if there is none. It lives 120 minutes from now on.

        Whoever asks at the same time, on whichever node, gets the same. Raises InternalError when the keys cannot be reached.
        """

    async def tenant_of(key: str) -> str | None:
        """Whose key it is, exactly as it was handed out; None when it is nobody's (any more). Its life stays as it is. Raises InternalError."""


class IDebugHost(Interface):
    """
    What a connected plugin means for the catalogue; implemented on its floor (`difyd.catalog.debugging`).

    Calls for one plugin id of one tenant never overlap. They are not cancelled: what was begun is finished.
    """

    def watch(changed: Callable[[str, str], None]) -> None:
        """`changed` is told a tenant and a plugin id whenever the tenant may have something else installed under it, whoever did that."""

    async def keep(assets: Sequence[Asset]) -> None:
        """Store icons, so that clients can fetch them by their ids. Raises StorageFailed."""

    async def install(tenant: str, identifier: PluginIdentifier, declaration: Declaration) -> str | None:
        """
        Show the plugin to its tenant: calls, listings and endpoints find it once this returns.

        The id of the installation that stands for it: a new one, or the one that an earlier debugging connection of the same plugin id has
        left, brought up to date. None when the tenant has the plugin id properly installed: then nothing is written, and the debug build
        *shadows* the installation while it is connected. Raises DaemonError with a cause for the developer.
        """

    async def uninstall(tenant: str, identifier: PluginIdentifier, installation: str) -> None:
        """
        Take back what `install` has shown, unless the installation has become another one since. Endpoints stay.

        Does not raise: what the store refuses now is removed later.
        """


class LocalPlugins(Protocol):
    """
    Where calls look for a plugin on this node: the supervisor.

    A plugin under development goes before an installed one of the same plugin id and tenant.
    """

    def connected(self, tenant: str, runtime: IShadow) -> None:
        """From now on calls of `tenant` for this plugin id go to `runtime`."""

    def disconnected(self, tenant: str, runtime: IShadow) -> None:
        """No longer. Does nothing when another one has taken its place."""


class IAnnouncements(Interface):
    """
    How the nodes of a cluster learn where a plugin under development is connected, so that they can forward its calls.

    `announce` and `withdraw` return at once; trouble is the announcer's to log and to repeat.
    """

    def announce(tenant: str, identifier: PluginIdentifier) -> None:
        """It is connected here, until it is withdrawn."""

    def withdraw(tenant: str, identifier: PluginIdentifier) -> None:
        """It is not connected here any more."""

    async def elsewhere(identifiers: Collection[PluginIdentifier]) -> Collection[PluginIdentifier]:
        """Those of them that other nodes have announced. Raises InternalError when that cannot be known."""


class ILink(Interface):
    """A connection whose plugin has handed in everything; what `DebugPlugin` works with. Methods return at once."""

    gone: bool = Attribute("Can it carry no calls any more, because it is closed or about to be? Says so before anybody is told.")

    def lost() -> bool:
        """Has the peer hung up, though nobody here was told yet? Asks the system."""

    def open(session: ISession) -> IChannel:
        """Register `session` and queue its request line. Not once it is gone."""

    def supersede() -> None:
        """A newer connection of the same plugin takes the calls from now on: let those that are open end soon, then close."""

    def close() -> None:
        """Close in order, without a word."""
