"""What becomes of an uploaded package or bundle (http-api 13.1, 13.2; state-and-cluster 5.2; package-format 18.5, 22.3)."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from attrs import define, field
from msgspec import DecodeError, Raw
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from difyd.background import Background
from difyd.catalog.areas import Areas
from difyd.catalog.contents import Contents, decoded
from difyd.catalog.installations import Installations
from difyd.catalog.scratch import Scratch
from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadIdentifier, BadPackage, DaemonError, InternalError
from difyd.package.errors import BadSignature, BundledPackageFailed
from difyd.package.signature import VERIFICATION_FILE
from difyd.package.upload import Accepted, Gate, Reported
from difyd.store.blobs import IBlobs
from difyd.store.database import declarations
from difyd.store.database.engine import Database, Transaction
from difyd.store.threads import Threads


class Uploads(Service):
    """
    Takes packages in: read, verified and decoded in one hop to a thread; then icons and packages stored, then the rows of declarations.

    An upload that fails leaves neither package nor declaration behind that were not there before. Icons it has stored stay: their keys are
    made of their content, and another plugin may have come to rely on them (state-and-cluster 12.1). One upload is stored at a time, so
    that what one takes back another does not build upon.
    """

    log = Logger()

    def __init__(
        self,
        threads: Threads,
        gate: Gate,
        blobs: IBlobs,
        areas: Areas,
        database: Database,
        contents: Contents,
        known: Installations,
        scratch: Scratch,
    ) -> None:
        self._threads, self._gate, self._blobs, self._areas = threads, gate, blobs, areas
        self._database, self._contents, self._installations, self._scratch = database, contents, known, scratch
        self._storing = DeferredLock()
        self._work = Background()

    def stopService(self) -> Deferred[None]:
        """Lets what is being stored come to its end."""
        Service.stopService(self)
        return self._work.idle()

    async def package(self, path: Path, verify: bool) -> bytes:
        """
        Store the package in the file `path`, which must stay until this returns; the JSON of http-api 13.1.

        `verify`: this request demands a signature. Raises BadPackage with the texts of package-format 21 and 23. A caller that goes away
        leaves the upload stored whole or not at all.
        """
        return await self._work.finish("an upload", self._package(path, verify))

    async def bundle(self, path: Path, verify: bool) -> bytes:
        """The same for a bundle, all or nothing; the JSON of http-api 13.2. Raises InternalError where package-format 22.3 says 500."""
        return await self._work.finish("an upload of a bundle", self._bundle(path, verify))

    async def _package(self, path: Path, verify: bool) -> bytes:
        try:
            accepted = await self._threads.run(self._gate.package_blocking, path, verify=verify)
        except BadIdentifier as why:  # of the package, not of the request, which clients are told by its type
            raise BadPackage(str(why)) from why
        except BadSignature as why:
            self._log_refusal(why)
            raise
        except OSError as why:
            raise InternalError(f"the uploaded package cannot be read: {why}") from why
        try:
            await self._store([accepted])
        except DaemonError as why:
            raise BadPackage(f"{why}\nfailed to save package") from why
        self.log.info("{identifier} was uploaded", identifier=str(accepted.identifier))
        return decoded(accepted.package, accepted.stored.declaration)

    async def _bundle(self, path: Path, verify: bool) -> bytes:
        workspace = self._scratch.path()
        try:
            items = await self._open(path, workspace, verify)
            try:
                await self._store([item for item in items if isinstance(item, Accepted)])
            except DaemonError as why:
                raise InternalError(f"failed to save package\n{why}") from why
        finally:
            await self._threads.run(shutil.rmtree, workspace, ignore_errors=True)
        self.log.info("a bundle of {count} dependencies was uploaded", count=len(items))
        return msgspec.json.encode([_item(item) for item in items])

    async def _open(self, path: Path, workspace: Path, verify: bool) -> list[Accepted | Reported]:
        try:
            return await self._threads.run(_open_blocking, self._gate, path, workspace, verify)
        except BadSignature as why:
            self._log_refusal(why)
            raise
        except BundledPackageFailed as why:
            if why.ours:
                raise InternalError(str(why)) from why
            raise
        except OSError as why:
            raise InternalError(f"the uploaded bundle cannot be read: {why}") from why

    def _log_refusal(self, why: BadSignature) -> None:
        self.log.warn("{identifier} was refused for its signature: {reason}", identifier=why.plugin, reason=why.reason)

    async def _store(self, accepted: Sequence[Accepted]) -> None:
        """All of them or none. Raises StorageFailed, DatabaseFailed."""
        wanted = {one.identifier: one for one in accepted}
        async with _Locked(self._storing):
            known = await self._database.read(declarations.get_many_blocking, list(wanted))  # also: fail before anything is stored
            fresh: list[PluginIdentifier] = []
            try:
                for identifier, one in wanted.items():
                    await self._store_one(identifier, one, fresh)
                changed = await self._database.run(
                    _declare_blocking, {i: (one.stored.declaration, one.package.verification is not None) for i, one in wanted.items()}
                )
            except DaemonError:
                await self._take_back([identifier for identifier in fresh if identifier not in known])
                raise
        for identifier in changed:
            self._installations.redeclared(identifier)

    def _remark(self, one: Accepted) -> None:
        """Names are not signed: entries of a signed package can be renamed, and this is where it shows (package-format 25.8)."""
        if one.package.verification is not None and not one.package.verification.file_last:
            self.log.warn(
                "the signature of {identifier} is valid, but {file} is not its last entry: it may have been renamed after it was signed",
                identifier=str(one.identifier),
                file=VERIFICATION_FILE,
            )

    async def _store_one(self, identifier: PluginIdentifier, one: Accepted, fresh: list[PluginIdentifier]) -> None:
        self._remark(one)
        for asset in one.stored.assets:
            key = self._areas.asset(asset.id)
            if not await self._blobs.exists(key):
                await self._blobs.write(key, asset.content)
        key = self._areas.package(identifier)
        if not await self._blobs.exists(key):
            fresh.append(identifier)
        elif one.package.verification is None and await self._contents.is_verified(identifier):
            # equal but for its signature: what was vouched for is not replaced by what was not (package-format 25.5)
            self.log.info("{identifier} is kept as it was signed", identifier=str(identifier))
            return
        await self._blobs.write_file(key, one.path)

    async def _take_back(self, fresh: Sequence[PluginIdentifier]) -> None:
        for identifier in fresh:
            try:
                await self._blobs.delete(self._areas.package(identifier))
            except DaemonError as why:
                self.log.warn("the package of a failed upload of {identifier} stays: {why}", identifier=str(identifier), why=str(why))


def _open_blocking(gate: Gate, path: Path, workspace: Path, verify: bool) -> list[Accepted | Reported]:
    workspace.mkdir()
    return gate.bundle_blocking(path, workspace, verify=verify)


def _item(item: Accepted | Reported) -> dict[str, object]:
    if isinstance(item, Reported):
        return {"type": item.type, "value": item.value}
    return {"type": "package", "value": {"unique_identifier": str(item.identifier), "manifest": Raw(item.stored.declaration)}}


def _declare_blocking(transaction: Transaction, wanted: Mapping[PluginIdentifier, tuple[bytes, bool]]) -> list[PluginIdentifier]:
    """
    The first upload's declaration stays, except that a verified copy that comes later makes it verified, also where it is installed
    (package-format 25.5), and that one which cannot be read is mended.

    Which ones have changed?
    """
    changed = []
    for identifier, (text, verified) in wanted.items():
        if declarations.add_blocking(transaction, identifier, text):
            continue
        known = _is_verified(declarations.get_blocking(transaction, identifier))
        if known is None or (verified and not known):
            declarations.replace_blocking(transaction, identifier, text)
            changed.append(identifier)
    return changed


def _is_verified(kept: bytes | None) -> bool | None:
    """What a stored declaration says of itself; None when it cannot be read."""
    try:
        return None if kept is None else Declaration.decode(kept).view.verified
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


@define(eq=False)
class _Locked:
    """`async with` for a DeferredLock; waiting in line can be cancelled."""

    _lock: DeferredLock
    _held: bool = field(default=False, init=False)

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *exception: object) -> None:
        self._lock.release()
