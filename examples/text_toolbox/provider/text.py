from typing import Any

from dify_plugin import ToolProvider


class TextProvider(ToolProvider):
    """The provider of provider/text.yaml."""

    def _validate_credentials(self, credentials: dict[str, Any]) -> None:
        """
        Called when somebody enters credentials: try them, and raise ToolProviderCredentialValidationError with words for a person when
        they do not work. There are none here, so there is nothing to try.
        """
