"""Signatures of requests, without the SDK."""

import hmac

HEADER = "X-Signature"


def sign(body: bytes, secret: str) -> str:
    """What the header has to hold, as in many web hooks: sha256= and the HMAC of the body."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """The comparison takes as long for a wrong signature as for a right one, so that nobody can guess it piece by piece."""
    return hmac.compare_digest(sign(body, secret).encode(), signature.encode())
