from typing import Any

from dify_plugin import ToolProvider


class ReadingProvider(ToolProvider):
    """The provider of provider/reading.yaml."""

    def _validate_credentials(self, credentials: dict[str, Any]) -> None:
        """The model's credentials are Dify's business; the plugin has none of its own."""
