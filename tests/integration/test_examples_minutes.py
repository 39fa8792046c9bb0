"""The example with an online document, on the real SDK."""

from typing import Any

from tests.integration.example_house import ExampleTestCase
from tests.integration.test_demo import ROOT

KEY = {"team_key": "team-7"}
MINUTES = ROOT / "examples" / "meeting_minutes" / "minutes"


def page(id: str, title: str, parent: str | None = None) -> dict[str, Any]:
    edited = f"{id[:10]}T00:00:00Z"
    return {"page_id": id, "page_name": title, "page_icon": None, "type": "page", "last_edited_time": edited, "parent_id": parent}


class MinutesTests(ExampleTestCase):
    example = "meeting_minutes"

    def order(self, **more: Any) -> dict[str, Any]:
        return {"provider": "minutes", "datasource": "pages", "credentials": KEY, **more}

    def test_pages(self) -> None:
        """All pages of all teams are listed, each with the one that it is below."""
        (chunk,) = self.client.chunks("datasource/get_online_document_pages", **self.order(datasource_parameters={}))
        garden, kitchen = chunk["result"]
        self.assertEqual(garden, {
            "workspace_id": "garden", "workspace_name": "Garden", "workspace_icon": "", "total": 1,
            "pages": [page("2026-02-16-spring", "Plans for spring")],
        })  # fmt: skip
        self.assertEqual((kitchen["workspace_id"], kitchen["total"], kitchen["pages"]), ("kitchen", 2, [
            page("2026-03-02-budget", "Budget of the kitchen"),
            page("2026-03-02-budget-questions", "Open questions about the budget", "2026-03-02-budget"),
        ]))  # fmt: skip

    def test_content(self) -> None:
        """A page arrives in the three variables that Dify puts together."""
        wanted = {"workspace_id": "garden", "page_id": "2026-02-16-spring", "type": "page"}
        chunks = self.client.chunks("datasource/get_online_document_page_content", **self.order(page=wanted))
        self.assertEqual({chunk["type"] for chunk in chunks}, {"variable"})
        self.assertEqual(
            {chunk["message"]["variable_name"]: chunk["message"]["variable_value"] for chunk in chunks},
            {
                "workspace_id": "garden",
                "page_id": "2026-02-16-spring",
                "content": (MINUTES / "garden" / "2026-02-16-spring.md").read_text(encoding="utf-8"),
            },
        )

    def test_missing(self) -> None:
        """A page that is not there is told as what it is."""
        wanted = {"workspace_id": "garden", "page_id": "../../README", "type": "page"}
        refused = self.client.refusal("datasource/get_online_document_page_content", **self.order(page=wanted))
        self.assertEqual(refused, ("ValueError", "there is no page ../../README of garden"))

    def test_credentials(self) -> None:
        """A good key is accepted, a bad one refused in the plugin's words."""
        route = "datasource/validate_credentials"
        self.assertEqual(self.client.chunks(route, provider="minutes", credentials=KEY), [{"result": True}])
        self.assertEqual(
            self.client.refusal(route, provider="minutes", credentials={"team_key": "7"}),
            ("DatasourceCredentialValidationError", "A team key begins with “team-”."),
        )

    def test_listed(self) -> None:
        """The provider is listed with its type."""
        (listed,) = self.client.json("/management/datasources?page=1&page_size=10")
        self.assertEqual((listed["provider"], listed["declaration"]["provider_type"]), ("minutes", "online_document"))
