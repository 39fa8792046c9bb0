"""What a bundle depends on, and the patterns that say it (package-format 22.1)."""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, Self

from attrs import frozen

from difyd.package.documents.source import Node, Problem, Source
from difyd.package.errors import UnreadablePackage
from difyd.package.schema.types import Field, Record, Text

_VERSION: Final = r"[0-9]{1,4}(?:\.[0-9]{1,4}){2}(?:-\w{1,16})?"
_PART: Final = r"(?:[0-9]{1,4}|[xX])"
_WANTED: Final = rf"[~^]?{_VERSION}|{_PART}\.{_PART}\.{_PART}|{_VERSION}-{_VERSION}"
_MARKETPLACE: Final = re.compile(rf"([a-z0-9_-]{{1,64}})/([a-z0-9_-]{{1,128}}):({_WANTED})", re.ASCII)
_GITHUB: Final = re.compile(rf"([a-z0-9_-]{{1,64}})/([a-z0-9_-]{{1,128}}):({_WANTED})/([^/]+)", re.ASCII)


@frozen
class MarketplaceDependency:
    """A plugin of the marketplace."""

    organization: str
    plugin: str
    version: str

    type: ClassVar[str] = "marketplace"

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """From `acme/demo:^1.0.0`. Raises UnreadablePackage."""
        match = _MARKETPLACE.fullmatch(pattern)
        if match is None:
            raise UnreadablePackage(f"invalid marketplace pattern: {pattern!r} is not like acme/demo:^1.0.0")
        return cls(*match.groups())

    def value(self) -> dict[str, str]:
        """As the manifest has it."""
        return {"marketplace_pattern": f"{self.organization}/{self.plugin}:{self.version}"}

    def report(self) -> dict[str, str]:
        """What the API server needs to fetch it (package-format 22.3)."""
        return {"organization": self.organization, "plugin": self.plugin, "version": self.version}


@frozen
class GithubDependency:
    """A package that is attached to a release on GitHub."""

    repo: str
    release: str
    asset: str

    type: ClassVar[str] = "github"

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """From `acme/repo:1.x.x/demo.difypkg`. Raises UnreadablePackage."""
        match = _GITHUB.fullmatch(pattern)
        if match is None:
            raise UnreadablePackage(f"invalid github repo pattern: {pattern!r} is not like acme/repo:1.x.x/demo.difypkg")
        owner, name, release, asset = match.groups()
        return cls(f"{owner}/{name}", release, asset)

    def value(self) -> dict[str, str]:
        """As the manifest has it."""
        return {"repo_pattern": f"{self.repo}:{self.release}/{self.asset}"}

    def report(self) -> dict[str, str]:
        """What the API server needs to fetch it (package-format 22.3)."""
        return {"repo_address": f"https://github.com/{self.repo}", "repo": self.repo, "release": self.release, "packages": self.asset}


@frozen
class PackageDependency:
    """A package that travels inside of the bundle: `path` is its name below `_assets/`."""

    path: str

    type: ClassVar[str] = "package"

    def value(self) -> dict[str, str]:
        """As the manifest has it."""
        return {"path": self.path}


Dependency = MarketplaceDependency | GithubDependency | PackageDependency

_HEAD: Final = Record("Dependency", (Field("type", Text()),))
_KINDS: Final[dict[str, tuple[str, Callable[[str], Dependency]]]] = {
    "marketplace": ("marketplace_pattern", MarketplaceDependency.parse),
    "github": ("repo_pattern", GithubDependency.parse),
    "package": ("path", PackageDependency),
}


@frozen
class DependencyType:
    """A dependency as a schema type: `type` says what `value` is."""

    def read(self, source: Source, node: Node) -> Dependency:
        kind = _HEAD.read(source, node)["type"]
        if kind not in _KINDS:
            raise source.unfit(node, f'unknown dependency type "{kind}", the known ones are: {" ".join(_KINDS)}')
        member, parse = _KINDS[kind]
        value = Record("Dependency", (Field("value", Record(f"{kind} dependency", (Field(member, Text()),))),)).read(source, node)
        try:
            return parse(value["value"][member])
        except UnreadablePackage as why:
            raise source.unfit(node, str(why)) from why

    def empty(self) -> None:
        return None

    def check(self, value: Any) -> Iterator[Problem]:
        yield from ()
