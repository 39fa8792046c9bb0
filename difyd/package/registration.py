"""Declarations that a plugin under development sends as JSON (package-format 17, debug-runtime 4, 6)."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from difyd.package.assets import Remapped, remap
from difyd.package.documents.json_source import JsonSource, parse
from difyd.package.documents.source import Problem, Unfit
from difyd.package.errors import InvalidDeclaration
from difyd.package.kinds import BY_NAME
from difyd.package.kinds.model import MODEL
from difyd.package.manifest import MANIFEST, assemble, check_manifest
from difyd.package.reader import identity
from difyd.package.schema.types import ListOf, Type, read_value

MAX_MODEL: Final = 256 * 1024
"""Bytes of one model's JSON, which is completed between two calls; a model with hundreds of voices has 50 KiB."""
_MAX_SHOWN: Final = 20
"""Broken rules that are told at once."""


@define(eq=False)
class Registration:
    """
    The declaration of a debugging connection as it grows.

    Both `declare_` methods validate everything they are given and raise InvalidDeclaration with readable field paths; the caller puts the
    fixed prefix of debug-runtime 5 before the text, and counts how often something comes.
    """

    _manifest: dict[str, Any] = field(factory=MANIFEST.empty, init=False)
    _providers: dict[str, dict[str, Any]] = field(factory=dict, init=False)

    def declare_manifest(self, data: bytes) -> None:
        """Take the manifest, a JSON object. Kinds and `verified` inside of it do not count (debug-runtime 14.10)."""
        self._manifest = _read(MANIFEST, data)

    def declare_providers(self, kind: str, data: bytes) -> None:
        """Take a JSON list of providers of one `kind` (`tool`, `model`, `agent_strategy`, ...): all are validated, the first one counts."""
        providers = _read(ListOf(BY_NAME[kind].provider, list), data)
        if providers:
            self._providers[kind] = providers[0]

    @property
    def identity(self) -> str:
        """`author/name:version`, the identifier up to its checksum."""
        return identity(self._manifest)

    def remap(self, assets: Mapping[str, bytes]) -> Remapped:
        """The complete declaration, icons found among `assets` by their names, defaults filled in. Raises MissingIcon."""
        return remap(assemble(self._manifest, self._providers, verified=False), assets.get)

    def check(self) -> None:
        """The rules across fields (package-format 8). Raises IllegalManifest with the rule alone."""
        check_manifest(self._manifest["author"], self._manifest["name"], self._providers)


def complete_model(data: bytes) -> dict[str, Any]:
    """A model as a plugin sends its schema, with the defaults of one in a package (http-api 8.7). Raises InvalidDeclaration."""
    if len(data) > MAX_MODEL:
        raise InvalidDeclaration(f"the model is larger than {MAX_MODEL} bytes")
    model: dict[str, Any] = _read(MODEL, data)
    return model


def _read(kind: Type, data: bytes) -> Any:
    source = JsonSource()
    try:
        value = read_value(kind, source, parse(data))
        problems = tuple(kind.check(value))
    except ValueError as why:
        raise InvalidDeclaration(f"it is no JSON: {why}") from why
    except RecursionError as why:
        raise InvalidDeclaration("it is nested too deep") from why
    except Unfit as why:
        problems = why.problems
    if problems:
        raise InvalidDeclaration("; ".join(map(_words, problems[:_MAX_SHOWN])))
    return value


def _words(problem: Problem) -> str:
    return f"{problem.path}: {problem.text}" if problem.path else problem.text
