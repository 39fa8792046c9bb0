from collections.abc import Mapping
from typing import Any

from dify_plugin.errors.tool import DatasourceCredentialValidationError
from dify_plugin.interfaces.datasource import DatasourceProvider


class MinutesProvider(DatasourceProvider):
    """The provider of provider/minutes.yaml."""

    def _validate_credentials(self, credentials: Mapping[str, Any]) -> None:
        """Called when somebody enters credentials: try them, and raise with words for a person when they do not work."""
        if not str(credentials.get("team_key", "")).startswith("team-"):
            raise DatasourceCredentialValidationError("A team key begins with “team-”.")
