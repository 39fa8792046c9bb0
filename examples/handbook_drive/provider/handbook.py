from collections.abc import Mapping
from typing import Any

from dify_plugin.errors.tool import DatasourceCredentialValidationError
from dify_plugin.interfaces.datasource import DatasourceProvider


class HandbookProvider(DatasourceProvider):
    """The provider of provider/handbook.yaml."""

    def _validate_credentials(self, credentials: Mapping[str, Any]) -> None:
        """Called when somebody enters credentials: try them, and raise with words for a person when they do not work."""
        if not str(credentials.get("library_card", "")).startswith("reader-"):
            raise DatasourceCredentialValidationError("The number of a library card begins with “reader-”.")
