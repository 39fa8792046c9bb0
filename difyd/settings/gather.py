"""
From an environment, a settings file and files of secrets to values.

Nothing is raised here: what is wrong becomes a sentence in `problems`, and the reading goes on, so that all of it is told at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from difyd.settings.variable import Status, Variable

UNREADABLE = "error processing environment variables"
MISSING = "invalid configuration"
_SHORT = 8
"""Shorter names differ by a letter or two without being slips of each other."""
_FOREIGN = ("BAIDU_OBS_",)
"""Names of Dify's own that look like slips (configuration 4.2)."""


@define(eq=False)
class Gathered:
    """What was found: `values` by attribute, only of what was set."""

    values: dict[str, Any] = field(factory=dict, repr=False)
    problems: list[str] = field(factory=list)
    warnings: list[str] = field(factory=list)
    blamed: set[str] = field(factory=set)
    """Variables that a problem names already: no rule about several settings need look at them."""


def gather(variables: Sequence[Variable], environment: Mapping[str, str], file: Path | None) -> Gathered:
    """The environment goes before the file; empty is absent, unless a variable says otherwise (configuration 11.2)."""
    found = Gathered()
    texts = _from_file(file, found) if file is not None else {}
    known = {name for variable in variables for name in _names(variable)}
    slips = {name: meant for name in sorted(environment.keys() | texts.keys()) if (meant := _meant(name, known))}
    found.warnings += [f"{name} is no setting of the daemon; is {meant} meant?" for name, meant in slips.items()]
    if foreign := sorted(texts.keys() - known - slips.keys()):
        found.warnings.append(f"{file}: these names are no settings of the daemon: {', '.join(foreign)}")
    empty = {variable.name for variable in variables if variable.empty_counts}
    texts.update((name, text) for name, text in environment.items() if text or name in empty)
    for variable in variables:
        text = _choose(variable, texts, found)
        if text is not None:
            _keep(variable, text, found)
        elif variable.required and variable.name not in found.blamed:
            found.problems.append(f"{MISSING}: {variable.name} must be set: {variable.doc}")
            found.blamed.add(variable.name)
    return found


def _names(variable: Variable) -> Iterable[str]:
    yield variable.name
    yield from variable.aliases
    if variable.secret:
        yield f"{variable.name}_FILE"


def _meant(name: str, known: Iterable[str]) -> str | None:
    """The setting whose name is this one but for a slip: a letter or two too many or too few, another letter, two in the wrong order."""
    if len(name) < _SHORT or name in known or name.startswith(_FOREIGN):
        return None
    third = len(name) // 3
    for setting in known:
        if abs(len(name) - len(setting)) > 2 or not (setting.startswith(name[:third]) or setting.endswith(name[-third:])):
            continue  # as nearly all of them, at a glance
        before = _alike(name, setting)
        one, other = name[before:], setting[before:]
        after = _alike(one[::-1], other[::-1])
        one, other = one[: len(one) - after], other[: len(other) - after]
        if len(one) + len(other) <= 2 or (len(one) == 2 and one == other[::-1]):
            return setting
    return None


def _alike(one: str, other: str) -> int:
    """How many letters they have in common from the start on."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _choose(variable: Variable, texts: Mapping[str, str], found: Gathered) -> str | None:
    """The text that counts, of those given under the variable's names."""
    text = texts.get(variable.name)
    if text is None and variable.secret:
        text = _secret(variable, texts.get(f"{variable.name}_FILE"), found)
    for alias in variable.aliases:
        other = texts.get(alias)
        if other is None:
            continue
        if text is None:
            text = other
            if alias.upper() != variable.name:
                found.warnings.append(f"{alias} is an old name of {variable.name}; it counts because {variable.name} is not set")
        elif text != other and alias.upper() != variable.name:
            found.warnings.append(f"{variable.name} and its old name {alias} differ; {variable.name} counts")
    return text


def _keep(variable: Variable, text: str, found: Gathered) -> None:
    try:
        value = variable.parse(text)
    except ValueError:
        shown = "of another kind" if variable.secret else repr(text)
        found.problems.append(f"{variable.complaint}: {variable.name} is {shown}; accepted is {variable.kind.accepted}")
        found.blamed.add(variable.name)
        return
    if value is None:
        return
    found.values[variable.attribute] = value
    if value == variable.default:
        return
    if variable.status is not Status.ACTIVE:
        found.warnings.append(f"{variable.name} is set. {variable.status.value}")


def _secret(variable: Variable, file: str | None, found: Gathered) -> str | None:
    """The content of the file that `<NAME>_FILE` names, without the newline at its end."""
    if file is None:
        return None
    try:
        text = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as why:
        found.problems.append(f"{UNREADABLE}: {variable.name}_FILE is {file!r}, which cannot be read: {_reason(why)}")
    else:
        if text:
            return text
        found.problems.append(f"{UNREADABLE}: {variable.name}_FILE is {file!r}, which is empty")
    found.blamed.add(variable.name)
    return None


def _from_file(file: Path, found: Gathered) -> dict[str, str]:
    """Lines `NAME=value`; blank lines and those that begin with `#` say nothing, a pair of quotes around a value goes away."""
    texts: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as why:
        found.problems.append(f"{UNREADABLE}: the settings file {file} cannot be read: {_reason(why)}")
        return texts
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, separator, text = line.removeprefix("export ").partition("=")
        name, text = name.strip(), text.strip()
        if not separator or not name.isidentifier():
            found.problems.append(f"{UNREADABLE}: {file}, line {number} is no NAME=value")
            continue
        if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
            text = text[1:-1]
        if text:
            texts[name] = text
    return texts


def _reason(why: OSError | ValueError) -> str:
    return (why.strerror if isinstance(why, OSError) else None) or str(why)
