"""Listings and look-ups over HTTP (http-api 14)."""

import msgspec
from sqlalchemy import text

from tests.catalog.house import NEWER, OTHER, WEATHER, named
from tests.catalog.packages import package
from tests.web.management.site import ManagedHouse

PAGE = {"page": 1, "page_size": 256}
MODEL = named("model")


class Listing(ManagedHouse):
    def setUp(self) -> None:
        super().setUp()
        self.mine = self.have(WEATHER)
        self.wait(1)
        self.have(MODEL, kind="model")
        self.have(NEWER, OTHER)

    def test_installed(self) -> None:
        """Newest first, with the declaration as it is stored."""
        answer = self.data("GET", "/list", params={**PAGE, "response_type": "paged"})
        self.assertEqual((answer["total"], [row["plugin_id"] for row in answer["list"]]), (2, ["acme/model", "acme/weather"]))
        row = answer["list"][1]
        self.assertEqual((row["id"], row["installation_id"], row["name"], row["version"]), (self.mine, self.mine, "weather", "1.0.0"))
        self.assertEqual(row["declaration"], self.data("GET", "/fetch/manifest", params={"plugin_unique_identifier": str(WEATHER)}))

    def test_broken_declaration(self) -> None:
        """One row that cannot be read does not take the others along."""
        ruin = "UPDATE plugin_declarations SET declaration = '[1' WHERE plugin_id = 'acme/model'"
        self.got(self.database.run(lambda transaction: transaction.connection.execute(text(ruin)).close()))
        self.assertEqual([row["plugin_id"] for row in self.data("GET", "/list", params=PAGE)["list"]], ["acme/weather"])
        self.assertEqual(self.data("GET", "/models", params=PAGE), [])

    def test_category(self) -> None:
        """One category, narrowed or not."""
        answer = self.data("GET", "/tool/list", params=PAGE)
        self.assertEqual(([row["plugin_id"] for row in answer["list"]], answer["has_more"]), (["acme/weather"], False))
        self.assertEqual(self.data("GET", "/tool/list", params={**PAGE, "query": "WEATH"})["list"], answer["list"])
        self.assertEqual(self.data("GET", "/tool/list", params={**PAGE, "query": "rain", "language": "ja_JP"})["list"], [])
        self.assertEqual(self.data("GET", "/tool/list", params={**PAGE, "tags": ["search", "weather"]})["list"], [])
        self.assertEqual(self.data("GET", "/installation/ids", params={"category": "model"}), {"plugin_ids": ["acme/model"]})

    def test_unknown_category(self) -> None:
        """A category that does not exist is a bad request inside a 200 answer."""
        for path in ("/management/nonsense/list", "/management/installation/ids"):
            refused = self.error("GET", path, params={**PAGE, "category": "nonsense"})
            self.assertEqual(refused[:2], (200, -400))
            self.assertIn("invalid plugin category", refused[3])

    def test_does_not_bind(self) -> None:
        """Pages, filters and identifiers that do not fit are 400."""
        for path, params in (
            ("/list", {}),
            ("/list", {"page": 0, "page_size": 1}),
            ("/tools", {"page": 1, "page_size": 257}),
            ("/tool/list", {**PAGE, "tags": "nonsense"}),
            ("/tool/list", {**PAGE, "language": "xx_XX"}),
            ("/fetch/manifest", {}),
            ("/fetch/identifier", {"plugin_unique_identifier": "acme/weather"}),
            ("/tool", {"plugin_id": "acme/weather"}),
        ):
            self.assertEqual(self.error("GET", f"/management{path}", params=params)[:2], (400, -400), (path, params))

    def test_look_ups(self) -> None:
        """Batch, missing, in use, existence."""
        (row,) = self.data("POST", "/installation/fetch/batch", json={"plugin_ids": ["acme/weather", "acme/nobody"]})
        self.assertEqual(row["id"], self.mine)
        asked = [str(WEATHER), str(NEWER), str(named("nobody"))]
        self.assertEqual(
            self.data("POST", "/installation/missing", json={"plugin_unique_identifiers": [asked[2], str(named(version="9.9.9"))]}),
            [
                {"plugin_unique_identifier": asked[2], "current_identifier": ""},
                {"plugin_unique_identifier": str(named(version="9.9.9")), "current_identifier": str(WEATHER)},
            ],
        )
        used = [self.data("GET", "/fetch/identifier", params={"plugin_unique_identifier": identifier}) for identifier in asked]
        self.assertEqual(used, [True, True, False])
        wanted = [{"plugin_id": "acme/weather", "provider_name": name} for name in ("weather", "rain")]
        self.assertEqual(self.data("POST", "/tools/check_existence", json={"provider_ids": wanted}), [True, False])

    def test_providers(self) -> None:
        """A list per kind, one provider by its name, bindings of models."""
        (tool,) = self.data("GET", "/tools", params=PAGE)
        self.assertEqual((tool["provider"], tool["declaration"]["identity"]["name"]), ("weather", "weather"))
        self.assertEqual(self.data("GET", "/tool", params={"plugin_id": "acme/weather", "provider": "weather"}), tool)
        self.assertEqual([row["provider"] for row in self.data("GET", "/models", params=PAGE)], ["model"])
        for path in ("/agent_strategies", "/datasources", "/triggers"):
            self.assertEqual(self.data("GET", path, params=PAGE), [])
        for single in ("tool", "agent_strategy", "datasource", "trigger"):
            refused = self.error("GET", f"/management/{single}", params={"plugin_id": "acme/weather", "provider": "rain"})
            self.assertEqual(refused, (200, -404, "PluginNotFoundError", "plugin not found"))
        self.assertEqual([row["provider"] for row in self.data("GET", "/models/bindings")], ["model"])

    def test_unknown_manifest(self) -> None:
        """A package that was never uploaded is a bad request, at once."""
        refused = self.error("GET", "/management/fetch/manifest", params={"plugin_unique_identifier": str(named("nobody"))})
        self.assertEqual(refused, (200, -400, "PluginDaemonBadRequestError", "plugin not found"))


class OfPackages(ManagedHouse):
    def setUp(self) -> None:
        super().setUp()
        self.identifier = self.take(package({"_assets/x": b"file"}))["unique_identifier"]

    def test_spellings(self) -> None:
        """The identifier in the query, in the older spelling, and in the JSON body of a GET."""
        new, old = {"plugin_unique_identifier": self.identifier}, {"PluginUniqueIdentifier": self.identifier}
        answers = [self.data("GET", "/decode/from_identifier", params=params) for params in (new, old, {**new, **old})]
        answers.append(self.data("GET", "/decode/from_identifier", json=new))
        self.assertEqual(answers, [answers[0]] * 4)
        self.assertEqual(answers[0]["unique_identifier"], self.identifier)

    def test_extract(self) -> None:
        """The same without a tenant, by a header."""
        path, header = "http://difyd/v2/invoke/extract", "X-Plugin-Unique-Identifier"
        status, body = self.fetch("GET", path, headers={header: self.identifier})
        decoded = self.data("GET", "/decode/from_identifier", params={"plugin_unique_identifier": self.identifier})
        self.assertEqual((status, msgspec.json.decode(body)["data"]), (200, decoded))
        for value, expected in ((str(named("nobody")), 200), ("acme/tiny", 400), ("", 400)):
            status, body = self.fetch("GET", path, headers={header: value})
            self.assertEqual((status, msgspec.json.decode(body)["code"]), (expected, -400), value)

    def test_readme(self) -> None:
        """In whatever language there is."""
        answer = self.data("GET", "/fetch/readme", params={"plugin_unique_identifier": self.identifier, "language": "ja_JP"})
        self.assertEqual(answer, {"content": "Hello", "language": "en_US"})

    def test_assets(self) -> None:
        """Raw bytes; what is missing is a 404, a missing package a 500."""
        icon = self.data("GET", "/fetch/manifest", params={"plugin_unique_identifier": self.identifier})["icon"]
        self.assertEqual(self.ask("GET", f"/asset/{icon}"), (200, b"<svg/>"))
        for asset in ("0" * 64 + ".svg", "nothing", "..%2f..%2fx", "a%2fb"):
            self.assertEqual(self.error("GET", f"/asset/{asset}")[:3], (404, -404, "PluginDaemonNotFoundError"))
        wanted = {"plugin_unique_identifier": self.identifier, "file_path": "x"}
        for path in ("/extract-asset/", "/extract-asset"):
            self.assertEqual(self.ask("GET", path, params=wanted), (200, b"file"))
        self.assertEqual(self.error("GET", "/extract-asset/", params={**wanted, "file_path": "../main.py"})[:2], (404, -404))
        self.assertEqual(self.error("GET", "/extract-asset/", params={**wanted, "file_path": ""})[:2], (400, -400))
        unknown = self.error("GET", "/extract-asset/", params={**wanted, "plugin_unique_identifier": str(named("nobody"))})
        self.assertEqual(unknown, (500, -500, "PluginDaemonInternalServerError", "plugin package not found, please upload it firstly"))
