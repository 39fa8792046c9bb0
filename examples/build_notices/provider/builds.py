from collections.abc import Mapping
from typing import Any

from dify_plugin.entities import I18nObject, ParameterOption
from dify_plugin.entities.provider_config import CredentialType
from dify_plugin.entities.trigger import EventDispatch, Subscription, UnsubscribeResult
from dify_plugin.errors.trigger import TriggerDispatchError, TriggerProviderCredentialValidationError, TriggerValidationError
from dify_plugin.interfaces.trigger import Trigger, TriggerSubscriptionConstructor
from werkzeug import Request, Response

from notices import EVENTS, HEADER, decode, is_signed, secret_for

PROJECTS = {"app": "The app", "website": "The website"}
"""What the build server would be asked for."""


class Builds(Trigger):
    """Takes what the build server posts, and says which events it is."""

    def _dispatch_event(self, subscription: Subscription, request: Request) -> EventDispatch:
        """An exception starts nothing, and the sender gets an error. Everything else is answered by `response`."""
        body = request.get_data()
        if not is_signed(body, request.headers.get(HEADER, ""), subscription.properties["secret"]):
            raise TriggerValidationError("the signature is missing or wrong")
        try:
            notice = decode(body)
        except ValueError as why:
            raise TriggerDispatchError(str(why)) from why
        name, project = notice.get("notice"), notice.get("project")
        wanted = (subscription.parameters or {}).get("projects")  # a subscription by hand has no parameters, and hears of everything
        if name not in EVENTS or (wanted and project not in wanted):
            return EventDispatch(events=[], response=Response("ignored", status=200))
        # `payload` saves the events from taking the request apart again; `user_id` is who the workflow is started for.
        return EventDispatch(user_id=notice.get("by", ""), events=[name], payload=notice, response=Response("thanks", status=202))


class BuildsSubscriptions(TriggerSubscriptionConstructor):
    """Subscribes at the build server, in the name of whoever entered credentials."""

    def _validate_api_key(self, credentials: Mapping[str, Any]) -> None:
        if not str(credentials.get("api_key", "")).startswith("builds-"):
            raise TriggerProviderCredentialValidationError("The key has to begin with “builds-”.")

    def _fetch_parameter_options(
        self, parameter: str, credentials: Mapping[str, Any], credential_type: CredentialType
    ) -> list[ParameterOption]:
        """The options of a dynamic-select, here of `projects`."""
        return [ParameterOption(value=value, label=I18nObject(en_US=label)) for value, label in PROJECTS.items()]

    def _create_subscription(
        self, endpoint: str, parameters: Mapping[str, Any], credentials: Mapping[str, Any], credential_type: CredentialType
    ) -> Subscription:
        """
        `endpoint` is the address at which Dify takes this subscription's notices.

        Most services are told it here, by a call of their API, and answer with an identifier that belongs into `properties`. This build
        server needs no telling: it derives the secret from key and address by the same rule.
        """
        secret = secret_for(credentials["api_key"], endpoint)
        return Subscription(expires_at=-1, endpoint=endpoint, parameters=parameters, properties={"secret": secret})

    def _refresh_subscription(
        self, subscription: Subscription, credentials: Mapping[str, Any], credential_type: CredentialType
    ) -> Subscription:
        """Called before `expires_at`, so that a lease can be renewed; -1 is never. After a change of the key the secret is another."""
        secret = secret_for(credentials["api_key"], subscription.endpoint)
        return subscription.model_copy(update={"properties": {"secret": secret}})

    def _delete_subscription(
        self, subscription: Subscription, credentials: Mapping[str, Any], credential_type: CredentialType
    ) -> UnsubscribeResult:
        """Dify forgets the subscription whatever is said here; `success=False` warns people that the service may go on sending."""
        return UnsubscribeResult(success=True, message=f"{subscription.endpoint} takes no more notices.")
