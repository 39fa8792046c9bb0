"""What an upload must pass before anything of it is stored, with the words for each refusal (package-format 21, 22.3, 23)."""

from pathlib import Path

from attrs import define, field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadIdentifier, BadPackage
from difyd.package.bundle import BundleArchive
from difyd.package.dependencies import PackageDependency
from difyd.package.errors import BadAuthor, BundledPackageFailed, IllegalManifest, MissingIcon, UnreadablePackage
from difyd.package.policy import Policy
from difyd.package.reader import Package, Remapped, read_package_blocking
from difyd.package.signature import Keys


@frozen
class Accepted:
    """A package that may be stored: the file it is in, what was read from it, what must be stored beside it."""

    path: Path
    package: Package
    stored: Remapped = field(repr=False)

    @property
    def identifier(self) -> PluginIdentifier:
        return self.package.identifier


@frozen
class Reported:
    """A dependency of a bundle that the API server fetches itself: `type` is `marketplace` or `github`, `value` what it is told."""

    type: str
    value: dict[str, str]


@frozen
class Gate:
    """The checks of uploads; all methods block and belong on a thread."""

    keys: Keys
    policy: Policy
    max_package_size: int
    """Bytes of all contents of a package (MAX_PLUGIN_PACKAGE_SIZE)."""

    def package_blocking(self, path: Path, *, verify: bool = False) -> Accepted:
        """
        Check an uploaded package. Raises BadPackage or BadIdentifier (-400) with the texts of package-format 8, 18.2, 21; OSError.

        Storing is the caller's; when that fails the text is `<cause>\\nfailed to save package`.
        """
        try:
            package = read_package_blocking(path, keys=self.keys, max_size=self.max_package_size)
        except IllegalManifest as why:
            raise IllegalManifest(f"{why}\nillegal plugin manifest\nfailed to decode package") from why
        self.policy.admit(package, verify=verify)
        try:
            return Accepted(path, package, package.remap())
        except MissingIcon as why:
            raise BadPackage(f"{why}\nfailed to remap assets\nfailed to save package") from why

    def bundle_blocking(self, path: Path, workspace: Path, *, verify: bool = False) -> list[Accepted | Reported]:
        """
        Check an uploaded bundle: one item per dependency, in its order.

        The packages in it are written as files into the directory `workspace`, which must outlive the storing. Raises BundledPackageFailed
        (its `ours` tells -500 from -400), BadPackage (-400), OSError, with the texts of package-format 22.3.
        """
        try:
            opened = BundleArchive.open_blocking(path, max_package_size=self.max_package_size)
        except BadPackage as why:
            raise BadPackage(f"{why}\nfailed to decode bundle") from why
        with opened as bundle:
            packages = _Packages(self, bundle, workspace, verify)
            for name in dict.fromkeys(one.path for one in bundle.dependencies if isinstance(one, PackageDependency)):
                packages.read(name)
            packages.remap()
            return [
                packages.accepted[one.path] if isinstance(one, PackageDependency) else Reported(one.type, one.report())
                for one in bundle.dependencies
            ]


@define(eq=False)
class _Packages:
    """The packages of one bundle: first all are read and judged, then all are made ready to be stored."""

    _gate: Gate
    _bundle: BundleArchive
    _workspace: Path
    _verify: bool
    _read: dict[str, tuple[Path, Package]] = field(factory=dict, init=False)
    accepted: dict[str, Accepted] = field(factory=dict, init=False)

    def read(self, name: str) -> None:
        path = self._workspace / f"{len(self._read)}.difypkg"
        if not self._bundle.copy_asset(name, path):
            raise BundledPackageFailed("failed to fetch package from bundle\nasset not found", ours=True)
        try:
            package = read_package_blocking(path, keys=self._gate.keys, max_size=self._gate.max_package_size)
        except UnreadablePackage as why:
            raise BundledPackageFailed(f"failed to create package decoder\n{why}") from why
        except (BadIdentifier, BadAuthor) as why:
            raise BundledPackageFailed(f"failed to get package unique identifier\n{why}") from why
        except IllegalManifest as why:
            raise BundledPackageFailed(f"failed to decode package\n{why}\nillegal plugin manifest", ours=True) from why
        self._gate.policy.admit(package, verify=self._verify)
        self._read[name] = path, package

    def remap(self) -> None:
        for name, (path, package) in self._read.items():
            try:
                self.accepted[name] = Accepted(path, package, package.remap())
            except MissingIcon as why:
                raise BundledPackageFailed(f"failed to save package\n{why}\nfailed to remap assets", ours=True) from why
