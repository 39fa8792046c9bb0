from typing import IO, Any

from dify_plugin import Speech2TextModel

from models.common import Offline, check_key
from morse import listen


class MorseEar(Offline, Speech2TextModel):
    """Understands what the model morse speaks."""

    def _invoke(self, model: str, credentials: dict[str, Any], file: IO[bytes], user: str | None = None) -> str:
        check_key(credentials)
        return listen(file)
