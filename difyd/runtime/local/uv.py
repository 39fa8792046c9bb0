"""How uv is asked to make an environment, and how its words are read (local-runtime 4.4-4.7). Values only."""

import re
import shutil
from collections.abc import Callable, Collection
from typing import Final

from attrs import define, field, frozen
from twisted.logger import Logger

from difyd.errors import InternalError
from difyd.wire.lines import LineBuffer

log = Logger()

PROJECT: Final = "pyproject.toml"
REQUIREMENTS: Final = "requirements.txt"
LOCK: Final = "uv.lock"
NOT_OURS: Final = r"\.venv|\.uv-cache"
"""What the compilation of a plugin's own files leaves out."""
_TOLD: Final = re.compile(rb"(Resolved|Prepared|Installed|Downloading|Building|Built) \S.*")
_NOISE: Final = ("DEBUG ", "TRACE ", "INFO ")
_ASIDE: Final = re.compile(r"[│├╰─▶\u00d7]+|\s+")
_CAUSE: Final = re.compile(r"^(?:error|\s*\u00d7)[: ]", re.MULTILINE)
_LINE: Final = 8 * 1024


@frozen
class Installer:
    """uv, and what the operator has said about it."""

    uv: str
    """Path of the program."""
    mirror: str = ""
    """A package index instead of the official one."""
    verbose: bool = True
    """Without it, uv is silent on a pipe and a long download looks like a standstill."""
    extra: tuple[str, ...] = ()
    """Words added to an installation; no shell has read them."""
    ignore_lock: bool = False

    def dependency_file(self, files: Collection[str]) -> str | None:
        """Which of a plugin's `files` names its dependencies: with a mirror not the one whose lock would go past it (4.5)."""
        order = (REQUIREMENTS, PROJECT) if self.mirror else (PROJECT, REQUIREMENTS)
        return next((name for name in order if name in files), None)

    def create(self, python: str) -> tuple[str, ...]:
        """Arguments that make an empty `.venv` in the current directory."""
        return (self.uv, "venv", ".venv", "--python", python)

    def install(self, dependency_file: str, *, locked: bool) -> tuple[str, ...]:
        """Arguments that install a plugin's dependencies; `locked`: there is a lock file."""
        index = ("-i", self.mirror) if self.mirror else ()
        if dependency_file == REQUIREMENTS:
            return (self.uv, "pip", "install", *index, "-r", REQUIREMENTS, *(("-vvv",) if self.verbose else ()), *self.extra)
        frozen = locked and not self.ignore_lock
        extra = [word for word in self.extra if not (frozen and word == "--frozen")]
        lock, verbose = ("--frozen",) if frozen else (), ("-v",) if self.verbose else ()
        return (self.uv, "sync", "--no-dev", *lock, *index, *verbose, *extra)


def compile_arguments(python: str, extra: tuple[str, ...]) -> tuple[str, ...]:
    """
    Arguments that byte-compile a plugin's own files in the current directory.

    A `-x PATTERN` of the operator is joined to the built-in one, since compileall only heeds one; of several, the last counts (4.7).
    """
    words, pattern = [], NOT_OURS
    rest = iter(extra)
    for word in rest:
        if word == "-x":
            pattern = f"{NOT_OURS}|{next(rest, '')}".rstrip("|")
        else:
            words.append(word)
    return (python, "-m", "compileall", *words, "-x", pattern, ".")


@define(eq=False)
class Progress:
    """Tells the few lines of an installation that are news for who waits, of the thousands that uv writes."""

    _tell: Callable[[str], None]
    _lines: LineBuffer = field(factory=lambda: LineBuffer(_LINE), init=False)

    def heard(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            if isinstance(line, bytes) and (match := _TOLD.fullmatch(line.strip())):
                self._tell(match[0].decode(errors="replace"))


def cause_of(errors: bytes) -> str:
    """What uv says is wrong, on one line; its last words when it does not say; "" when it has said nothing."""
    text = errors.decode(errors="replace")
    said = "\n".join(line for line in text.splitlines() if not line.startswith(_NOISE))
    starts = [match.end() for match in _CAUSE.finditer(said)]
    # A hint follows the cause and talks about options of a program that the reader does not run.
    words = said[starts[-1] :].partition("\nhint:")[0] if starts else said[-1024:]
    return _ASIDE.sub(" ", words.replace("\n  cause:", ":").replace("╰─▶", ":")).replace(" :", ":").replace("::", ":").strip(" :")


def find_uv(configured: str) -> str:
    """The uv program: the operator's, else the one that was installed with this daemon. Raises InternalError when there is none."""
    if configured:
        found = shutil.which(configured)
        if found is None:  # plugins that are installed run all the same
            log.warn("UV_PATH: {uv} is no program that can be run, so that no plugin can be installed", uv=configured)
        return found or configured
    try:
        import uv

        return uv.find_uv_bin()
    except (ImportError, FileNotFoundError) as why:
        raise InternalError(f"failed to find uv path: {why}; install the Python package uv, or set UV_PATH") from why
