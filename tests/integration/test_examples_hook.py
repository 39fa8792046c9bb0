"""The example with web hooks: set up with a secret, called by anybody, streamed, on the real SDK."""

from threading import Event
from typing import Any

from tests.integration.example_house import ExampleTestCase
from tests.test_examples import part_of

SECRET = "a secret of some length"
APP = {"app_id": "app-1"}
SETTINGS = {"app": APP, "secret": SECRET, "greeting": "Moin"}
QUESTION = "Was ist ein Haken, über den man fällt?"


def signature(body: bytes, secret: str = SECRET) -> str:
    """Made by the plugin's own module, as a caller would."""
    made: str = part_of("app_hook", "signing").sign(body, secret)
    return made


class HookTests(ExampleTestCase):
    example = "app_hook"

    def setUp(self) -> None:
        super().setUp()
        self.dify.asked.clear()
        self.set_up(SETTINGS)
        self.endpoint = self.listed()[0]
        self.addCleanup(self.order, "remove")
        self.hook = self.endpoint["hook_id"]

    def set_up(self, settings: dict[str, Any]) -> Any:
        order = {"plugin_unique_identifier": self.client.identifier, "user_id": "ann", "name": "hook", "settings": settings}
        return self.client.manage("/endpoint/setup", **order)

    def listed(self) -> list[Any]:
        return self.client.json("/endpoint/list?page=1&page_size=10")

    def order(self, what: str, **more: Any) -> Any:
        return self.client.manage(f"/endpoint/{what}", endpoint_id=self.endpoint["id"], **more)

    def ask(self, body: bytes, **headers: str) -> tuple[int, str, list[bytes]]:
        status, told, lines = self.house.hook(f"{self.hook}/ask", "POST", body, **headers)
        return status, told["Content-Type"], lines

    def test_streamed(self) -> None:
        """A signed question is asked of the app in the settings; its words are read while it still speaks, its other events are not."""
        heard = Event()
        self.dify.script["invoke/app"] = [[
            {"event": "message", "answer": "Ein\n", "conversation_id": "c"},
            {"event": "agent_thought", "thought": "hm"},
            heard,
            {"event": "message", "answer": "Zuhörer.\n"},
            {"event": "message_end", "metadata": {}},
        ]]  # fmt: skip
        body = QUESTION.encode()
        with self.house.calling(f"{self.hook}/ask", "POST", body, **{"X-Signature": signature(body)}) as response:
            self.assertEqual((response.status, response.headers["Content-Type"]), (200, "text/plain; charset=utf-8"))
            self.assertEqual(response.readline(), b"Ein\n")
            heard.set()
            self.assertEqual(response.read(), "Zuhörer.\n".encode())
        ((route, asked),) = self.dify.asked
        self.assertEqual((route, asked["app_id"], asked["query"], asked["response_mode"]), ("invoke/app", "app-1", QUESTION, "streaming"))

    def test_refused(self) -> None:
        """A wrong signature, none, and bytes that are no text are answered by the plugin, and the app is not asked."""
        refused = (401, "text/plain; charset=utf-8", [b"The signature is missing or wrong.\n"])
        self.assertEqual(self.ask(b"What?", **{"X-Signature": signature(b"What?", "another")}), refused)
        self.assertEqual(self.ask(b"What?"), refused)
        garbled = self.ask(b"\xff", **{"X-Signature": signature(b"\xff")})
        self.assertEqual(garbled, (400, "text/plain; charset=utf-8", [b"The question is not UTF-8.\n"]))
        self.assertEqual(self.dify.asked, [])

    def test_path(self) -> None:
        """A part of the path reaches the plugin decoded, and so do settings without secrets."""
        status, headers, lines = self.house.hook(f"{self.hook}/hello/J%C3%B6rg%20M?twice=1")
        self.assertEqual((status, headers["Content-Type"], lines), (200, "text/plain; charset=utf-8", ["Moin, Jörg M!\n".encode()]))
        status, _, lines = self.house.hook(f"{self.hook}/hello/Ann", method="HEAD")
        self.assertEqual((status, lines), (200, []))

    def test_unknown(self) -> None:
        """A path that the plugin does not have is its own 404; a hook that nobody has is the daemon's."""
        status, headers, lines = self.house.hook(f"{self.hook}/nowhere")
        self.assertEqual((status, headers["Content-Type"]), (404, "text/plain; charset=utf-8"))
        self.assertTrue(lines[0].startswith(b"Failed to dispatch endpoint request: 404 Not Found"), lines)
        status, headers, lines = self.house.hook("abcdefgh12345678/hello/Ann")
        self.assertEqual((status, headers["Content-Type"]), (404, "application/json; charset=utf-8"))
        self.assertIn(b"endpoint not found", lines[0])

    def test_masked(self) -> None:
        """Lists show the secret masked; sent back like that it stays what it was, and a new one counts at once."""
        self.assertEqual(self.endpoint["settings"], {"app": APP, "secret": f"a {'*' * (len(SECRET) - 4)}th", "greeting": "Moin"})
        self.assertEqual([(each["path"], each["method"]) for each in self.endpoint["declaration"]["endpoints"]],
                         [("/hello/<name>", "GET"), ("/ask", "POST")])  # fmt: skip
        self.dify.script["invoke/app"] = [[{"event": "message", "answer": "yes"}], [{"event": "message", "answer": "yes"}]]
        self.assertIs(self.order("update", user_id="ann", name="renamed", settings=self.endpoint["settings"]), True)
        self.assertEqual(self.ask(b"?", **{"X-Signature": signature(b"?")})[0], 200)
        self.order("update", user_id="ann", name="renamed", settings={"app": APP, "secret": "fresh"})
        self.assertEqual(self.ask(b"?", **{"X-Signature": signature(b"?")})[0], 401)
        self.assertEqual(self.ask(b"?", **{"X-Signature": signature(b"?", "fresh")})[0], 200)
        self.assertEqual((self.listed()[0]["name"], self.listed()[0]["settings"]), ("renamed", {"app": APP, "secret": "*****"}))

    def test_switched(self) -> None:
        """A disabled hook is as good as none, until it is enabled again."""
        self.order("disable")
        self.assertEqual(self.house.hook(f"{self.hook}/hello/Ann")[0], 404)
        self.order("enable")
        self.assertEqual(self.house.hook(f"{self.hook}/hello/Ann")[2], [b"Moin, Ann!\n"])

    def test_settings(self) -> None:
        """Settings that do not fit the declaration are refused by name."""
        with self.assertRaises(SystemExit) as refused:
            self.set_up({"app": APP})
        self.assertIn("failed to validate settings: missing required setting: secret", str(refused.exception))
        self.assertEqual(len(self.listed()), 1)
