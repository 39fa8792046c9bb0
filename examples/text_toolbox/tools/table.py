from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

from words import rows


class Table(Tool):
    """Answers with JSON for the next step, and with a variable that `output_schema` declares."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage, None, None]:
        # An exception ends the call; its text is what the person sees, so `rows` raises ValueError with a sentence.
        table = rows(tool_parameters["csv"], tool_parameters.get("separator") or ",")
        yield self.create_json_message({"rows": table})
        yield self.create_variable_message("row_count", len(table))
