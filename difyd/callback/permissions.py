"""What a plugin may ask of Dify, by its manifest (backwards-invocation 4)."""

from collections.abc import Callable
from typing import Final

from attrs import frozen

from difyd.entities.call import Call
from difyd.entities.declaration import Flag, Permissions

FROM_MODEL: Final = "you can not invoke dify from model"
"""While it serves a call as a model, a plugin may ask nothing, whatever its manifest says."""


@frozen(eq=False)
class Permission:
    word: str
    """How the refusal names it."""
    given: Callable[[Permissions], bool]

    @property
    def refusal(self) -> str:
        return f"permission denied, you need to enable {self.word} access in plugin manifest"


def _enabled(flag: Flag | None) -> bool:
    return flag is not None and flag.enabled


def _model(word: str) -> Permission:
    """Needs the flag for models in general, and the one of this kind."""
    name = word.replace("-", "_")
    return Permission(word, lambda given: given.model is not None and given.model.enabled and getattr(given.model, name))


TOOL: Final = Permission("tool", lambda given: _enabled(given.tool))
NODE: Final = Permission("node", lambda given: _enabled(given.node))
APP: Final = Permission("app", lambda given: _enabled(given.app))
STORAGE: Final = Permission("storage", lambda given: given.storage is not None and given.storage.enabled)
LLM: Final = _model("llm")
TEXT_EMBEDDING: Final = _model("text-embedding")
RERANK: Final = _model("rerank")
TTS: Final = _model("tts")
SPEECH2TEXT: Final = _model("speech2text")
MODERATION: Final = _model("moderation")
ALWAYS: Final = Permission("", lambda _: True)


def refusal(call: Call, permission: Permission) -> str | None:
    """Why the plugin that serves `call` may not; None when it may."""
    return None if permission.given(call.declaration.permissions) else permission.refusal
