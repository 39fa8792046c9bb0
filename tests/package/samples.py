"""Small plugins as files by path, and ways to change and pack them."""

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from difyd.package.reader import Package, read_package_blocking
from difyd.package.signature import Keys

ICON = b"<svg/>"
ICON_ID = "21acddfae829fa1f96934f4c3e956931144de514f302edb95e8323e6c84d844b.svg"

HEAD = """\
version: 0.0.1
type: plugin
author: acme
name: demo
label: {en_US: Demo}
description: {en_US: A demonstration}
icon: icon.svg
created_at: 2026-01-01T00:00:00Z
resource: {memory: 1048576}
meta: {version: 0.0.1, arch: [amd64], runner: {language: python, version: "3.12", entrypoint: main}}
"""
IDENTITY = "identity: {author: acme, name: demo, label: {en_US: Demo}, icon: icon.svg}\n"
TOOL = """\
identity: {author: acme, name: say, label: {en_US: Say}}
description: {human: {en_US: Says it}, llm: Says it}
parameters:
  - {name: text, type: string, form: llm, label: {en_US: Text}, human_description: {en_US: What to say}}
"""

Files = dict[str, bytes]


def plugin(files: Mapping[str, str | bytes | None] | None = None) -> Files:
    """A plugin with one tool; `files` replaces files, or removes those that are None."""
    found: dict[str, str | bytes | None] = {
        "manifest.yaml": HEAD + "plugins: {tools: [provider/demo.yaml]}\n",
        "provider/demo.yaml": IDENTITY + "tools: [tools/say.yaml]\n",
        "tools/say.yaml": TOOL,
        "_assets/icon.svg": ICON,
        "README.md": "# Demo\n",
        **(files or {}),
    }
    return {path: content.encode() if isinstance(content, str) else content for path, content in found.items() if content is not None}


def of_kind(kind: str, files: Mapping[str, str | bytes], head: str = HEAD) -> Files:
    """A plugin of one kind, whose provider is in `provider.yaml`."""
    return plugin({"manifest.yaml": f"{head}plugins: {{{kind}: [provider.yaml]}}\n", **files})


def entries(path: Path, files: Iterable[tuple[str, bytes]], comment: bytes = b"", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of just these entries, in this order, odd names included."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            info = zipfile.ZipInfo("x", (2026, 1, 1, 0, 0, 0))
            info.filename = name  # not tidied up
            info.compress_type = compression
            archive.writestr(info, content)
        archive.comment = comment
    return path


class PackageCase(SynchronousTestCase):
    """Cases that need packages on the disk."""

    def scratch(self) -> Path:
        """A directory of its own."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return folder

    def pack(self, files: Mapping[str, bytes]) -> Path:
        return entries(self.scratch() / "a.difypkg", files.items())

    def read(self, files: Mapping[str, bytes], *, max_size: int | None = None) -> Package:
        return read_package_blocking(self.pack(files), keys=Keys(), max_size=max_size)

    def declared(self, files: Mapping[str, bytes]) -> Any:
        """The declaration with icons as names, as clients decode it."""
        return json.loads(self.read(files).declaration)

    def refusal(self, files: Mapping[str, bytes], kind: type[Exception]) -> str:
        """The text of the refusal of a package."""
        return str(self.assertRaises(kind, self.read, files))

    def write(self, files: Mapping[str, bytes]) -> Path:
        """The files in a directory."""
        root = self.scratch() / "plugin"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return root
