"""The names of a plugin (http-api 4, package-format 6.3)."""

import re
from typing import Self

from attrs import field, frozen

from difyd.errors import BadIdentifier

_FORM = r"(?:([a-z0-9_-]{1,64})/)?([a-z0-9_-]{1,255})%s([0-9]{1,4}(?:\.[0-9]{1,4}){1,3}(?:-\w{1,16})?)@([a-f0-9]{32,64})"
_PATTERN = re.compile(_FORM % ":", re.ASCII)
_DIRECTORY = re.compile(_FORM % "-", re.ASCII)  # clear in spite of the hyphens: a name has no dot, and a version has one after its first digits

_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@frozen
class PluginIdentifier:
    """`author/name:version@checksum`, valid because it exists; compared and hashed by its text."""

    text: str
    author: str = field(eq=False)
    """Empty when the identifier names none."""
    name: str = field(eq=False)
    version: str = field(eq=False)
    checksum: str = field(eq=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadIdentifier with the text when it is none."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise BadIdentifier(text)
        author, name, version, checksum = match.groups()
        return cls(text, author or "", name, version, checksum)

    @classmethod
    def of_directory(cls, path: str) -> Self | None:
        """The one whose `directory` this is; None when it is no plugin's."""
        match = _DIRECTORY.fullmatch(path)
        if match is None:
            return None
        author, name, version, checksum = match.groups()
        return cls.parse(f"{author}/{name}:{version}@{checksum}" if author else f"{name}:{version}@{checksum}")

    @property
    def plugin_id(self) -> str:
        """`author/name`: what stays the same over all versions."""
        return self.text.partition(":")[0]

    @property
    def remote_like(self) -> bool:
        """Is the author a UUID? Then a debugging connection of an older daemon made this identifier."""
        return is_uuid(self.author)

    @property
    def directory(self) -> str:
        """Relative path of the working directory, the same as the reference's (local-runtime 3.1)."""
        return self.text.replace(":", "-")

    def __str__(self) -> str:
        return self.text


def is_uuid(text: str) -> bool:
    """With hyphens in their places or without any: the spellings that an author may have (package-format 6.1)."""
    return _UUID.fullmatch(text) is not None
