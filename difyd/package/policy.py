"""Who is let in: the operator's policy on signatures (package-format 21)."""

from typing import Final

from attrs import frozen

from difyd.package.errors import BadSignature, FalseLanggenius
from difyd.package.reader import Package

_LANGGENIUS: Final = "langgenius"


@frozen
class Policy:
    """What uploads must have; the names are those of the settings."""

    force_verifying_signature: bool = True
    enforce_langgenius_plugin_signatures: bool = True
    langgenius_by_official_key_only: bool = False
    """A third-party key must not vouch for Langgenius (package-format 25.12); the reference lets it."""

    def admit(self, package: Package, *, verify: bool = False) -> None:
        """
        Raises BadSignature or FalseLanggenius when `package` must not be stored.

        `verify`: the request demands a signature for itself (its form field `verify_signature` is exactly `true`).
        """
        if package.verification is None and (verify or self.force_verifying_signature):
            raise BadSignature(package.identifier.text, package.unverified_because)
        if self.enforce_langgenius_plugin_signatures and package.identifier.author.lower() == _LANGGENIUS:
            self._admit_langgenius(package)

    def _admit_langgenius(self, package: Package) -> None:
        verification = package.verification
        if verification is None:
            raise FalseLanggenius(f"The package was not accepted: {package.unverified_because}.")
        if verification.authorized_category != _LANGGENIUS:
            raise FalseLanggenius(f"Its signature is valid, but for the category {verification.authorized_category!r}.")
        if self.langgenius_by_official_key_only and not verification.official:
            raise FalseLanggenius("Its signature is valid, but was not made with the official key.")
