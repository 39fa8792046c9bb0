"""The requirements.txt of a plugin whose dependencies are locked by uv (package-format 3.3)."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from difyd.package.errors import UnpackablePlugin

FILE: Final = "requirements.txt"
_LOCKED: Final = ("pyproject.toml", "uv.lock")
_EXPORT: Final = [
    "export",
    "--frozen",
    "--format",
    "requirements.txt",
    "--no-group",
    "dev",
    "--no-emit-project",
    "--no-hashes",
    "--no-header",
    "--no-annotate",
]


def are_missing(root: Path, language: str) -> bool:
    """Does the package need a requirements.txt that the directory does not have? Ignore rules do not count here."""
    return language == "python" and not (root / FILE).exists() and all((root / name).exists() for name in _LOCKED)


def export_blocking(root: Path, uv: str) -> bytes:
    """What uv (a path, or empty for the one on PATH) says they are. Raises UnpackablePlugin with uv's own words."""
    executable = uv or shutil.which("uv")
    if executable is None:
        raise UnpackablePlugin("failed to find uv executable for exporting requirements.txt: it is not on PATH, and UV_PATH is not set")
    try:
        done = subprocess.run([executable, *_EXPORT], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as why:
        raise UnpackablePlugin(f"failed to find uv executable for exporting requirements.txt: {why}") from why
    if done.returncode != 0:
        raise UnpackablePlugin(f"uv export failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
