"""Whether the storage takes what is written, for who asks whether the daemon is ready."""

from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from difyd.background import Background
from difyd.errors import DaemonError
from difyd.store.blobs import Blobs

ROUND: Final = 10.0
"""Seconds between two tries; one that takes longer has failed."""


class StorageProbe(Service):
    """
    Writes a small file again and again, so that a full or broken disk is known before an upload meets it, and so is its recovery.

    Reads say nothing of it: they go on while nothing can be written.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, blobs: Blobs) -> None:
        self._blobs = blobs
        self.good = True
        """What the last try has shown."""
        self._work = Background()
        self._trying = False
        self._rounds = LoopingCall(self._round)
        self._rounds.clock = clock

    def startService(self) -> None:
        Service.startService(self)
        self._rounds.start(ROUND).addErrback(lambda failure: self.log.failure("the storage is not watched any more", failure))

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        if self._rounds.running:
            self._rounds.stop()
        return self._work.idle()

    def _round(self) -> None:
        if self._trying:
            self._judge(f"no answer within {ROUND:g} s")
        else:
            self._trying = True
            self._work.spawn("a look at the storage", self._try())

    async def _try(self) -> None:
        try:
            await self._blobs.probe()
        except DaemonError as why:
            self._judge(str(why))
        else:
            self._judge("")
        finally:
            self._trying = False

    def _judge(self, trouble: str) -> None:
        if trouble and self.good:
            self.log.error("the storage cannot be written, so uploads and installs fail: {trouble}", trouble=trouble)
        elif not (trouble or self.good):
            self.log.info("the storage can be written again")
        self.good = not trouble
