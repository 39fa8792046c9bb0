"""Signatures of packages: how they are checked, and by whose keys (package-format 20)."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from attrs import define, field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct

from difyd.package.archive import Archive
from difyd.package.keys import OFFICIAL, BadKey, public_key

VERIFICATION_FILE: Final = ".verification.dify.json"


@frozen
class Verification:
    """What a valid signature vouches for."""

    authorized_category: str
    """`langgenius`, `partner`, `community`, or whatever the signer wrote."""
    official: bool = True
    """Was it the marketplace's key?"""
    file_last: bool = True
    """Is the file with the category, where there is one, the last entry? Signers leave it there."""

    def to_json(self) -> dict[str, str]:
        """As upload, decode and extract answer it."""
        return {"authorized_category": self.authorized_category}


@define(eq=False)
class Keys:
    """The public keys that are trusted: the official one always, others when the operator says so."""

    third_party: tuple[RSAPublicKey, ...] = field(default=(), repr=False)
    official: tuple[RSAPublicKey, ...] = field(default=(OFFICIAL,), repr=False)


def load_keys_blocking(paths: list[Path]) -> tuple[Keys, list[str]]:
    """
    The official key and those in the files `paths` (THIRD_PARTY_SIGNATURE_VERIFICATION_PUBLIC_KEYS); once, at start.

    A file that holds no key is left out and told of in the second result, one sentence each for the log (package-format 25.11).
    """
    keys, complaints = [], []
    for path in paths:
        try:
            keys.append(public_key(path.read_bytes()))
        except (OSError, BadKey) as why:
            complaints.append(f"the key in {path} is not trusted: {why}")
    return Keys(tuple(keys)), complaints


class _Comment(Struct):
    """The signature in the comment of an archive."""

    signature: str = ""
    time: int = 0


class _File(Struct):
    authorized_category: str | None = None


@frozen
class Unverified(Exception):
    """Why a package has no signature that counts; a sentence."""

    reason: str


def verify(archive: Archive, digests: Mapping[str, bytes], keys: Keys) -> Verification:
    """
    Who vouches for the package, by the signature in its comment over its contents in archive order (package-format 20.2).

    `digests` are those of `Archive.digests`. Raises Unverified, saying which check failed.
    """
    comment, signature = _comment(archive)
    category = _category(archive)
    signed = signed_bytes(digests, comment.time)
    for key in (*keys.official, *keys.third_party):
        try:
            key.verify(signature, signed, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            continue
        return Verification(category, key in keys.official, VERIFICATION_FILE not in archive.names()[:-1])
    if any(_made_with(key, signature) for key in (*keys.official, *keys.third_party)):
        raise Unverified("it was signed with a trusted key, but its files were changed, added, removed or reordered afterwards")
    others = f" and none of the {len(keys.third_party)} third-party keys" if keys.third_party else ""
    raise Unverified(f"its signature was not made with the official key{others} that this daemon trusts")


def signed_bytes(digests: Mapping[str, bytes], time: int) -> bytes:
    """What a signature is made over: the digests of the contents in archive order, then the time."""
    return b"".join(digests.values()) + str(time).encode()


def _comment(archive: Archive) -> tuple[_Comment, bytes]:
    if not archive.comment.strip():
        raise Unverified("it is not signed")
    try:
        comment = msgspec.json.decode(archive.comment, type=_Comment)
        return comment, base64.b64decode(comment.signature.encode("ascii"), validate=True)
    except (msgspec.DecodeError, UnicodeError, RecursionError, binascii.Error) as why:
        raise Unverified(f"it is not signed: its zip comment is no signature ({why})") from why


def _category(archive: Archive) -> str:
    """What the signer authorized; packages from before there was a file for it are all by Langgenius (package-format 20.6)."""
    if archive.find(VERIFICATION_FILE) is None:
        return "langgenius"
    try:
        content = msgspec.json.decode(archive.read(VERIFICATION_FILE), type=_File | None)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as why:
        raise Unverified(f"its {VERIFICATION_FILE} cannot be read ({why})") from why
    return (content and content.authorized_category) or ""


def _made_with(key: RSAPublicKey, signature: bytes) -> bool:
    """Is it a signature of this key, whatever it signs?"""
    try:
        key.recover_data_from_signature(signature, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
