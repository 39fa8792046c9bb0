from typing import Any

from dify_plugin import ModelProvider

from models.common import check_key


class OfflineProvider(ModelProvider):
    """The provider of provider/offline.yaml."""

    def validate_provider_credentials(self, credentials: dict[str, Any]) -> None:
        """Called when somebody enters credentials. Who provides many models usually asks the service for the list of them here."""
        check_key(credentials)
