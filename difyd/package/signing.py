"""Signing packages (package-format 20.3)."""

import base64
import hashlib
import time
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from difyd.package.archive import Archive
from difyd.package.signature import VERIFICATION_FILE, signed_bytes
from difyd.package.zipwriter import Content, write_archive_blocking

CATEGORIES: Final = ("langgenius", "partner", "community")


def sign_package_blocking(source: Path, target: Path, key: RSAPrivateKey, category: str | None, *, now: int | None = None) -> None:
    """
    Write the package in the file `source`, signed, as the file `target`. Its checksum becomes another one.

    Of an earlier signature nothing is left (package-format 25.9). Without a `category` the verification file is left out, as in the first
    signed packages; `now` is the time in the signature, in seconds. Raises UnreadablePackage, OSError.
    """
    moment = int(time.time()) if now is None else now
    with Archive.open_blocking(source) as archive:
        entries: dict[str, Content] = {e.name: archive.stream(e) for e in archive.entries if e.name != VERIFICATION_FILE}
        digests = {name: digest for name, digest in archive.digests().items() if name in entries}
        if category is not None:
            content = msgspec.json.encode({"authorized_category": category.lower()})
            entries[VERIFICATION_FILE] = (content,)
            digests[VERIFICATION_FILE] = hashlib.sha256(content).digest()
        signature = key.sign(signed_bytes(digests, moment), padding.PKCS1v15(), SHA256())
        comment = msgspec.json.encode({"signature": base64.b64encode(signature).decode(), "time": moment})
        write_archive_blocking(entries.items(), target, comment=comment)
