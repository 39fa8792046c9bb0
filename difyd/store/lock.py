"""One daemon per data directory."""

import fcntl
import os
from pathlib import Path
from typing import Final

from twisted.application.service import Service

from difyd.errors import DaemonError

NAME: Final = ".difyd.lock"


class DirectoryLocked(DaemonError):
    """The data directory cannot be had: another daemon works on it, or it cannot be written. Refuses the start with a text for the operator."""


class DirectoryLock(Service):
    """
    Holds `<data directory>/.difyd.lock` from start to stop, or to the death of the process, whichever way it dies.

    Two daemons on one SQLite file would launch every plugin twice (state-and-cluster 13). The file stays when the lock is given back: to
    remove it would take it from under somebody who has just opened it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = -1

    def startService(self) -> None:
        """Makes the directory. Raises DirectoryLocked with the directory and the pid of the holder."""
        Service.startService(self)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            file = os.open(self._directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as why:
            raise DirectoryLocked(f"the data directory {self._directory} cannot be used: {why}") from why
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as why:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip()
            os.close(file)
            if not isinstance(why, BlockingIOError):
                raise DirectoryLocked(f"the data directory {self._directory} cannot be locked: {why}") from why
            raise DirectoryLocked(
                f"another plugin daemon (pid {holder or 'unknown'}) uses the data directory {self._directory}; "
                "stop it, or give this one a directory of its own (PLUGIN_STORAGE_LOCAL_ROOT)"
            ) from why
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def stopService(self) -> None:
        Service.stopService(self)
        if self._file >= 0:
            os.close(self._file)  # and with it the lock
            self._file = -1
