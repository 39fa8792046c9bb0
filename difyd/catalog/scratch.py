"""A directory for files that live as long as one piece of work."""

import shutil
import uuid
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from difyd.store.threads import Threads


class Scratch(Service):
    """Emptied at the start: what a killed daemon left there is of no use to anybody."""

    def __init__(self, threads: Threads, directory: Path) -> None:
        self._threads, self._directory = threads, directory

    def startService(self) -> Deferred[None]:
        Service.startService(self)
        return self._threads.run(_empty_blocking, self._directory)

    def path(self) -> Path:
        """A path that nothing has yet; whoever asks for it removes what he puts there."""
        return self._directory / uuid.uuid4().hex


def _empty_blocking(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
