"""Processes that an earlier daemon has left behind (design: the life of one plugin process)."""

from contextlib import suppress
from pathlib import Path

import psutil

from difyd.runtime.local.owner import VARIABLE, Owner


def kill_strays_blocking(root: Path, building: Path) -> list[int]:
    """
    Kill what was started by a daemon on the working path `root` that does not live any more; the numbers of the processes.

    The mark in the environment tells a plugin and all its descendants, wherever they have gone to. Installers carry no mark, since their
    environment is built from nothing; they are told by working in `building`, where nobody else has business. Reads the environment of every
    process of this user, so it takes some milliseconds.
    """
    killed = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            if process.pid != psutil.Process().pid and (_is_stray(process, root) or _works_for_a_dead_daemon(process, building, root)):
                process.kill()
                killed.append(process.pid)
    return killed


def working_directories_blocking() -> list[Path]:
    """Where the processes of this machine work, as far as it may be known."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            found.append(Path(process.cwd()))
    return found


def _is_stray(process: psutil.Process, root: Path) -> bool:
    owner = Owner.parse(process.environ().get(VARIABLE, ""))
    return owner is not None and owner.root == str(root) and not owner.lives_blocking()


def _works_for_a_dead_daemon(process: psutil.Process, building: Path, root: Path) -> bool:
    place = Path(process.cwd())
    if not place.is_relative_to(building) or place == building:
        return False
    pid, _, started = place.relative_to(building).parts[0].partition("-")
    owner = Owner.parse(f"{pid}:{started}:{root}")
    return owner is None or not owner.lives_blocking()
