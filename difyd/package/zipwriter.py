"""Writing archives: the same entries give the same bytes, and the file appears whole or not at all (package-format 3.4)."""

import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from difyd.package.errors import UnreadablePackage

_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest date that an entry can have."""
_MODE: Final = 0o644

Content = Iterable[bytes]


def write_archive_blocking(entries: Iterable[tuple[str, Content]], target: Path, *, comment: bytes = b"") -> None:
    """
    Write these files, in their order, deflated, without times or attributes of their own.

    Raises UnreadablePackage for a name that is no text, OSError.
    """
    with whole_file(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name, content in entries:
            info = zipfile.ZipInfo(name, _FIRST_DAY)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # whatever this machine is
            info.external_attr = _MODE << 16
            try:
                with archive.open(info, "w") as out:
                    for piece in content:
                        out.write(piece)
            except UnicodeEncodeError as why:
                raise UnreadablePackage(f"the name of {name!r} is not UTF-8") from why


@contextmanager
def whole_file(target: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `target` when the block ends well, and is gone when it does not."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    beside = Path(name)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
