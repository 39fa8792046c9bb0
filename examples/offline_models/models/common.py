"""What the models of the provider have in common."""

from collections.abc import Mapping
from typing import Any

from dify_plugin.errors.model import CredentialsValidateFailedError, InvokeAuthorizationError, InvokeBadRequestError, InvokeError


def check_key(credentials: Mapping[str, Any]) -> None:
    """
    Raises CredentialsValidateFailedError, with words for a person.

    There is no account behind these models. The rule is there so that one can see both outcomes.
    """
    if not str(credentials.get("api_key", "")).startswith("offline-"):
        raise CredentialsValidateFailedError("The key has to begin with “offline-”.")


class Offline:
    """A half of each model class; the other half is the SDK's, which finds the models that the YAML files declare."""

    def validate_credentials(self, model: str, credentials: Mapping[str, Any]) -> None:
        check_key(credentials)

    @property
    def _invoke_error_mapping(self) -> dict[type[InvokeError], list[type[Exception]]]:
        """
        Which exceptions of our code mean what to Dify: it asks for other credentials after InvokeAuthorizationError, tries again later
        after InvokeRateLimitError, and so on. What is not listed becomes a plain InvokeError.
        """
        return {InvokeAuthorizationError: [CredentialsValidateFailedError], InvokeBadRequestError: [ValueError]}
