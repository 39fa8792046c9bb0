"""What processes find in their environment."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.local.surroundings import Surroundings

DAEMON = {
    "PATH": "/bin",
    "HOME": "/root",
    "SERVER_KEY": "k",
    "AWS_ROLE_ARN": "arn",
    "EMPTY": "",
    "VIRTUAL_ENV": "/daemon",
    "https_proxy": "http://p",
    "NO_PROXY": "n",
    "UV_INDEX_NEXUS_PASSWORD": "n",
    "SSL_CERT_FILE": "",
}


class SurroundingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.surroundings = Surroundings(DAEMON, frozenset({"SERVER_KEY", "UV_INDEX_NEXUS_PASSWORD"}), "mark")

    def test_plugin(self) -> None:
        """A plugin sees what the operator has set, but for the daemon's secrets; proxies under their upper-case names."""
        self.assertEqual(
            self.surroundings.plugin(),
            {
                **{name: DAEMON[name] for name in ("PATH", "HOME", "AWS_ROLE_ARN", "EMPTY", "https_proxy", "NO_PROXY", "SSL_CERT_FILE")},
                "HTTPS_PROXY": "http://p",
                "INSTALL_METHOD": "local",
                "MALLOC_ARENA_MAX": "2",
                "DIFYD_OWNER": "mark",
            },
        )

    def test_build(self) -> None:
        """An installer sees the names of the chapter and nothing else; what is set to nothing is passed as it is."""
        self.assertEqual(
            self.surroundings.build(Path("/cwd/a/b"), Path("/cwd/.uv-cache")),
            {
                "VIRTUAL_ENV": "/cwd/a/b/.venv",
                "PATH": "/bin",
                "UV_CACHE_DIR": "/cwd/.uv-cache",
                "UV_INDEX_NEXUS_PASSWORD": "n",
                "SSL_CERT_FILE": "",
                "HTTPS_PROXY": "http://p",
                "NO_PROXY": "n",
            },
        )

    def test_operator_tunes_malloc(self) -> None:
        """Our defaults give way to the operator."""
        self.assertEqual(Surroundings({"MALLOC_ARENA_MAX": "8"}, frozenset(), "m").plugin()["MALLOC_ARENA_MAX"], "8")
