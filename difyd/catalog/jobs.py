"""
One job: a plugin is brought up for a tenant (state-and-cluster 5.3, 5.4, 5.6; local-runtime 12.3).

    turn for the identifier -> environment and process, by the launcher -> installed copy -> rows and the end of the task in one transaction
    -> caches told

Killed between any two of these a daemon leaves nothing that its next start takes for more than it is: an environment is complete or
rebuilt, a copy without rows is cleared away (`recovery`), a task without a live owner is failed (`monitor`). A job that fails leaves
nothing but the environment and its log, and may be repeated at once.
"""

from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from attrs import define, field, frozen
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from difyd.background import Background
from difyd.catalog.installations import Installations
from difyd.catalog.packages import Packages
from difyd.catalog.progress import Progress
from difyd.catalog.removals import Removals
from difyd.catalog.turns import Turns
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import DaemonError, InternalError, LaunchFailed, PluginNotFound, StorageFailed
from difyd.runtime.interfaces import ILauncher
from difyd.store.database import declarations, installations, tasks
from difyd.store.database.engine import Database, Transaction
from difyd.store.database.installations import AlreadyInstalled, Upgraded
from difyd.telemetry.metrics import Metrics

T = TypeVar("T")

NO_DECLARATION: Final = "plugin not found\nfailed to get plugin declaration"


@frozen
class Wanted:
    """What a job is to do."""

    task: str
    tenant: str
    identifier: PluginIdentifier
    source: str
    meta: bytes
    """A JSON object, kept with the installation."""
    original: PluginIdentifier | None = None
    """The version whose place it takes, for an upgrade."""


@define(eq=False)
class Jobs:
    """Does jobs; bounded in number by the launcher, in time by `_limit` seconds each (`PLUGIN_INSTALL_TIMEOUT`)."""

    log = Logger()
    _clock: IReactorTime
    _database: Database
    _packages: Packages
    _installations: Installations
    _launcher: ILauncher
    _turns: Turns
    _removals: Removals
    _metrics: Metrics
    _limit: float
    _runtime: RuntimeType = RuntimeType.LOCAL
    _commits: Background = field(factory=Background, init=False)

    def settled(self) -> Deferred[None]:
        """Fires when no transaction of a job is under way, also none of a cancelled job."""
        return self._commits.idle()

    async def run(self, wanted: Wanted) -> None:
        """Returns when the task's entry has ended. Cancelling stops where it is and leaves the entry as it stands, unless it is just ending."""
        begun = self._clock.seconds()
        progress = Progress(self._clock, partial(self._say, wanted))
        facts = {"identifier": str(wanted.identifier), "tenant": wanted.tenant}
        self.log.info("installing plugin: {identifier} for {tenant}", **facts)
        try:
            await self._update(wanted, tasks.RUNNING, "starting")
            await self._work(wanted, begun + self._limit, progress)
        except CancelledError:
            await progress.finish()  # whoever cancels us writes the end
            raise
        except Exception as why:
            if not isinstance(why, DaemonError):
                self.log.failure("the install of {identifier} failed in a way that nobody foresaw", identifier=str(wanted.identifier))
                why = InternalError("failed to start installation: an unexpected error of the daemon, its log says more")
            self.log.warn("install task finished: {identifier} was not installed for {tenant}: {why}", why=str(why), **facts)
            status = tasks.FAILED
            await progress.finish()
            await self._note_failure(wanted, str(why))
        else:
            status = tasks.SUCCESS
            self.log.info("install task finished: {identifier} is installed for {tenant}", **facts)
        finally:
            progress.close()
        self._metrics.installed(wanted.identifier.plugin_id, status, self._clock.seconds() - begun)

    async def _work(self, wanted: Wanted, deadline: float, progress: Progress) -> None:
        identifier = wanted.identifier
        if wanted.original is None and await self._has(wanted):
            await self._update(wanted, tasks.SUCCESS, "installed")
            return
        try:
            declaration = await self._installations.declaration(identifier)
        except PluginNotFound as why:
            raise InternalError(NO_DECLARATION) from why
        unwanted = False  # is it up, and not yet known to be wanted?
        try:
            with await self._within(deadline, self._turns.installing(identifier), progress), _Reserved(self._launcher, identifier):
                await self._within(deadline, self._launcher.launch(identifier, progress), progress)
                unwanted = True
                await self._within(deadline, self._mark(identifier), progress)
                await progress.finish()
                unwanted = False  # from here on the transaction decides, also when this job is cancelled
                await self._commits.finish("the end of an install", self._settle(wanted, declaration))
        finally:
            if unwanted:
                self._removals.check(identifier)

    async def _settle(self, wanted: Wanted, declaration: Declaration) -> None:
        kept = False
        try:
            kept = await self._commit(wanted, declaration)
        finally:
            if not kept:
                self._removals.check(wanted.identifier)

    async def _has(self, wanted: Wanted) -> bool:
        found = await self._database.read(installations.find_blocking, wanted.tenant, wanted.identifier.plugin_id)
        return found is not None

    async def _mark(self, identifier: PluginIdentifier) -> None:
        """After the launch, so that a version that never came up leaves no copy; before the rows, so that no row is without one."""
        try:
            await self._packages.mark_installed(identifier)
        except StorageFailed as why:
            raise LaunchFailed(f"failed to move plugin to installed bucket: {why}") from why

    async def _commit(self, wanted: Wanted, declaration: Declaration) -> bool:
        """Is `wanted` what the tenant has now? When it returns every node hears of it."""
        if wanted.original is not None:
            upgraded = await self._database.run(_upgrade_blocking, wanted, wanted.original, declaration, self._runtime)
            if upgraded is not None:
                self._installations.changed(wanted.tenant, wanted.identifier.plugin_id, upgraded.gone)
                if upgraded.gone is not None:
                    self._removals.check(upgraded.gone)
            return True
        try:
            await self._database.run(_install_blocking, wanted, declaration, self._runtime)
        except AlreadyInstalled as why:
            await self._update(wanted, tasks.SUCCESS, "installed")
            return why.installation.identifier == wanted.identifier
        self._installations.changed(wanted.tenant, wanted.identifier.plugin_id)
        return True

    async def _within(self, deadline: float, work: Coroutine[Deferred[Any], Any, T], progress: Progress) -> T:
        try:
            return await Deferred.fromCoroutine(work).addTimeout(max(0.0, deadline - self._clock.seconds()), self._clock)
        except defer.TimeoutError as why:
            text = f"timed out: the plugin was not installed within {self._limit:g} s (PLUGIN_INSTALL_TIMEOUT)"
            raise LaunchFailed(f"{text}; it had come to: {progress.latest}" if progress.latest else text) from why

    async def _say(self, wanted: Wanted, message: str) -> None:
        await self._update(wanted, None, message)

    async def _note_failure(self, wanted: Wanted, message: str) -> None:
        try:
            await self._update(wanted, tasks.FAILED, message)
        except DaemonError as why:  # a full disk, for one; `monitor` ends the task when it can
            self.log.error("the failed install of {identifier} cannot be noted: {why}", identifier=str(wanted.identifier), why=str(why))

    async def _update(self, wanted: Wanted, status: str | None, message: str) -> None:
        await self._database.run(tasks.update_blocking, wanted.task, wanted.identifier, status=status, message=message)


@frozen
class _Reserved:
    """For as long as the block lasts the launcher's watch leaves the plugin alone, and does not retire it."""

    _launcher: ILauncher
    _identifier: PluginIdentifier

    def __enter__(self) -> None:
        self._launcher.reserve(self._identifier)

    def __exit__(self, *_: object) -> None:
        self._launcher.release(self._identifier)


def _install_blocking(transaction: Transaction, wanted: Wanted, declaration: Declaration, runtime: RuntimeType) -> None:
    """Rows and the task's success appear together: a console that sees the one finds the other (dify-client 11)."""
    # the last uninstall of this version may have deleted the declaration while we were bringing it up
    declarations.add_blocking(transaction, wanted.identifier, declaration.text)
    installations.install_blocking(
        transaction, wanted.tenant, wanted.identifier, declaration, runtime=runtime, source=wanted.source, meta=wanted.meta
    )
    tasks.update_blocking(transaction, wanted.task, wanted.identifier, status=tasks.SUCCESS, message="installed")


def _upgrade_blocking(
    transaction: Transaction, wanted: Wanted, original: PluginIdentifier, declaration: Declaration, runtime: RuntimeType
) -> Upgraded | None:
    """None when another request has brought the tenant there already."""
    upgraded = None
    present = installations.find_blocking(transaction, wanted.tenant, wanted.identifier.plugin_id)
    if present is None or present.identifier != wanted.identifier:
        declarations.add_blocking(transaction, wanted.identifier, declaration.text)
        upgraded = installations.upgrade_blocking(
            transaction, wanted.tenant, original, wanted.identifier, declaration, runtime=runtime, source=wanted.source, meta=wanted.meta
        )
    tasks.update_blocking(transaction, wanted.task, wanted.identifier, status=tasks.SUCCESS, message="upgraded")
    return upgraded
