"""Small packages and bundles, made from their files."""

import base64
import hashlib
import io
import time
import zipfile
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
"""A key that a test's gate trusts."""
ICON = b"<svg/>"
_MANIFEST = """
author: {author}
name: {name}
version: {version}
type: plugin
label: {{en_US: Tiny}}
description: {{en_US: A tiny plugin}}
icon: {icon}
resource: {{memory: 1048576}}
plugins: {{tools: [provider/tiny.yaml]}}
meta:
  version: 0.0.1
  arch: [amd64, arm64]
  runner: {{language: python, version: "3.12", entrypoint: main}}
created_at: 2025-01-01T00:00:00Z
"""
_PROVIDER = """
identity: {author: acme, name: tiny, label: {en_US: Tiny}, description: {en_US: Tiny}, icon: icon.svg}
tools: []
"""


def package(files: Mapping[str, bytes | None] | None = None, *, author: str = "acme", name: str = "tiny", icon: str = "icon.svg") -> bytes:
    """A package with one tool provider; `files` adds files, or takes away those that are None."""
    content: dict[str, bytes | None] = {
        "manifest.yaml": _MANIFEST.format(author=author, name=name, version="1.0.0", icon=icon).encode(),
        "provider/tiny.yaml": _PROVIDER.encode(),
        "_assets/icon.svg": ICON,
        "README.md": b"Hello",
        "main.py": b"",
        **(files or {}),
    }
    return zipped({path: data for path, data in content.items() if data is not None})


def zipped(files: Mapping[str, bytes], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.comment = comment
    return out.getvalue()


def signed(data: bytes) -> bytes:
    """The same package with a signature by KEY (package-format 20.2), and so the same identifier."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    moment = int(time.time())
    message = b"".join(hashlib.sha256(content).digest() for content in files.values()) + str(moment).encode()
    signature = KEY.sign(message, padding.PKCS1v15(), SHA256())
    return zipped(files, msgspec.json.encode({"signature": base64.b64encode(signature).decode(), "time": moment}))


def bundle(*dependencies: Mapping[str, Any], packages: Mapping[str, bytes] | None = None) -> bytes:
    head = {"name": "sample", "version": "0.0.1", "author": "acme", "type": "bundle", "dependencies": dependencies}
    assets = {f"_assets/{name}": data for name, data in (packages or {}).items()}
    return zipped({"manifest.yaml": msgspec.json.encode(head), **assets})


def local(path: str) -> dict[str, Any]:
    return {"type": "package", "value": {"path": path}}
