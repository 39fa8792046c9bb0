"""What a build server posts, and how it proves that it is the one; without the SDK."""

import hmac
import json
from typing import Any

EVENTS = frozenset({"build_finished", "version_released"})
HEADER = "X-Signature"


def secret_for(key: str, address: str) -> str:
    """The secret between the build server and one address, known to whoever knows the key."""
    return hmac.digest(key.encode(), address.encode(), "sha256").hex()


def sign(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """The comparison takes as long for a wrong signature as for a right one, so that nobody can guess it piece by piece."""
    return hmac.compare_digest(sign(body, secret).encode(), signature.encode())


def decode(body: bytes) -> dict[str, Any]:
    """Raises ValueError for anything but a JSON object."""
    notice = json.loads(body)
    if not isinstance(notice, dict):
        raise ValueError("a notice is a JSON object")
    return notice
