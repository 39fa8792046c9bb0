from collections.abc import Generator
from typing import Any

from dify_plugin import TTSModel

from models.common import Offline, check_key
from morse import PITCHES, record

PIECE = 16 * 1024


class Morse(Offline, TTSModel):
    """Speaks in Morse code."""

    def _invoke(
        self, model: str, tenant_id: str, credentials: dict[str, Any], content_text: str, voice: str, user: str | None = None
    ) -> Generator[bytes, None, None]:
        """Pieces of a file, in order: a listener can begin with the first. It has to be a generator; bytes that are returned get lost."""
        check_key(credentials)
        if voice not in PITCHES:
            raise ValueError(f"there is no voice {voice}")
        audio = record(content_text, PITCHES[voice])
        for start in range(0, len(audio), PIECE):
            yield audio[start : start + PIECE]
