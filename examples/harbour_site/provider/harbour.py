from collections.abc import Mapping
from typing import Any

from dify_plugin.errors.tool import DatasourceCredentialValidationError
from dify_plugin.interfaces.datasource import DatasourceProvider


class HarbourProvider(DatasourceProvider):
    """The provider of provider/harbour.yaml."""

    def _validate_credentials(self, credentials: Mapping[str, Any]) -> None:
        """Called when somebody enters credentials: try them, and raise with words for a person when they do not work."""
        if not str(credentials.get("visitor_pass", "")).startswith("pass-"):
            raise DatasourceCredentialValidationError("The number of a visitor pass begins with “pass-”.")
