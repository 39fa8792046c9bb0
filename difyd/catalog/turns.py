"""Whose turn it is to work on one plugin identifier."""

from contextlib import AbstractAsyncContextManager

from attrs import define

from difyd.store.interfaces import ILeases


@define(eq=False)
class Turns:
    """
    One lease for each identifier in the whole cluster, shared by the installs of this node.

    Installs of one identifier run side by side on a node, because the launcher makes one launch of them; clearing away what nobody uses
    waits until they are over, and they wait for it.
    """

    _leases: ILeases

    def installing(self, identifier: str) -> AbstractAsyncContextManager[None]:
        """Held while an install of `identifier` runs."""
        raise NotImplementedError

    def removing(self, identifier: str) -> AbstractAsyncContextManager[None]:
        """Held, by one alone, while `identifier` is cleared away."""
        raise NotImplementedError
