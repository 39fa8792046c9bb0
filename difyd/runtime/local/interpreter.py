"""
The one finder of the Python that plugins run on (README decisions: PLUGIN_PYTHON).

Everything that looks like the wanted interpreter is really run before it is believed: a version manager's shim, for one, is on the search path
for every version that it knows of and answers with status 127 for those that are not switched on.
"""

import os
import re
from collections.abc import Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Final

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from difyd.runtime.local.child import Command, IChildren
from difyd.runtime.local.tool import run_tool

ASK: Final = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])"
PATIENCE: Final = 10.0
"""Seconds that one candidate may take to say what it is."""
REASON: Final = 200
"""Characters of what one that is none has to say."""


@frozen
class Interpreter:
    """A Python that answered."""

    path: str
    """Of the interpreter itself, not of a shim before it."""
    version: str


@frozen
class Search:
    """What a search has come to: the interpreter, or all that was looked at in vain, fit for an error."""

    found: Interpreter | None
    looked_at: tuple[str, ...] = ()


@define(eq=False)
class InterpreterFinder:
    """Looks on the search path, among pyenv's versions and uv's own; remembers what it has found for the life of the daemon."""

    log = Logger()

    _children: IChildren
    _clock: IReactorTime
    _environment: Mapping[str, str] = field(repr=False)
    """Without secrets: candidates are run in it."""
    wanted: str
    """A version such as `3.12` or `3.12.1`, or a path."""
    _found: Interpreter | None = field(default=None, init=False)

    async def search(self) -> Search:
        """Does not raise. A search in vain is repeated the next time: somebody may have installed one."""
        if self._found is not None:
            return Search(self._found)
        looked_at: list[str] = []
        for candidate in self._candidates():
            answer = await self._ask(candidate)
            if isinstance(answer, Interpreter) and self._fits(answer):
                self._found = answer
                self.log.info("plugins run on Python {version} at {path}", version=answer.version, path=answer.path)
                return Search(answer)
            looked_at.append(f"{candidate} (is {answer.version})" if isinstance(answer, Interpreter) else f"{candidate} ({answer})")
        return Search(None, tuple(looked_at) or (f"no Python {self.wanted} on the search path, in {', '.join(self._collections())}",))

    @property
    def is_path(self) -> bool:
        return os.sep in self.wanted

    def _fits(self, answer: Interpreter) -> bool:
        return self.is_path or answer.version == self.wanted or answer.version.startswith(f"{self.wanted}.")

    def _candidates(self) -> Iterator[str]:
        if self.is_path:
            yield self.wanted
            return
        seen: set[str] = set()
        for path in self._all_candidates():
            real = os.path.realpath(path)
            if real not in seen and os.access(path, os.X_OK):
                seen.add(real)
                yield path

    def _all_candidates(self) -> Iterator[str]:
        short = ".".join(self.wanted.split(".")[:2])
        for name in (f"python{short}", "python3", "python"):
            for folder in self._environment.get("PATH", "").split(os.pathsep):
                if folder:
                    yield os.path.join(folder, name)
        for pattern in self._collections():
            yield from sorted(glob(os.path.join(pattern, "bin", f"python{short}")), key=_newest_first)

    def _collections(self) -> tuple[str, ...]:
        """Patterns of folders that each hold one Python: of pyenv and of uv."""
        home = self._environment.get("HOME") or str(Path.home())
        data = self._environment.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        pyenv = self._environment.get("PYENV_ROOT") or os.path.join(home, ".pyenv")
        uv = self._environment.get("UV_PYTHON_INSTALL_DIR") or os.path.join(data, "uv", "python")
        return os.path.join(pyenv, "versions", "*"), os.path.join(uv, "*")

    async def _ask(self, candidate: str) -> Interpreter | str:
        """What `candidate` is, or why it is none."""
        command = Command((candidate, "-I", "-S", "-c", ASK), Path("/"), self._environment)
        try:
            said = await run_tool(self._children, self._clock, command, silence=PATIENCE)
        except OSError as why:
            return str(why)
        words = said.output.decode(errors="replace").split("\n")
        if not said.how.clean or len(words) < 2:
            reasons = said.errors.decode(errors="replace").strip().splitlines()
            return f"{said.how}: {reasons[-1][:REASON]}" if reasons else str(said.how)
        return Interpreter(words[0], words[1])


def _newest_first(path: str) -> tuple[int, ...]:
    """Order of interpreters by the numbers in their paths: 3.12.10 before 3.12.9."""
    return tuple(-int(number) for number in re.findall(r"\d+", path))
