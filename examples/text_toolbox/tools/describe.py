from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from words import describe


class Describe(Tool):
    """Streams its answer: each message is on its way to the reader as soon as it is yielded."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage, None, None]:
        for number, word in enumerate(describe(tool_parameters["text"]).split()):
            yield self.create_text_message(f" {word}" if number else word)
