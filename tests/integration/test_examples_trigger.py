"""The example with a trigger: from a subscription by way of a notice to the variables of a workflow, on the real SDK."""

import json
from typing import Any

from tests.integration.example_house import ExampleTestCase
from tests.test_examples import part_of

KEY = {"api_key": "builds-1"}
ADDRESS = "https://dify.example.org/triggers/plugin/s-1"
FAILED = {"notice": "build_finished", "project": "website", "number": 17, "outcome": "failed", "by": "ann"}
RELEASED = {"notice": "version_released", "project": "website", "version": "1.4.0"}


class TriggerTests(ExampleTestCase):
    example = "build_notices"

    def setUp(self) -> None:
        super().setUp()
        self.notices = part_of("build_notices", "notices")  # the build server goes by the same rule
        self.subscription = {
            "expires_at": -1, "endpoint": ADDRESS, "parameters": {"projects": ["website"]},
            "properties": {"secret": self.notices.secret_for("builds-1", ADDRESS)},
        }  # fmt: skip

    def one(self, route: str, credential_type: str = "api-key", **data: Any) -> Any:
        (chunk,) = self.client.chunks(f"trigger/{route}", provider="builds", credentials=KEY, credential_type=credential_type, **data)
        return chunk

    def request(self, body: bytes, secret: str = "") -> str:
        """What the build server posts, as Dify hands it on."""
        signature = self.notices.sign(body, secret or self.subscription["properties"]["secret"])
        head = f"POST /triggers/plugin/s-1 HTTP/1.1\r\nHost: dify.example.org\r\nContent-Length: {len(body)}\r\nX-Signature: {signature}"
        return (f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + body).hex()

    def dispatch(self, notice: dict[str, Any], **changes: Any) -> tuple[str, list[str], Any, int, bytes]:
        """User, events, payload, and the response to the build server: status and body."""
        subscription = {**self.subscription, **changes}
        request = self.request(json.dumps(notice).encode(), subscription["properties"]["secret"])
        told = self.one("dispatch_event", subscription=subscription, raw_http_request=request)
        head, _, body = bytes.fromhex(told["response"]).partition(b"\r\n\r\n")
        return told["user_id"], told["events"], told["payload"], int(head.split()[1]), body

    def invoke(self, event: str, notice: dict[str, Any], **parameters: Any) -> Any:
        return self.one(
            "invoke_event", event=event, raw_http_request=self.request(json.dumps(notice).encode()), subscription=self.subscription,
            parameters=parameters, payload=notice,
        )  # fmt: skip

    def test_subscribe(self) -> None:
        """A subscription knows the secret of its address, which the build server knows, too."""
        made = self.one("subscribe", endpoint=ADDRESS, parameters={"projects": ["website"]})
        self.assertEqual(made, {"subscription": self.subscription})

    def test_refresh(self) -> None:
        """A refreshed subscription has the secret of the key of today."""
        old = {**self.subscription, "properties": {"secret": "old"}}
        self.assertEqual(self.one("refresh", subscription=old), {"subscription": self.subscription})

    def test_unsubscribe(self) -> None:
        """The end of a subscription is told in a sentence."""
        ended = {"success": True, "message": f"{ADDRESS} takes no more notices."}
        self.assertEqual(self.one("unsubscribe", subscription=self.subscription), {"subscription": ended})

    def test_dispatch(self) -> None:
        """A notice becomes an event, for the user who caused it; its sender is thanked."""
        self.assertEqual(self.dispatch(FAILED), ("ann", ["build_finished"], FAILED, 202, b"thanks"))
        self.assertEqual(self.dispatch(RELEASED), ("", ["version_released"], RELEASED, 202, b"thanks"))

    def test_ignored(self) -> None:
        """Other projects and unknown notices are taken and come to nothing; a subscription by hand hears of all projects."""
        other = {**FAILED, "project": "app"}
        self.assertEqual(self.dispatch(other), ("", [], {}, 200, b"ignored"))
        self.assertEqual(self.dispatch({"notice": "ping"})[1], [])
        self.assertEqual(self.dispatch(other, parameters=None, properties={"secret": "by hand"})[1], ["build_finished"])

    def test_forged(self) -> None:
        """A notice with a wrong signature, and one that is none, are refused in the plugin's words."""
        given = {"provider": "builds", "credentials": KEY, "credential_type": "api-key", "subscription": self.subscription}
        forged = self.client.refusal("trigger/dispatch_event", **given, raw_http_request=self.request(b"{}", "guessed"))
        self.assertEqual(forged, ("TriggerValidationError", "the signature is missing or wrong"))
        garbled = self.client.refusal("trigger/dispatch_event", **given, raw_http_request=self.request(b"[]"))
        self.assertEqual(garbled, ("TriggerDispatchError", "a notice is a JSON object"))

    def test_events(self) -> None:
        """An event gives a workflow its variables, or declines."""
        variables = {"project": "website", "number": 17, "outcome": "failed"}
        for wanted in ("any", "failed"):
            self.assertEqual(self.invoke("build_finished", FAILED, outcome=wanted), {"variables": variables, "cancelled": False})
        self.assertEqual(self.invoke("build_finished", FAILED, outcome="passed"), {"variables": {}, "cancelled": True})
        released = {"project": "website", "version": "1.4.0"}
        self.assertEqual(self.invoke("version_released", RELEASED), {"variables": released, "cancelled": False})

    def test_options(self) -> None:
        """The projects to choose from come from the plugin."""
        (chunk,) = self.client.chunks(
            "dynamic_select/fetch_parameter_options", provider="builds", provider_action="provider", parameter="projects",
            credentials=KEY, credential_type="api-key",
        )  # fmt: skip
        found = [(option["value"], option["label"]["en_US"]) for option in chunk["options"]]
        self.assertEqual(found, [("app", "The app"), ("website", "The website")])

    def test_credentials(self) -> None:
        """A good key is accepted, a bad one refused in the plugin's words."""
        route = "trigger/validate_credentials"
        self.assertEqual(self.client.chunks(route, provider="builds", credentials=KEY), [{"result": True}])
        self.assertEqual(
            self.client.refusal(route, provider="builds", credentials={"api_key": "1"}),
            ("TriggerProviderCredentialValidationError", "The key has to begin with “builds-”."),
        )

    def test_listed(self) -> None:
        """The provider is listed with what a subscription asks for and with its events."""
        (listed,) = self.client.json("/management/triggers?page=1&page_size=10")
        declared = listed["declaration"]
        self.assertEqual((listed["provider"], listed["plugin_id"]), ("builds", "difyd/build_notices"))
        self.assertEqual([field["name"] for field in declared["subscription_schema"]], ["secret"])
        (projects,) = declared["subscription_constructor"]["parameters"]
        self.assertEqual((projects["name"], projects["type"], projects["multiple"]), ("projects", "dynamic-select", True))
        self.assertEqual([event["identity"]["name"] for event in declared["events"]], ["build_finished", "version_released"])
