"""What authors should hear about a package that they have just built (package-format 25.4)."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from difyd.errors import BadIdentifier, BadPackage
from difyd.package.archive import Archive
from difyd.package.documents.source import lines
from difyd.package.kinds import BY_NAME
from difyd.package.manifest import check_manifest
from difyd.package.reader import read_package_blocking
from difyd.package.readme import readmes
from difyd.package.signature import Keys

_SECRET: Final = (".env", ".git", ".venv", ".pem", ".key", ".difypkg", ".difybndl")


def regrets_blocking(package: Path, manifest: Mapping[str, Any], providers: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """One sentence for each; the first says why a daemon would refuse the package, if it would. Raises OSError."""
    yield from _refusal(package, manifest, providers)
    for kind, provider in providers.items():
        for line in lines(BY_NAME[kind].provider.check(provider)).splitlines():
            yield f"the debugging port will refuse this {kind} declaration: {line}"
    for name, version in (("version", manifest["version"]), ("minimum_dify_version", manifest["meta"]["minimum_dify_version"])):
        if version and not _is_pep440(version):
            yield f"Dify cannot compare the {name} {version!r} with others: it is not as PEP 440 has it"
    with Archive.open_blocking(package) as archive:
        try:
            readmes(archive)
        except BadPackage:
            yield "there is no README.md"
        for path in archive.names():
            if any(step in _SECRET or PurePosixPath(step).suffix in _SECRET for step in path.split("/")):
                yield f"{path} is in the package: everybody who gets it can read that file"


def _refusal(package: Path, manifest: Mapping[str, Any], providers: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    try:
        check_manifest(manifest["author"], manifest["name"], providers)
        read_package_blocking(package, keys=Keys()).remap()
    except (BadPackage, BadIdentifier) as why:
        yield f"a daemon will refuse the package: {'; '.join(str(why).splitlines())}"


def _is_pep440(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True
