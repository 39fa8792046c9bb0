"""What an upload must pass before anything of it is stored, with the words for each refusal (package-format 21, 22.3, 23)."""

from pathlib import Path

from attrs import field, frozen

from difyd.entities.identifier import PluginIdentifier
from difyd.package.policy import Policy
from difyd.package.reader import Package, Remapped
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
    """Bytes, of the file and of its contents (MAX_PLUGIN_PACKAGE_SIZE)."""

    def package_blocking(self, path: Path, *, verify: bool = False) -> Accepted:
        """
        Check an uploaded package. Raises BadPackage or BadIdentifier (-400) with the texts of package-format 8, 18.2, 21; OSError.

        Storing is the caller's; when that fails the text is `<cause>\\nfailed to save package`.
        """
        raise NotImplementedError

    def bundle_blocking(self, path: Path, workspace: Path, *, verify: bool = False) -> list[Accepted | Reported]:
        """
        Check an uploaded bundle: one item per dependency, in its order.

        The packages in it are written as files into the directory `workspace`, which must outlive the storing. Raises BundledPackageFailed
        (its `ours` tells -500 from -400), BadPackage (-400), OSError, with the texts of package-format 22.3.
        """
        raise NotImplementedError
