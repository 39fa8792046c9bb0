"""From the YAML files of a plugin to its declaration (package-format 9)."""

from typing import Any, Final, Protocol

from attrs import define, field

from difyd.package.documents.nodes import BadYaml
from difyd.package.documents.source import Unfit
from difyd.package.documents.yaml_source import YamlSource
from difyd.package.errors import UnreadablePackage
from difyd.package.kinds import KINDS
from difyd.package.manifest import MANIFEST_FILE, kinds_of
from difyd.package.schema.types import Type, read_value

MANIFEST_PATH: Final = "manifest.yaml"


class Files(Protocol):
    """Where the files of a plugin are: in an archive, or in a directory that is about to become one."""

    def read(self, path: str) -> bytes:
        """The content of the file of exactly this path. Raises UnreadablePackage `open <path>: file does not exist`."""

    def names(self) -> list[str]:
        """The paths of all files that belong to the package, in its order."""


@define(eq=False)
class YamlFiles:
    """Reads the YAML files of one plugin and follows their references; a `FileReader`."""

    _files: Files
    _source: YamlSource = field(factory=YamlSource, init=False)

    def names(self) -> list[str]:
        return self._files.names()

    def value(self, path: str, kind: Type, words: str, *, provider: bool = False) -> Any:
        try:
            data = self._files.read(path)
        except UnreadablePackage as why:
            raise UnreadablePackage(f"{why}\nfailed to read {words} file: {path}") from why
        try:
            value = self.parsed(data, kind)
        except UnreadablePackage as why:
            raise UnreadablePackage(f"{why}\nfailed to unmarshal {'plugin' if provider else words} file: {path}") from why
        references, self._source.references = self._source.references, []
        for reference in references:
            reference.follow(self)
        return value

    def manifest(self) -> dict[str, Any]:
        """The manifest. References of kinds that are written inside of it are not followed (package-format 7.6)."""
        data = self._files.read(MANIFEST_PATH)
        try:
            manifest: dict[str, Any] = self.parsed(data, MANIFEST_FILE)
        except UnreadablePackage as why:
            raise UnreadablePackage(f"{why}\nfailed to unmarshal plugin file: {MANIFEST_PATH}") from why
        self._source.references.clear()
        return manifest

    def parsed(self, data: bytes, kind: Type) -> Any:
        """`data` as `kind`, references unfollowed. Raises UnreadablePackage with a text that starts with `yaml:`, as a rule."""
        try:
            return read_value(kind, self._source, self._source.parse(data))
        except Unfit as why:
            raise UnreadablePackage(self._source.describe(why)) from why
        except BadYaml as why:
            raise UnreadablePackage(str(why)) from why


def load(files: Files) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """
    The manifest and, by kind, the providers of a plugin; of several provider files of one kind the last one counts.

    Raises UnreadablePackage with the texts of package-format 9.
    """
    reader = YamlFiles(files)
    manifest = reader.manifest()
    providers: dict[str, dict[str, Any]] = {kind: manifest[kind] for kind in kinds_of(manifest)}
    for kind in KINDS:
        for path in manifest["plugins"][kind.files] or ():
            providers[kind.name] = reader.value(path, kind.provider, kind.words, provider=True)
    return manifest, providers
