"""
Small corrections to old releases of the plugin SDK inside an environment (local-runtime 4.8).

Decided by the release that is installed, not by the range that a plugin declares, and found by the text that is to be changed: a file that
looks different is left alone. uv hard-links files from its cache, so a file is replaced and never written into.
"""

import os
import re
from pathlib import Path
from typing import Final

from attrs import frozen
from packaging.version import InvalidVersion, Version
from twisted.logger import Logger

log = Logger()

_MARK: Final = "  # corrected by the plugin daemon"

_WITHOUT_PROMPT: Final = f"""\
    prompt_messages: list[PromptMessage] = []{_MARK}

    @field_validator("prompt_messages", mode="before")
    @classmethod
    def _without_the_prompt(cls, value: object) -> list[PromptMessage]:
        return []
"""


@frozen
class Patch:
    """One change of behaviour: in releases before `fixed_in`, in one file of the SDK."""

    fixed_in: Version
    file: str
    edits: tuple[tuple[str, str], ...]
    """Pattern and replacement, in this order; the file is left alone unless every pattern is found."""


PATCHES: Final = (
    # Counts long texts by their length: to tokenise them takes seconds of a core.
    Patch(
        Version("0.0.1b70"),
        "interfaces/model/ai_model.py",
        ((r"^( +)import tiktoken$", rf"\1if len(text) >= 100_000:{_MARK}\n\1    return len(text)\n\1import tiktoken"),),
    ),
    # Leaves the prompt out of results: a stream repeats it in every chunk otherwise.
    Patch(
        Version("0.1.1"),
        "entities/model/llm.py",
        (
            (r"^(from pydantic import )([A-Z].*)$", r"\1field_validator, \2"),
            (
                r"^    prompt_messages: list\[PromptMessage\]$",
                _WITHOUT_PROMPT,
            ),
        ),
    ),
    # Reads requests in large pieces and splits them once a line is complete: a request of megabytes took minutes.
    Patch(
        Version("0.1.1"),
        "core/server/stdio/request_reader.py",
        (
            (r"tp_read\(sys\.stdin\.fileno\(\), 512\)", "tp_read(sys.stdin.fileno(), 65536)"),
            (r"^( +)buffer \+= data$", rf'\1buffer += data\n\1if b"\\n" not in data:{_MARK}\n\1    continue'),
        ),
    ),
)


def installed_sdk_blocking(site_packages: Path) -> Version | None:
    """The release of the SDK in an environment; None when there is none."""
    for info in site_packages.glob("dify_plugin-*.dist-info"):
        try:
            return Version(info.name.removeprefix("dify_plugin-").removesuffix(".dist-info"))
        except InvalidVersion:
            continue
    return None


def patch_sdk_blocking(site_packages: Path) -> list[str]:
    """Apply what the installed release needs and does not have yet; the files that were changed, relative to the SDK."""
    version = installed_sdk_blocking(site_packages)
    if version is None:
        return []
    return [patch.file for patch in PATCHES if version < patch.fixed_in and _apply(patch, site_packages / "dify_plugin" / patch.file, version)]


def _apply(patch: Patch, file: Path, version: Version) -> bool:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as why:
        log.warn("cannot correct {file} of SDK {version}: {why}", file=patch.file, version=version, why=why)
        return False
    if _MARK in text:
        return False
    for pattern, replacement in patch.edits:
        text, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if not found:
            log.info("{file} of SDK {version} looks different and is left as it is", file=patch.file, version=version)
            return False
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)
    return True
