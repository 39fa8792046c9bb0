"""Declarations that a plugin under development sends as JSON (package-format 17, debug-runtime 4, 6)."""

from collections.abc import Mapping

from attrs import define

from difyd.package.reader import Remapped


@define(eq=False)
class Registration:
    """
    The declaration of a debugging connection as it grows.

    Both `declare_` methods validate everything they are given and raise InvalidDeclaration with readable field paths; the caller puts the
    fixed prefix of debug-runtime 5 before the text.
    """

    def declare_manifest(self, data: bytes) -> None:
        """Take the manifest, a JSON object. Kinds and `verified` inside of it do not count (debug-runtime 14.10)."""
        raise NotImplementedError

    def declare_providers(self, kind: str, data: bytes) -> None:
        """Take a JSON list of providers of one `kind` (`tool`, `model`, `agent_strategy`, ...): all are validated, the first one counts."""
        raise NotImplementedError

    def remap(self, assets: Mapping[str, bytes]) -> Remapped:
        """The complete declaration, icons found among `assets` by their names, defaults filled in. Raises MissingIcon."""
        raise NotImplementedError

    def check(self) -> None:
        """The rules across fields (package-format 8). Raises IllegalManifest with the rule alone."""
        raise NotImplementedError
