from typing import Any

from dify_plugin import ModerationModel

from models.common import Offline, check_key
from texts import is_rude


class WordList(Offline, ModerationModel):
    """True means that the text is to be refused."""

    def _invoke(self, model: str, credentials: dict[str, Any], text: str, user: str | None = None) -> bool:
        check_key(credentials)
        return is_rude(text)
