"""Tests for difyd.settings."""

import re
from pathlib import Path

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.settings import BadSettings, Settings, areas, variables
from difyd.settings.page import listing, reference
from difyd.settings.variable import Status, Variable, declared, duration, flag, integer, positive, words
from tests.certificates import certificate

REQUIRED = {"SERVER_KEY": "key", "DIFY_INNER_API_URL": "http://api:5001", "DIFY_INNER_API_KEY": "inner"}
ROOT = Path(__file__).parent.parent


@attrs.frozen(kw_only=True, slots=False)
class _Sample:
    """One variable of each kind."""

    flag: bool = flag(False, "")
    integer: int = integer(7, "", least=-20, most=65535)
    positive: int = positive(600, "")
    duration: float = duration(5.0, "")
    words: tuple[str, ...] = words((), "")


def sample(name: str) -> Variable:
    return next(variable for variable in declared(_Sample) if variable.attribute == name)


class Values(SynchronousTestCase):
    """How texts become values (configuration 1)."""

    def accepts(self, name: str, **spellings: object) -> None:
        for spelling, value in spellings.items():
            self.assertEqual(sample(name).parse(spelling), value, spelling)

    def refuses(self, name: str, *spellings: str) -> None:
        for spelling in spellings:
            self.assertRaises(ValueError, sample(name).parse, spelling)

    def test_booleans(self) -> None:
        """Twelve spellings are known; yes and on are not among them."""
        self.accepts("flag", **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True))
        self.accepts("flag", **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False))
        self.refuses("flag", "yes", "on", "tRUE", " true", "2")

    def test_integers(self) -> None:
        """Decimal, hexadecimal, octal with 0o or a leading zero, binary; underscores between digits."""
        self.accepts("integer", **{"12": 12, "-3": -3, "0x1F": 31, "0o17": 15, "017": 15, "-017": -15, "0b101": 5, "1_000": 1000, "0": 0})
        self.refuses("integer", "abc", "1.5", "1__0", "_1", " 1", "089", "0x", "٣", "65536", "-21", "")

    def test_durations(self) -> None:
        """Numbers with units, added up; a bare number other than 0 is none."""
        self.accepts("duration", **{"300ms": 0.3, "5s": 5.0, "1m30s": 90.0, "2h": 7200.0, "1.5s": 1.5, "0": 0})
        self.refuses("duration", "5", "s", "1m 30s", "5 s", "-1s")

    def test_lists(self) -> None:
        """Items are trimmed and empty ones dropped, unlike the reference's (configuration 11.2)."""
        self.accepts("words", **{"a, b ,,c": ("a", "b", "c"), " ": ()})

    def test_zero_where_it_means_the_default(self) -> None:
        """Where the reference replaces 0 by the default, so do we."""
        self.assertIsNone(sample("positive").parse("0"))
        self.assertEqual(sample("positive").parse("1"), 1)

    @given(st.integers(-20, 65535))
    def test_every_integer_in_its_range(self, value: int) -> None:
        """An integer is read back from each way of writing it."""
        for written in (str(value), hex(value), oct(value), bin(value)):
            self.assertEqual(sample("integer").parse(written), value)


class Defaults(SynchronousTestCase):
    """What is left to us (decision table, "Required settings")."""

    def test_three_settings_suffice(self) -> None:
        """A key and the way to the Dify API server: the rest is embedded, on this machine, in one directory."""
        settings = Settings.from_environment(REQUIRED)
        data = Path("storage").absolute()
        self.assertEqual(settings.data_directory, data)
        self.assertEqual(settings.plugin_working_path, data / "cwd")
        self.assertEqual(settings.db_sqlite_path, data / "dify_plugin.db")
        self.assertEqual((settings.platform, settings.db_type, settings.in_process), ("local", "sqlite", True))
        self.assertEqual((settings.plugin_remote_installing_host, settings.plugin_remote_installing_port), ("127.0.0.1", 5003))
        self.assertEqual((settings.warnings, settings.unsupported()), ((), ()))

    def test_the_same_in_code(self) -> None:
        """A test that builds Settings gets the defaults that a daemon gets."""
        built = Settings(server_key="key", dify_inner_api_url="http://api:5001", dify_inner_api_key="inner")
        self.assertEqual(built, Settings.from_environment(REQUIRED))

    def test_derived_defaults_follow(self) -> None:
        """The working path and the database move with the data directory; each can be put elsewhere."""
        settings = Settings.from_environment({**REQUIRED, "PLUGIN_STORAGE_LOCAL_ROOT": "/data", "PLUGIN_WORKING_PATH": "/fast"})
        self.assertEqual(settings.db_sqlite_path, Path("/data/dify_plugin.db"))
        self.assertEqual(settings.plugin_working_path, Path("/fast"))

    def test_empty_is_absent(self) -> None:
        """Compose files pass empty values for what nobody set; the reference dies of them."""
        settings = Settings.from_environment({**REQUIRED, "REDIS_PORT": "", "PLATFORM": "", "PROMETHEUS_ENABLED": "", "DB_HOST": ""})
        self.assertEqual(settings, Settings.from_environment(REQUIRED))

    def test_a_database_server(self) -> None:
        """A host alone means PostgreSQL, as in every existing environment file."""
        server = {"DB_HOST": "db", "DB_PORT": "5432", "DB_USERNAME": "u", "DB_PASSWORD": "p", "DB_DATABASE": "d"}
        settings = Settings.from_environment({**REQUIRED, **server})
        self.assertEqual((settings.db_type, settings.db_default_database), ("postgresql", "postgres"))
        self.assertEqual(Settings.from_environment({**REQUIRED, **server, "DB_TYPE": "oceanbase"}).db_default_database, "mysql")

    def test_levels_of_other_services(self) -> None:
        """LOG_LEVEL is shared with services that know more levels, in any case."""
        for written, level in {"warning": "WARN", "Critical": "ERROR", "FATAL": "ERROR", "debug": "DEBUG"}.items():
            self.assertEqual(Settings.from_environment({**REQUIRED, "LOG_LEVEL": written}).log_level, level)

    def test_longest_line(self) -> None:
        """The deprecated variable wins when it says something: neither 0 nor its default (configuration 2.3)."""
        for older, limit in {"9000": 9000, "0": 7000, "5242880": 7000}.items():
            environment = {**REQUIRED, "PLUGIN_RUNTIME_MAX_BUFFER_SIZE": "7000", "PLUGIN_STDIO_MAX_BUFFER_SIZE": older}
            self.assertEqual(Settings.from_environment(environment).line_limit, limit)


class Complaints(SynchronousTestCase):
    """What a daemon that cannot start says (configuration 3, 11.1)."""

    def problems(self, **environment: str) -> list[str]:
        return list(self.assertRaises(BadSettings, Settings.from_environment, {**REQUIRED, **environment}).problems)

    def test_everything_at_once(self) -> None:
        """Whoever mends an environment file learns of all mistakes in one go, each by the name of its variable."""
        problems = self.assertRaises(BadSettings, Settings.from_environment, {"SERVER_PORT": "abc", "PLATFORM": "moon"}).problems
        self.assertEqual(
            problems,
            (
                "error processing environment variables: SERVER_PORT is 'abc'; accepted is an integer from 0 to 65535",
                "invalid configuration: SERVER_KEY must be set: what the Dify API server sends as `X-Api-Key`",
                "invalid configuration: invalid platform: PLATFORM is 'moon'; accepted is one of local, serverless",
                "invalid configuration: DIFY_INNER_API_URL must be set: base URL of the inner API, through which plugins call Dify",
                "invalid configuration: DIFY_INNER_API_KEY must be set: sent to the inner API as `X-Inner-Api-Key`",
            ),
        )

    def test_one_rule_each(self) -> None:
        """Rules about several settings blame the one that an operator has to change, and begin with the reference's text."""
        for environment, beginning in (
            ({"SERVER_TZ": "Local"}, "load location error: unknown time zone Local"),
            ({"SERVER_TZ": "../etc/passwd"}, "load location error: unknown time zone"),
            ({"LOG_LEVEL": "loud"}, "failed to init logger: invalid LOG_LEVEL"),
            ({"DB_SSL_MODE": "maybe"}, "invalid configuration: DB_SSL_MODE"),
            ({"DB_TYPE": "oracle"}, "unsupported database type: DB_TYPE is 'oracle'"),
            ({"DB_GORM_LOG_LEVEL": "x"}, "invalid configuration: invalid gorm log level: 'x'"),
            ({"DIFY_INNER_API_URL": "api:5001"}, "init dify invocation daemon failed: DIFY_INNER_API_URL"),
            ({"DIFY_INNER_API_URL": "http://me:pass@api"}, "init dify invocation daemon failed: DIFY_INNER_API_URL names a user"),
            ({"DIFY_INNER_API_URL": "http://[::1"}, "init dify invocation daemon failed: DIFY_INNER_API_URL"),
            ({"ADMIN_API_ENABLED": "1", "ADMIN_API_KEY": "short"}, "length of admin api key must be greater than 10"),
            ({"REDIS_USE_AZURE_MANAGED_IDENTITY": "1", "REDIS_DB": "3"}, "invalid configuration: Azure Managed Redis only supports db 0"),
            ({"REDIS_USE_SSL": "1", "REDIS_SSL_CERT_REQS": "X"}, "invalid Redis TLS config: invalid REDIS_SSL_CERT_REQS value: X"),
            ({"REDIS_USE_SSL": "1", "REDIS_SSL_CERT_REQS": "CERT_REQUIRED"}, "invalid Redis TLS config: REDIS_SSL_CA_CERTS must be"),
            ({"REDIS_HOST": "redis"}, "invalid configuration: REDIS_PORT must be set"),
            ({"REDIS_USE_SENTINEL": "1"}, "invalid configuration: REDIS_USE_SENTINEL needs REDIS_SENTINELS"),
        ):
            problems = self.problems(**environment)
            self.assertEqual(len(problems), 1, problems)
            self.assertTrue(problems[0].startswith(beginning), problems[0])

    def test_serverless_needs_a_connector(self) -> None:
        """Both variables of the connector are missed by name."""
        self.assertEqual(
            [problem.partition(":")[0] for problem in self.problems(PLATFORM="serverless")],
            ["dify plugin serverless connector url is empty", "dify plugin serverless connector api key is empty"],
        )

    def test_a_database_server_needs_all_five(self) -> None:
        """An empty password is refused like a missing one."""
        problems = self.problems(DB_HOST="db", DB_PORT="x", DB_PASSWORD="")
        self.assertEqual([problem.split(": ")[1].split()[0] for problem in problems], ["DB_PORT", "DB_USERNAME", "DB_PASSWORD", "DB_DATABASE"])

    def test_never_a_secret(self) -> None:
        """No secret shows in a complaint, in the effective settings or in a representation; nor does a password in a URL."""
        environment = {**REQUIRED, "SERVER_KEY": "hidden", "ADMIN_API_KEY": "hidden", "PIP_MIRROR_URL": "https://user:hidden@mirror/simple"}
        settings = Settings.from_environment(environment)
        self.assertEqual(settings.effective()["PIP_MIRROR_URL"], "https://********@mirror/simple")
        wrong = {**environment, "ADMIN_API_ENABLED": "1", "DIFY_INNER_API_URL": "ftp://user:hidden@dify"}
        for shown in (listing(settings), repr(settings), *self.problems(**wrong)):
            self.assertNotIn("hidden", shown)

    def test_what_comes_later(self) -> None:
        """Settings that this version would have to ignore refuse the start, by name."""
        server = {"DB_HOST": "db", "DB_PORT": "1", "DB_USERNAME": "u", "DB_PASSWORD": "p", "DB_DATABASE": "d"}
        connector = {"DIFY_PLUGIN_SERVERLESS_CONNECTOR_URL": "http://c", "DIFY_PLUGIN_SERVERLESS_CONNECTOR_API_KEY": "k"}
        for environment, beginning in (
            (server, "DB_TYPE=postgresql is not supported"),
            ({"REDIS_HOST": "r", "REDIS_PORT": "1"}, "Redis is not supported"),
            ({"PLUGIN_STORAGE_TYPE": "s3"}, "PLUGIN_STORAGE_TYPE=s3 is not supported"),
            ({"PLATFORM": "serverless", **connector}, "PLATFORM=serverless is not supported"),
        ):
            [sentence] = Settings.from_environment({**REQUIRED, **environment}).unsupported()
            self.assertTrue(sentence.startswith(beginning), sentence)


class Warnings(SynchronousTestCase):
    """What is worth a word and no refusal (configuration 4.1, 11.3)."""

    def warnings(self, **environment: str) -> list[str]:
        return list(Settings.from_environment({**REQUIRED, **environment}).warnings)

    def test_without_effect(self) -> None:
        """A variable that changes nothing is named when it is set to something else than its default."""
        self.assertEqual(self.warnings(PIP_PREFER_BINARY="true", GIN_MODE="release"), [])
        [warning] = self.warnings(PIP_PREFER_BINARY="false")
        self.assertIn("PIP_PREFER_BINARY", warning)

    def test_slips(self) -> None:
        """A name that is a setting's but for a slip is told with the name that was meant; others in the environment are nobody's business."""
        slips = {
            "PLUGIN_MAX_EXECUTION_TIMOUT": "PLUGIN_MAX_EXECUTION_TIMEOUT",
            "FORCE_VERIFYING_SIGNATURES": "FORCE_VERIFYING_SIGNATURE",
            "SERVER_PROT": "SERVER_PORT",
            "LOG_LEVEK": "LOG_LEVEL",
        }
        for name, meant in slips.items():
            self.assertEqual(self.warnings(**{name: "secret"}), [f"{name} is no setting of the daemon; is {meant} meant?"])
        others = ("DB_PLUGIN_DATABASE", "PLUGIN_MAX_PACKAGE_SIZE", "REDIS_MAX_CONNECTIONS", "BAIDU_OBS_ACCESS_KEY", "SERVER_IP", "PATH", "X")
        self.assertEqual(self.warnings(**dict.fromkeys(others, "x")), [])

    def test_older_names(self) -> None:
        """An old name counts while the new one is absent; when both differ the new one does, and that is said."""
        settings = Settings.from_environment({**REQUIRED, "DB_USER": "old"})
        self.assertEqual(settings.db_username, "old")
        self.assertIn("DB_USER is an old name of DB_USERNAME", settings.warnings[0])
        settings = Settings.from_environment({**REQUIRED, "DB_USER": "old", "DB_USERNAME": "new"})
        self.assertEqual(settings.db_username, "new")
        self.assertIn("differ", settings.warnings[0])
        self.assertEqual(self.warnings(DB_USER="same", DB_USERNAME="same"), [])

    def test_proxies_in_lower_case(self) -> None:
        """The lower-case spelling is as good as the other and deserves no word."""
        settings = Settings.from_environment({**REQUIRED, "https_proxy": "http://proxy:1", "http_proxy": "a", "HTTP_PROXY": "b"})
        self.assertEqual((settings.https_proxy, settings.http_proxy, settings.warnings), ("http://proxy:1", "b", ()))

    def test_an_odd_prefix(self) -> None:
        """A storage prefix that object stores dislike is named."""
        [warning] = self.warnings(PLUGIN_INSTALLED_PATH="/plugin")
        self.assertIn("PLUGIN_INSTALLED_PATH is '/plugin'", warning)


class Files(SynchronousTestCase):
    """Settings and secrets in files."""

    def file(self, content: str | bytes) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def test_settings_file(self) -> None:
        """Lines of a settings file count as variables, and the environment goes before them."""
        file = self.file("# comment\n\nSERVER_KEY='from file'\nexport SERVER_PORT = 1234\nLOG_LEVEL=\"DEBUG\"\nREDIS_DB=\n")
        settings = Settings.from_environment({**REQUIRED, "SERVER_KEY": "from environment"}, file)
        self.assertEqual((settings.server_key, settings.server_port, settings.log_level), ("from environment", 1234, "DEBUG"))
        self.assertEqual(Settings.from_environment({**REQUIRED, "SERVER_KEY": "", "DIFYD_SETTINGS": str(file)}).server_key, "from file")

    def test_typing_mistakes(self) -> None:
        """A line that is no assignment refuses the start by its number; a name that nobody knows is a warning."""
        file = self.file("SERVER_PROT=1\nNOBODYS=2\n")
        slip, foreign = Settings.from_environment(REQUIRED, file).warnings
        self.assertIn("SERVER_PORT", slip)
        self.assertEqual(foreign, f"{file}: these names are no settings of the daemon: NOBODYS")
        file = self.file("SERVER_PORT=1\nnonsense\n")
        [problem] = self.assertRaises(BadSettings, Settings.from_environment, REQUIRED, file).problems
        self.assertIn("line 2", problem)

    def test_unreadable_settings(self) -> None:
        """A settings file that is missing or no text refuses the start."""
        for file in (Path(self.mktemp()), self.file(b"\xff\xfe")):
            [problem] = self.assertRaises(BadSettings, Settings.from_environment, REQUIRED, file).problems
            self.assertIn(str(file), problem)

    def test_secrets(self) -> None:
        """<NAME>_FILE names the file that holds a secret, whose last newline is none of it; the variable itself goes first."""
        file = self.file("from file\n")
        environment = {**REQUIRED, "SERVER_KEY": "", "SERVER_KEY_FILE": str(file)}
        self.assertEqual(Settings.from_environment(environment).server_key, "from file")
        self.assertEqual(Settings.from_environment({**environment, "SERVER_KEY": "itself"}).server_key, "itself")

    def test_missing_secret(self) -> None:
        """A file of a secret that is missing or empty is the one problem told, not that the secret is unset as well."""
        for file in (Path(self.mktemp()), self.file("\n")):
            environment = {**REQUIRED, "SERVER_KEY": "", "SERVER_KEY_FILE": str(file)}
            [problem] = self.assertRaises(BadSettings, Settings.from_environment, environment).problems
            self.assertIn("SERVER_KEY_FILE", problem)


class Children(SynchronousTestCase):
    """What plugins may not see (local-runtime 14.5)."""

    def test_credentials_by_exact_name(self) -> None:
        """Every credential of ours is withheld under all its names; variables that look alike are not."""
        withheld = Settings.secret_names()
        self.assertLessEqual({"SERVER_KEY", "DB_USERNAME", "DB_PASS", "GCS_CREDENTIALS", "OTLP_API_KEY", "UV_INDEX_NEXUS_PASSWORD"}, withheld)
        self.assertFalse({"AWS_ROLE_ARN", "AWS_REGION", "AZURE_CLIENT_ID", "HTTPS_PROXY", "DB_HOST", "LANG"} & withheld)


class Documentation(SynchronousTestCase):
    """The page is made from the declarations."""

    def test_the_page(self) -> None:
        """docs/configuration.md holds exactly the tables that `make docs` writes."""
        page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
        self.assertIn(reference(), page, "run 'make docs'")

    def test_the_listing_is_a_settings_file(self) -> None:
        """What --check prints can be read again and says the same, but for the secrets."""
        settings = Settings.from_environment({**REQUIRED, "LOG_LEVEL": "DEBUG", "PLUGIN_PYTHON": "3.11"})
        file = Path(self.mktemp())
        file.write_text(listing(settings), encoding="utf-8")
        again = Settings.from_environment({}, file)
        self.assertEqual(attrs.evolve(again, server_key="key", dify_inner_api_key="inner"), settings)

    def test_what_has_an_effect(self) -> None:
        """A setting is marked to come later exactly as long as the daemon is built without it; those of shared stores refuse the start."""
        built = "".join((ROOT / "difyd" / name).read_text(encoding="utf-8") for name in ("service.py", "tap.py", "settings/settings.py"))
        used = set(re.findall(r"\b(?:settings|self)\.([a-z0-9_]+)", built))
        for area in Settings.__bases__:
            if area.__module__ == areas.__name__:
                for variable in declared(area):
                    effect = variable.attribute in used
                    self.assertFalse(effect and variable.status is Status.LATER, f"{variable.name} has an effect now: drop its status")
                    self.assertFalse(not effect and variable.status is Status.ACTIVE, f"{variable.name} has no effect: say so")

    def test_unique_names(self) -> None:
        """No two settings answer to one name, old names included."""
        names = [name for variable in variables() for name in (variable.name, *variable.aliases)]
        self.assertEqual(len(names), len(set(names)))


class DebuggingTests(SynchronousTestCase):
    """The port for plugins under development (debug-runtime 1)."""

    def problems(self, **given: str) -> tuple[str, ...]:
        with self.assertRaises(BadSettings) as caught:
            Settings.from_environment({"SERVER_KEY": "k", "DIFY_INNER_API_URL": "http://a", "DIFY_INNER_API_KEY": "i", **given})
        return caught.exception.problems

    def test_address(self) -> None:
        """An empty host and a port of 0 refuse the start, as long as the port is wanted."""
        for name, value in (("HOST", ""), ("PORT", "0")):
            (problem,) = self.problems(**{f"PLUGIN_REMOTE_INSTALLING_{name}": value})
            self.assertIn(f"plugin remote installing {name.lower()} is empty", problem)

    def test_tls(self) -> None:
        """A certificate needs its key."""
        (problem,) = self.problems(PLUGIN_REMOTE_INSTALLING_TLS_CERTIFICATE="/c.pem")
        self.assertIn("belong together", problem)

    def with_files(self, certificate: Path, key: Path) -> dict[str, str]:
        prefix = "PLUGIN_REMOTE_INSTALLING_TLS"
        return {f"{prefix}_CERTIFICATE": str(certificate), f"{prefix}_KEY": str(key)}

    def test_bad_certificate(self) -> None:
        """Files that are missing, hold something else or do not belong together are named before the daemon starts."""
        homes = [Path(self.mktemp()), Path(self.mktemp())]
        for home in homes:
            home.mkdir()
        one, other = map(certificate, homes)
        Settings.from_environment({**REQUIRED, **self.with_files(one.certificate, one.key)})
        for files, sentence in (
            ((one.certificate, homes[0] / "missing"), "No such file or directory"),
            ((homes[0], one.key), "Is a directory"),
            ((one.key, one.certificate), "accepted are a certificate and its key in PEM"),
            ((one.certificate, other.key), "the key is not that of the certificate"),
        ):
            (problem,) = self.problems(**self.with_files(*files))
            self.assertIn(sentence, problem)
