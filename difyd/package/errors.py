"""Why a package or a bundle was refused, told apart by the step that refused it: bundles and single uploads word the steps differently."""

from difyd.errors import BadPackage


class UnreadablePackage(BadPackage):
    """No zip, too large, an entry that breaks a rule of the format, a file that is missing or does not parse (package-format 2, 4, 9)."""


class UnpackablePlugin(BadPackage):
    """A directory holds a plugin that can be read and must not be packed as it is (package-format 3)."""


class BadAuthor(BadPackage):
    """The author of a package is a UUID, which is how debugging connections of older daemons are named (package-format 6.1)."""

    def __init__(self) -> None:
        super().__init__("cannot set author to an UUID")


class IllegalManifest(BadPackage):
    """Author, name or kinds break a rule (package-format 8). The text is the rule alone; who reads a package adds the lines of 8 to it."""


class BadSignature(BadPackage):
    """
    A signature is demanded, and the package has none that counts (package-format 21).

    The text is the fixed one that clients know; `details` say of which plugin (there may be several in a bundle) and which check failed.
    """

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__("plugin verification has been enabled, and the plugin you want to install has a bad signature")
        self.plugin, self.reason = plugin, reason
        self.details = {"plugin": plugin, "reason": reason}


class FalseLanggenius(BadPackage):
    """A package claims the author `langgenius` without that category under a trusted key (package-format 21)."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "plugin installation blocked: this plugin claims to be from Langgenius but lacks official signature verification. "
            f"Set ENFORCE_LANGGENIUS_PLUGIN_SIGNATURES=false to allow installation (not recommended)\n{reason}"
        )


class MissingIcon(BadPackage):
    """A declaration names an icon that is not among its assets (package-format 18.2). `field` is the words for the place, like `tool icon`."""

    def __init__(self, name: str, field: str) -> None:
        super().__init__(f"file not found: {name}\nfailed to remap {field}")
        self.name, self.field = name, field


class InvalidDeclaration(BadPackage):
    """
    A declaration that a plugin under development sent breaks rules of its schema (package-format 17).

    One line in all, each broken rule with the path of its field: `tools[0].parameters[2].name: must not be empty; ...`.
    """


class BundledPackageFailed(BadPackage):
    """
    A package inside a bundle was refused (package-format 22.3): the words for the step, then the cause.

    `ours` tells the steps that answer as internal errors (-500) from those that blame the caller (-400).
    """

    def __init__(self, text: str, *, ours: bool = False) -> None:
        super().__init__(text)
        self.ours = ours
