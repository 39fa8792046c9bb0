"""Signatures of packages: made, checked, and by whom (package-format 20)."""

from collections.abc import Sequence
from pathlib import Path

from attrs import define, field, frozen


@frozen
class Verification:
    """What a valid signature vouches for."""

    authorized_category: str
    """`langgenius`, `partner`, `community`, or whatever the signer wrote."""
    official: bool = True
    """Was it the marketplace's key?"""

    def to_json(self) -> dict[str, str]:
        """As upload, decode and extract answer it."""
        return {"authorized_category": self.authorized_category}


@define(eq=False)
class Keys:
    """The public keys that a daemon trusts; the official one always."""

    third_party: tuple[object, ...] = field(default=(), repr=False)


def load_keys_blocking(paths: Sequence[Path]) -> tuple[Keys, list[str]]:
    """
    The official key and those in the files `paths` (THIRD_PARTY_SIGNATURE_VERIFICATION_PUBLIC_KEYS); once, at start.

    A file that holds no key is left out and told of in the second result, one sentence each for the log (package-format 25.11).
    """
    raise NotImplementedError
