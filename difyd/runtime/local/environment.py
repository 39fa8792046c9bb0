"""
From a package to a working directory with a Python environment (local-runtime 3, 4, 14.8, 14.12-14).

Everything is made in a scratch directory on the same file system and moved to its place as a whole when it is complete, so that a build which
dies, at whatever moment, leaves nothing that could be taken for an environment. A directory that the reference daemon has made is taken as
it is.
"""

import re
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import Interface, implementer

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadPackage, InternalError, ShuttingDown
from difyd.package.extract import extract_blocking
from difyd.runtime.interfaces import IPackages, IProgress
from difyd.runtime.local.child import Command, Exit, IChildren
from difyd.runtime.local.interpreter import InterpreterFinder
from difyd.runtime.local.patches import installed_sdk_blocking, patch_sdk_blocking
from difyd.runtime.local.places import VENV, Places, is_valid_blocking, mark_blocking, relocate_blocking, site_packages_blocking
from difyd.runtime.local.surroundings import Surroundings
from difyd.runtime.local.tool import Finished, run_tool
from difyd.runtime.local.uv import LOCK, Installer, Progress, cause_of, compile_arguments
from difyd.runtime.slots import Slot
from difyd.store.threads import Threads

BUILD_LIMIT: Final = 600.0
"""Seconds for one build, from the unpacking to the last compiled file; an install job may end it sooner (4.6, 14.14)."""
OLD: Final = 24 * 3600.0
"""Seconds after which a working directory that nobody has installed is swept: somebody may be about to."""

_CREDENTIALS: Final = re.compile(r"://[^/\s@]*@")


class BuildFailed(InternalError):
    """An environment could not be made. The text is the cause as an install task shows it (local-runtime 4.4, 4.6)."""


@frozen
class BuildSettings:
    """What the operator may say about builds."""

    installer: Installer
    silence: float
    """PYTHON_ENV_INIT_TIMEOUT: longest silence of the installer, in seconds."""
    compile_extra: tuple[str, ...] = ()
    quiet: float = 10.0
    """Seconds without news after which who waits is told what for: an index that does not answer makes none."""
    limit: float = BUILD_LIMIT


class IEnvironments(Interface):
    """The working directories of plugins on this node."""

    async def prepare(identifier: PluginIdentifier, progress: IProgress, slot: Slot) -> Path:
        """
        The working directory of a plugin, with a valid environment; built when there is none, in the place that `slot` claims.

        Raises BuildFailed, or what fetching the package raises. Cancelling kills the build and leaves nothing of it.
        """

    async def left_over(named: Collection[PluginIdentifier]) -> list[PluginIdentifier]:
        """Those that have a working directory which nobody has touched for a day, and are not `named`."""

    async def remove(identifier: PluginIdentifier) -> None:
        """Delete a working directory and what is kept of a failed build; nothing when there is none. It is out of the way at once."""


@implementer(IEnvironments)
@define(eq=False)
class Environments:
    """Makes them in a scratch directory, with uv."""

    log = Logger()

    _clock: IReactorTime
    _children: IChildren
    _threads: Threads
    _places: Places
    _surroundings: Surroundings
    _finder: InterpreterFinder
    _packages: IPackages
    _settings: BuildSettings
    _locks: WeakValueDictionary[PluginIdentifier, DeferredLock] = field(factory=WeakValueDictionary, init=False)
    """One for each directory that somebody works on."""

    async def sweep(self) -> None:
        """Delete what daemons that are gone have left unfinished. For the start."""
        await self._threads.run(self._places.sweep_blocking)

    async def prepare(self, identifier: PluginIdentifier, progress: IProgress, slot: Slot) -> Path:
        directory = self._places.directory(identifier)
        lock = self._lock(identifier)
        await lock.acquire()
        try:
            if not await self._threads.run(_is_usable_blocking, directory):
                place = slot.take()
                if not place.called:
                    progress.info("waiting for other builds to finish")
                try:
                    await place
                    await self._build(identifier, progress)
                finally:
                    slot.leave()
        except OSError as why:  # a full disk, for one
            raise BuildFailed(f"the working directory cannot be made: {why}") from why
        finally:
            lock.release()
        return directory

    async def left_over(self, named: Collection[PluginIdentifier]) -> list[PluginIdentifier]:
        return await self._threads.run(self._places.left_over_blocking, named, time.time() - OLD)

    async def remove(self, identifier: PluginIdentifier) -> None:
        lock = self._lock(identifier)
        await lock.acquire()
        try:
            away = await self._threads.run(self._places.take_away_blocking, identifier)
        except OSError as why:
            self.log.warn("the directory of {identifier} cannot be deleted: {why}", identifier=str(identifier), why=str(why))
            return
        finally:
            lock.release()
        if away is not None:
            await self._threads.run(_delete_blocking, away)

    def _lock(self, identifier: PluginIdentifier) -> DeferredLock:
        lock = self._locks.get(identifier)
        if lock is None:
            lock = self._locks[identifier] = DeferredLock()
        return lock

    async def _build(self, identifier: PluginIdentifier, progress: IProgress) -> None:
        scratch = await self._threads.run(self._places.scratch_blocking)
        build = _Build(self._clock, self._children, self._threads, self._surroundings, self._settings, progress, self._places.cache, scratch)
        try:
            await self._packages.fetch(identifier, build.package)
            work = Deferred.fromCoroutine(build.run(self._finder, self._places.directory(identifier)))
            await work.addTimeout(self._settings.limit, self._clock)
            await self._threads.run(self._places.put_in_place_blocking, build.tree, identifier)
        except TimeoutError:
            raise BuildFailed(f"failed to install dependencies: not finished within {self._settings.limit:g} seconds") from None
        except _StepFailed as why:
            log = self._places.log(identifier)
            await self._threads.run(_write_log_blocking, log, why)
            self.log.error("building the environment of {identifier} failed; see {file}", identifier=identifier, file=str(log))
            raise BuildFailed(str(why)) from why
        finally:
            with suppress(ShuttingDown):  # the next start sweeps it
                await self._threads.run(_delete_blocking, scratch)


class WorkingPath(Service):
    """Nothing can be installed or cleared away where PLUGIN_WORKING_PATH cannot be written: then the daemon does not start."""

    def __init__(self, threads: Threads, places: Places) -> None:
        self._threads, self._places = threads, places

    def startService(self) -> Deferred[None]:
        Service.startService(self)
        return Deferred.fromCoroutine(self._try())

    async def _try(self) -> None:
        try:
            await self._threads.run(self._places.try_blocking)
        except OSError as why:
            raise InternalError(f"the working path {self._places.root} (PLUGIN_WORKING_PATH) cannot be used: {why}") from why


class _StepFailed(Exception):
    """A program of a build failed; what it said goes into the log of the build."""

    def __init__(self, text: str, command: tuple[str, ...], said: Finished) -> None:
        super().__init__(text)
        self.command, self.said = command, said


@define(eq=False)
class _Build:
    """One environment in the making, in a scratch directory."""

    log = Logger()

    _clock: IReactorTime
    _children: IChildren
    _threads: Threads
    _surroundings: Surroundings
    _settings: BuildSettings
    _progress: IProgress
    _cache: Path
    _scratch: Path
    _told: bool = field(default=False, init=False)
    """The installer had something to do."""

    @property
    def package(self) -> Path:
        return self._scratch / "package.difypkg"

    @property
    def tree(self) -> Path:
        return self._scratch / "plugin"

    async def run(self, finder: InterpreterFinder, place: Path) -> None:
        """All steps, up to a tree that only has to be moved to `place`. Raises BuildFailed or _StepFailed."""
        files = await self._unpack()
        dependency_file = self._settings.installer.dependency_file(files)
        if dependency_file is None:
            raise BuildFailed(
                "failed to create virtual environment: failed to find dependency file: "
                "neither pyproject.toml nor requirements.txt found in plugin directory"
            )
        await self._create(finder)
        await self._install(dependency_file, locked=LOCK in files)
        await self._threads.run(_correct_sdk_blocking, self.tree)
        await self._compile()
        await self._threads.run(_finish_blocking, self.tree, place)

    async def _unpack(self) -> set[str]:
        try:
            return await self._threads.run(_unpack_blocking, self.package, self.tree)
        except BadPackage as why:
            raise BuildFailed(f"{why}\nfailed to get local plugin runtime") from why

    async def _create(self, finder: InterpreterFinder) -> None:
        search = await finder.search()
        if search.found is None:
            self._progress.info(f"no Python {finder.wanted} on this machine, trying to download one")
        arguments = self._settings.installer.create(search.found.path if search.found else finder.wanted)
        said = await self._tool(arguments, self._surroundings.inherited(), limited=search.found is not None)
        if not said.how.clean:
            looked_at = f"; looked for Python {finder.wanted} in vain at: {', '.join(search.looked_at)}" if search.found is None else ""
            text = f"failed to create virtual environment: failed to create virtual environment: {_status(said.how)}, output: "
            raise _StepFailed(f"{text}{cause_of(said.errors)}{looked_at}", arguments, said)

    async def _install(self, dependency_file: str, *, locked: bool) -> None:
        arguments = self._settings.installer.install(dependency_file, locked=locked)
        environment = self._surroundings.build(self.tree, self._cache)
        quiet = self._clock.callLater(self._settings.quiet, self._still_quiet, dependency_file)
        try:
            said = await self._tool(arguments, environment, Progress(self._tell))
        finally:
            if quiet.active():
                quiet.cancel()
        if said.how.clean:
            return
        cause = cause_of(said.errors)
        if said.silent:
            cause += f"\ninit process exited due to no activity for {self._settings.silence:g} seconds"
        text = f"failed to install dependencies: failed to install dependencies: {_status(said.how)}, output: {cause}"
        raise _StepFailed(text, arguments, said)

    async def _compile(self) -> None:
        """
        Fill the bytecode caches, of the plugin's files and of all packages, so that the first start is as quick as the next.

        A file that does not compile is the plugin's own affair; only the log hears of it.
        """
        python = str(self.tree / VENV / "bin" / "python")
        runs = [compile_arguments(python, self._settings.compile_extra)]
        if self._told:
            self._progress.info("compiling the installed packages")
            packages = await self._threads.run(site_packages_blocking, self.tree)
            runs.append((python, "-m", "compileall", "-q", "-j", "0", str(packages)))
        for arguments in runs:
            said = await self._tool(arguments, self._surroundings.inherited(), limited=False)
            if not said.how.clean:
                self.log.info("not all of {directory} could be compiled", directory=arguments[-1])

    async def _tool(
        self, arguments: tuple[str, ...], environment: dict[str, str], progress: Progress | None = None, *, limited: bool = True
    ) -> Finished:
        command = Command(arguments, self.tree, environment)
        silence = self._settings.silence if limited else None
        try:
            return await run_tool(self._children, self._clock, command, silence=silence, heard=progress.heard if progress else None)
        except OSError as why:
            raise BuildFailed(f"cannot run {arguments[0]}: {why}") from why

    def _tell(self, text: str) -> None:
        self._told = True
        self._progress.info(text)

    def _still_quiet(self, dependency_file: str) -> None:
        if not self._told:
            self._progress.info(f"installing what {dependency_file} asks for")


def _status(how: Exit) -> str:
    return f"signal: {how.signal}" if how.signal else f"exit status {how.status}"


def _is_usable_blocking(directory: Path) -> bool:
    usable = is_valid_blocking(directory)
    if usable:
        _correct_sdk_blocking(directory)
    return usable


def _unpack_blocking(package: Path, tree: Path) -> set[str]:
    """The names of the files at the top of the package."""
    extract_blocking(package, tree)
    package.unlink()
    (tree / "_assets").mkdir(exist_ok=True)  # the SDK lists it at start and dies when it is not there
    return {entry.name for entry in tree.iterdir() if entry.is_file()}


def _correct_sdk_blocking(directory: Path) -> None:
    packages = site_packages_blocking(directory)
    if packages is None:
        return
    try:
        for file in patch_sdk_blocking(packages):
            Environments.log.info("corrected {file} of an old SDK in {directory}", file=file, directory=str(directory))
    except OSError as why:
        Environments.log.warn("the old SDK in {directory} could not be corrected: {why}", directory=str(directory), why=why)


def _finish_blocking(tree: Path, place: Path) -> None:
    packages = site_packages_blocking(tree)
    sdk = installed_sdk_blocking(packages) if packages else None
    relocate_blocking(tree, place)
    mark_blocking(
        tree,
        {
            "checksum": place.name.rpartition("@")[2],
            "python": packages.parent.name.removeprefix("python") if packages else "",
            "sdk_version": str(sdk or ""),
            "daemon": "difyd",
        },
    )


def _write_log_blocking(log: Path, why: _StepFailed) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    said = why.said
    command = _CREDENTIALS.sub("://", " ".join(why.command))
    log.write_bytes(f"{command}\n{why}\n\n".encode() + said.output + said.errors)


def _delete_blocking(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
