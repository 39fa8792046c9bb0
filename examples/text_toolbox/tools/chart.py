from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from words import chart


class Chart(Tool):
    """Answers with a file: bytes, with a type and a name for whoever saves them."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage, None, None]:
        drawing = chart(tool_parameters["text"], int(tool_parameters.get("bars") or 8))
        yield self.create_blob_message(drawing.encode(), meta={"mime_type": "image/svg+xml", "filename": "words.svg"})
