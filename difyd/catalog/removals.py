"""Clearing away plugin versions that nobody uses (state-and-cluster 5.6, 5.7, 6.6)."""

from attrs import define
from twisted.application.service import Service

from difyd.catalog.packages import Packages
from difyd.catalog.turns import Turns
from difyd.entities.identifier import PluginIdentifier
from difyd.runtime.interfaces import ILauncher
from difyd.store.database import Database


@define(eq=False)
class Removals(Service):
    """
    Deletes installed copies, and has the launcher stop the process and delete its files.

    At the start it looks for copies that no row refers to: what an install or an uninstall left that was cut off.
    """

    _database: Database
    _packages: Packages
    _launcher: ILauncher
    _turns: Turns

    def check(self, identifier: PluginIdentifier) -> None:
        """In the background: clear `identifier` away if no tenant has it installed."""
        raise NotImplementedError
