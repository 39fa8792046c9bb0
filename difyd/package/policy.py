"""Who is let in: the operator's policy on signatures (package-format 21)."""

from attrs import frozen

from difyd.package.reader import Package


@frozen
class Policy:
    """What uploads must have; the names are those of the settings."""

    force_verifying_signature: bool = True
    enforce_langgenius_plugin_signatures: bool = True

    def admit(self, package: Package, *, verify: bool = False) -> None:
        """
        Raises BadSignature or FalseLanggenius when `package` must not be stored.

        `verify`: the request demands a signature for itself (its form field `verify_signature` is exactly `true`).
        """
        raise NotImplementedError
