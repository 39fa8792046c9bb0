"""RSA keys in files (package-format 20.4, 20.5)."""

import os
import re
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_BITS: Final = 4096
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PUBLIC: Final = (b"RSA PUBLIC KEY", b"PUBLIC KEY")
_PRIVATE: Final = (b"RSA PRIVATE KEY",)

_OFFICIAL_PEM: Final = b"""-----BEGIN RSA PUBLIC KEY-----
MIICCgKCAgEAwUY1cndCmqclHHlCn/PVB011n0m+vmXT2M/QWbViM/2oqO2S5lXl
VYwZjbN+r3xjUxnzCK6YC7fCI0CXJ69RPTpfRc9meV0TPb50g01kJI6HWL+SziZs
i+Mmul5ji7W4ebpOUNUPuBgFFfzrOv4BSO6tWVfpiqFTdfF3o2XT3FUja2rMCSQO
dsGvuhX5/YYAnOH4suxGo+nWda/QC+ohM4z8yLuM6fo7QPmkjTXN+jr7+RZ6JA7g
6XT7TdMK8oJcqMm15E0pRmgfNNLvqSeVcVM5OgmteTpSn7ekSdCMOpai3Cnc4zOa
PWSViiHTDu9AIoDbSBRQbvOaQ339eXOlHnomvg6WK6hw3hYoE+ASkv5qK9BwuWqn
xdUQ99qJ04eNTGjqCo65P9DKzpDb5BT5cxg40Utue0MbuN6pLPwhqkvnVmExuykw
aLQmTwnLODOD4gc5UU1dUeSUOxQeSoL8zSqL809ZV89B31jYOSFqcKEbyhoKaen3
dQSUFxEIca7Juj4E4tC+V1RsU2GSaVRCKEtJ4RBnDkQvB4aRBL+zpc26aIBKb3G3
0a9BWRvXRy+gr/qx8fDJgOuF23j1WXEDVsNtK6vpHGQkDUmsBsE2U+Sag9l2Vnq1
hrqLbjz2PPOHsBkg09IlM6SNr2NaEWvVJnC/szW8EQ51QBz8XJOnEmUCAwEAAQ==
-----END RSA PUBLIC KEY-----
"""


class BadKey(Exception):
    """A file holds no key of the wanted kind."""


def public_key(pem: bytes) -> RSAPublicKey:
    """The one key in a PEM text, as PKCS#1 or SPKI. Raises BadKey."""
    block = _block(pem, _PUBLIC, "public")
    try:
        key = load_pem_public_key(block)
    except ValueError as why:
        raise BadKey(f"failed to decode PEM block containing public key: {why}") from why
    if not isinstance(key, RSAPublicKey):
        raise BadKey("failed to decode PEM block containing public key: it is not an RSA key")
    return key


def private_key(pem: bytes) -> RSAPrivateKey:
    """The one key in a PEM text, as PKCS#1. Raises BadKey."""
    block = _block(pem, _PRIVATE, "private")
    try:
        key = load_pem_private_key(block, password=None)
    except (ValueError, TypeError) as why:
        raise BadKey(f"failed to decode PEM block containing private key: {why}") from why
    assert isinstance(key, RSAPrivateKey)
    return key


def _block(pem: bytes, kinds: tuple[bytes, ...], what: str) -> bytes:
    block = _BLOCK.search(pem)
    if block is None or block[1] not in kinds:
        raise BadKey(f"failed to decode PEM block containing {what} key")
    if pem[block.end() :].strip():
        raise BadKey("extra data included in the PEM block")
    return block[0] + b"\n"


OFFICIAL: Final = public_key(_OFFICIAL_PEM)
"""The key with which the marketplace signs."""


def generate_keys_blocking(private: Path, public: Path) -> None:
    """Write a new key pair as PKCS#1. The private key is for its owner's eyes; existing files are not overwritten: FileExistsError."""
    key = generate_private_key(public_exponent=65537, key_size=_BITS)
    _write_new(private, key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()), 0o600)
    try:
        _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1), 0o644)
    except OSError:
        private.unlink()
        raise


def _write_new(path: Path, content: bytes, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
