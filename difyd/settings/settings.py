"""All settings as one value."""

from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import attrs
from attrs import field, frozen

from difyd.errors import DaemonError
from difyd.settings import areas, backends, checks
from difyd.settings.gather import gather
from difyd.settings.variable import Variable, declared

_INSTALLER_CREDENTIALS: Final = ("UV_INDEX_NEXUS_USERNAME", "UV_INDEX_NEXUS_PASSWORD")
"""Not settings of ours: only the installer of dependencies gets them (local-runtime 4.6)."""


class BadSettings(DaemonError):
    """
    The daemon cannot start with what its environment says. Raised before anything is opened.

    `problems` are sentences for the operator; `settings` is what could be read, with defaults in place of what could not.
    """

    def __init__(self, problems: tuple[str, ...], settings: "Settings") -> None:
        super().__init__("\n".join(problems))
        self.problems, self.settings = problems, settings


# attrs gives values to the last base first: the settings that a derived default looks at stand below the one that looks.
@frozen(kw_only=True, slots=False, repr=False)  # a URL may hold a password; what may be shown is in `effective`
class Settings(
    backends.Cluster,
    backends.Redis,
    backends.Database,
    backends.Serverless,
    backends.ObjectStorage,
    areas.Telemetry,
    areas.Signatures,
    areas.Environments,
    areas.Debugging,
    areas.Directories,
    areas.Calls,
    areas.Dify,
    areas.Server,
):
    """
    What an operator may decide. One attribute for each environment variable, named as the variable in lower case.

    Made with keyword arguments in tests (three are required), by `from_environment` in a daemon. Directories are absolute.
    """

    given: frozenset[str] = field(default=frozenset(), eq=False)
    """Attributes that the environment or the file set; all others have their defaults."""
    warnings: tuple[str, ...] = field(default=(), eq=False)
    """What to log once at the start: names without effect, old names, oddities."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], file: Path | None = None) -> Self:
        """
        Read `environment`, and the settings file `file` (else the one that DIFYD_SETTINGS names), which the environment overrides.

        Raises BadSettings with everything that is wrong.
        """
        if file is None and environment.get("DIFYD_SETTINGS"):
            file = Path(environment["DIFYD_SETTINGS"])
        found = gather(variables(), environment, file)
        missing = {variable.attribute: "" for variable in variables() if variable.required}
        settings = cls(**{**missing, **found.values}, given=frozenset(found.values))
        wrong = [sentence for variable, sentence in checks.problems(settings) if variable not in found.blamed]
        if problems := (*found.problems, *wrong):
            raise BadSettings(problems, settings)
        return attrs.evolve(settings, warnings=(*found.warnings, *checks.oddities(settings)))

    def unsupported(self) -> tuple[str, ...]:
        """Sentences for what this version cannot do: a daemon that ignored them would keep data where nobody looks for it."""
        return tuple(checks.unsupported(self))

    def effective(self) -> dict[str, str]:
        """Every variable and its value, fit for a log: secrets and credentials in URLs are masked."""
        return {variable.name: variable.masked(getattr(self, variable.attribute)) for variable in variables()}

    def __repr__(self) -> str:
        effective = self.effective()
        given = (name for name in effective if name.lower() in self.given)
        return f"Settings({', '.join(f'{name}={effective[name]!r}' for name in given)})"

    @staticmethod
    def secret_names() -> frozenset[str]:
        """Environment variables that no child inherits: exact names, plugins rely on others that look alike (local-runtime 14.5)."""
        withheld = [variable for variable in variables() if variable.withheld]
        names = {name for variable in withheld for name in (variable.name, *variable.aliases)}
        files = {f"{variable.name}_FILE" for variable in withheld if variable.secret}
        return frozenset(names | files | set(_INSTALLER_CREDENTIALS))

    @property
    def data_directory(self) -> Path:
        """Holds the embedded database, stored packages and the lock that keeps a second daemon away."""
        return self.plugin_storage_local_root

    @property
    def zone(self) -> tzinfo:
        """The time zone of what is printed and returned. UTC needs no database of zones, which small images lack."""
        return UTC if self.server_tz == "UTC" else ZoneInfo(self.server_tz)

    @property
    def in_process(self) -> bool:
        """Is the cache kept in the process? Then there is one node only."""
        return not (self.redis_host or self.redis_use_sentinel or self.redis_use_clusters)

    @property
    def line_limit(self) -> int:
        """Longest line of a child process, in bytes: the older variable wins where it says something (configuration 2.3)."""
        older = self.plugin_stdio_max_buffer_size
        return self.plugin_runtime_max_buffer_size if older in (0, _default("plugin_stdio_max_buffer_size")) else older


def sections() -> Iterator[tuple[str, tuple[Variable, ...]]]:
    """The areas by their headings, in the order of the documentation."""
    for area in reversed(Settings.__bases__):
        yield (area.__doc__ or ""), declared(area)


def variables() -> tuple[Variable, ...]:
    """Every environment variable that the daemon reads."""
    return declared(Settings)


def _default(attribute: str) -> Any:
    return getattr(attrs.fields(Settings), attribute).default
