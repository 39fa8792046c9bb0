"""One daemon per data directory."""

from pathlib import Path

from twisted.application.service import Service

from difyd.errors import DaemonError


class DirectoryLocked(DaemonError):
    """Another daemon works on the data directory. Refuses the start; the text is for the operator."""


class DirectoryLock(Service):
    """
    Holds `<data directory>/.difyd.lock` from start to stop, or to the death of the process, whichever way it dies.

    Two daemons on one SQLite file would launch every plugin twice (state-and-cluster 13).
    """

    def __init__(self, directory: Path) -> None:
        raise NotImplementedError

    def startService(self) -> None:
        """Makes the directory. Raises DirectoryLocked with the directory and the pid of the holder."""
