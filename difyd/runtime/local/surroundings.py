"""What the processes that we start find in their environment (local-runtime 4.6, 5.2, 14.5; configuration 5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

from difyd.runtime.local.owner import VARIABLE

BUILD_NAMES: Final = ("UV_INDEX_NEXUS_USERNAME", "UV_INDEX_NEXUS_PASSWORD", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""What an installer gets of the daemon's environment, even when it is set to nothing."""
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@frozen
class Surroundings:
    """The daemon's environment, and what of it goes where."""

    _inherited: Mapping[str, str] = field(repr=False)
    """The environment that the daemon was started with."""
    _secrets: frozenset[str]
    """
    Names of the daemon's own credentials, which go nowhere. Exact names and no prefixes: plugins rely on the operator's other variables, also
    on those of cloud providers.
    """
    _mark: str
    """Put into the environment of plugins, for who has to tell whose they are."""

    def plugin(self) -> dict[str, str]:
        """For a plugin: everything but the secrets, so that an operator can tune plugins by setting variables on the daemon."""
        environment = self.inherited()
        environment.setdefault("MALLOC_ARENA_MAX", "2")  # glibc's arenas cost a threaded plugin tens of megabytes
        environment |= {"INSTALL_METHOD": "local", "PATH": self._inherited.get("PATH", ""), VARIABLE: self._mark}
        environment.pop("VIRTUAL_ENV", None)  # the daemon's own, if it runs in one
        return environment

    def inherited(self) -> dict[str, str]:
        """For tools that need no secrets: the making of an environment, the compiler."""
        environment = {name: value for name, value in self._inherited.items() if name not in self._secrets}
        return environment | self._proxies()

    def build(self, working_directory: Path, cache: Path) -> dict[str, str]:
        """For an installer, which runs foreign build scripts: built from nothing."""
        environment = {
            "VIRTUAL_ENV": str(working_directory / ".venv"),
            "PATH": self._inherited.get("PATH", ""),
            "UV_CACHE_DIR": str(cache),
        }
        environment |= {name: self._inherited[name] for name in BUILD_NAMES if name in self._inherited}
        return environment | self._proxies()

    def _proxies(self) -> dict[str, str]:
        """The proxies under their upper-case names, each falling back to its lower-case one."""
        found = {name: self._inherited.get(name) or self._inherited.get(name.lower(), "") for name in PROXIES}
        return {name: value for name, value in found.items() if value}
