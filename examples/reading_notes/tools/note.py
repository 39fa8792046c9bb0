from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.model.message import SystemPromptMessage, UserPromptMessage
from dify_plugin.entities.tool import ToolInvokeMessage

from notes import INSTRUCTION, Note, key_of


class TakeNote(Tool):
    """Hands the model's words on as they come, and keeps them when all have come."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage, None, None]:
        title, words = tool_parameters["title"], []
        prompt = [SystemPromptMessage(content=INSTRUCTION), UserPromptMessage(content=tool_parameters["text"])]
        # The value of a `model-selector` parameter is what the SDK wants here. Dify knows the model's credentials, the plugin does not.
        for chunk in self.session.model.llm.invoke(model_config=tool_parameters["model"], prompt_messages=prompt, stream=True):
            words.append(chunk.delta.message.content or "")
            yield self.create_text_message(words[-1])
        self.session.storage.set(key_of(title), Note(title, "".join(words)).to_bytes())
