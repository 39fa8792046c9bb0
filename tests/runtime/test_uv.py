"""What uv is told, and what is made of its words."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.local.uv import Installer, Progress, cause_of, compile_arguments, find_uv

BOTH = {"pyproject.toml", "requirements.txt", "main.py"}


class Arguments(SynchronousTestCase):
    """local-runtime 4.4-4.7: the words and their order are what operators know."""

    def test_create(self) -> None:
        """An environment of the Python that was found."""
        self.assertEqual(Installer("/uv").create("/usr/bin/python3.12"), ("/uv", "venv", ".venv", "--python", "/usr/bin/python3.12"))

    def test_project(self) -> None:
        """Every combination of lock file, mirror and verbosity."""
        cases = {
            (False, "", False): "sync --no-dev",
            (False, "", True): "sync --no-dev -v",
            (False, "http://m", False): "sync --no-dev -i http://m",
            (False, "http://m", True): "sync --no-dev -i http://m -v",
            (True, "", False): "sync --no-dev --frozen",
            (True, "", True): "sync --no-dev --frozen -v",
            (True, "http://m", False): "sync --no-dev --frozen -i http://m",
            (True, "http://m", True): "sync --no-dev --frozen -i http://m -v",
        }
        for (locked, mirror, verbose), words in cases.items():
            found = Installer("/uv", mirror, verbose, ("--a", "b")).install("pyproject.toml", locked=locked)
            self.assertEqual(found, ("/uv", *words.split(), "--a", "b"))

    def test_requirements(self) -> None:
        """A lock file has no say there."""
        cases = {
            ("", False): "pip install -r requirements.txt",
            ("", True): "pip install -r requirements.txt -vvv",
            ("http://m", False): "pip install -i http://m -r requirements.txt",
            ("http://m", True): "pip install -i http://m -r requirements.txt -vvv",
        }
        for (mirror, verbose), words in cases.items():
            for locked in (False, True):
                found = Installer("/uv", mirror, verbose, ("--frozen",)).install("requirements.txt", locked=locked)
                self.assertEqual(found, ("/uv", *words.split(), "--frozen"))

    def test_frozen_once(self) -> None:
        """The operator's own `--frozen` is not doubled; with locks ignored it is the only one."""
        extra = ("--frozen", "--x")
        self.assertEqual(Installer("/uv", verbose=False, extra=extra).install("pyproject.toml", locked=True)[3:], ("--frozen", "--x"))
        ignoring = Installer("/uv", verbose=False, extra=extra, ignore_lock=True)
        self.assertEqual(ignoring.install("pyproject.toml", locked=True)[3:], ("--frozen", "--x"))

    def test_which_file(self) -> None:
        """The project goes first; with a mirror the requirements, since a lock would go past it."""
        direct, mirrored = Installer("/uv"), Installer("/uv", "http://m")
        self.assertEqual((direct.dependency_file(BOTH), mirrored.dependency_file(BOTH)), ("pyproject.toml", "requirements.txt"))
        for installer in (direct, mirrored):
            for name in ("pyproject.toml", "requirements.txt"):
                self.assertEqual(installer.dependency_file({name, "main.py"}), name)
            self.assertIsNone(installer.dependency_file({"main.py"}))

    def test_compile(self) -> None:
        """The operator's pattern is joined to ours, the last of several; other words go before it."""
        self.assertEqual(compile_arguments("py", ()), ("py", "-m", "compileall", "-x", r"\.venv|\.uv-cache", "."))
        words = ("-j", "2", "-x", "tests", "-q", "-x", "docs")
        self.assertEqual(compile_arguments("py", words), ("py", "-m", "compileall", "-j", "2", "-q", "-x", r"\.venv|\.uv-cache|docs", "."))


class Program(SynchronousTestCase):
    def test_configured(self) -> None:
        """What the operator names is found on the search path, too; what cannot be run is left to the install that needs it."""
        self.assertEqual([find_uv(name) for name in ("/bin/sh", "/no/such/uv")], ["/bin/sh", "/no/such/uv"])
        self.assertTrue(find_uv("sh").endswith("/sh"))

    def test_own(self) -> None:
        """Without a word from the operator it is the one that the daemon was installed with."""
        self.assertTrue(find_uv("").endswith("/uv"))


class Words(SynchronousTestCase):
    def told(self, *pieces: bytes) -> list[str]:
        told: list[str] = []
        progress = Progress(told.append)
        for piece in pieces:
            progress.heard(piece)
        return told

    @given(st.integers(1, 60))
    def test_progress(self, size: int) -> None:
        """Of all lines a few are news, wherever the stream was cut."""
        said = (
            b"DEBUG uv 0.13.9\nTRACE Resolved host\nResolved 3 packages in 401ms\nDownloading numpy (15.3MiB)\n"
            b" Downloaded numpy\nPrepared 3 packages in 408ms\nInstalled 3 packages in 28ms\n + numpy==2.1.0\n"
        )
        self.assertEqual(
            self.told(*(said[n : n + size] for n in range(0, len(said), size))),
            ["Resolved 3 packages in 401ms", "Downloading numpy (15.3MiB)", "Prepared 3 packages in 408ms", "Installed 3 packages in 28ms"],
        )

    def test_nothing_to_do(self) -> None:
        """An installation that has nothing to do tells nothing."""
        self.assertEqual(self.told(b"DEBUG x\nAudited in 1ms\nChecked in 0ms\n"), [])

    def test_cause(self) -> None:
        """What uv calls the error, on one line, without what it says to itself and without the hint that follows."""
        said = (
            b"DEBUG Searching\nTRACE Error chain:\nerror: No solution found when resolving dependencies\n"
            b"  cause: Because no-such was not found in the provided package locations and you require no-such==1, we can conclude\n"
            b"      that your requirements are unsatisfiable.\n\nhint: Packages were unavailable because index lookups were disabled\n"
        )
        self.assertEqual(
            cause_of(said),
            "No solution found when resolving dependencies: Because no-such was not found in the provided package locations and you "
            "require no-such==1, we can conclude that your requirements are unsatisfiable.",
        )

    def test_cause_of_older_releases(self) -> None:
        """Older releases of uv draw it."""
        said = "DEBUG x\n  \u00d7 No solution found when resolving dependencies:\n  ╰─▶ Because a was not found, a is not there.\n".encode()
        self.assertEqual(cause_of(said), "No solution found when resolving dependencies: Because a was not found, a is not there.")

    def test_no_error(self) -> None:
        """One that was killed has said nothing of the kind: its last words; nothing, when there were none."""
        self.assertEqual(cause_of(b"DEBUG a\nDownloading numpy\n"), "Downloading numpy")
        self.assertEqual(cause_of(b""), "")
