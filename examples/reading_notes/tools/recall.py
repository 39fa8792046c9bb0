from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from notes import Note, key_of


class RecallNote(Tool):
    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage, None, None]:
        key = key_of(tool_parameters["title"])
        if not self.session.storage.exist(key):  # to read what is not there would be an exception
            yield self.create_text_message(f"There is no note about {tool_parameters['title']}.")
            return
        yield self.create_text_message(Note.from_bytes(self.session.storage.get(key)).text)
