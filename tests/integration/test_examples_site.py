"""The example with a website to crawl, on the real SDK."""

from typing import Any

from tests.integration.example_house import ExampleTestCase

PASS = {"visitor_pass": "pass-7"}
START = "https://harbour.example/"


class SiteTests(ExampleTestCase):
    example = "harbour_site"

    def crawl(self, **parameters: Any) -> list[Any]:
        order = {"provider": "harbour", "datasource": "pages", "credentials": PASS, "datasource_parameters": {"url": START, **parameters}}
        return [chunk["result"] for chunk in self.client.chunks("datasource/get_website_crawl", **order)]

    def test_crawl(self) -> None:
        """Links are followed within the site; every message tells how far it is, and the last one has the pages."""
        *progress, last = self.crawl(limit=10, follow=True)
        self.assertEqual([(state["status"], state["completed"]) for state in progress], [("processing", number) for number in (1, 2, 3, 4)])
        self.assertEqual((last["status"], last["total"], last["completed"]), ("completed", 4, 4))
        self.assertEqual(
            [(page["source_url"].removeprefix(START), page["title"]) for page in last["web_info_list"]],
            [("", "Little harbour"), ("hours.html", "Opening hours"), ("boats/", "Boats"), ("boats/seagull.html", "The Seagull")],
        )
        self.assertEqual(last["web_info_list"][2]["description"], "The boats that sail from the little harbour.")
        self.assertEqual(
            last["web_info_list"][3]["content"], "The Seagull\nBuilt in 1987 & painted white. She takes 40 people and 10 bicycles."
        )

    def test_limits(self) -> None:
        """People say how many pages are read, and whether links are followed."""
        self.assertEqual(len(self.crawl(limit=2)[-1]["web_info_list"]), 2)
        self.assertEqual(len(self.crawl(limit=10, follow=False)[-1]["web_info_list"]), 1)

    def test_nowhere(self) -> None:
        """An address without a page is told as what it is."""
        order = {"provider": "harbour", "datasource": "pages", "credentials": PASS}
        refused = self.client.refusal("datasource/get_website_crawl", **order, datasource_parameters={"url": f"{START}../main.py", "limit": 1})
        self.assertEqual(refused, ("ValueError", f"There is no page at {START}../main.py"))

    def test_credentials(self) -> None:
        """A good pass is accepted, a bad one refused in the plugin's words."""
        route = "datasource/validate_credentials"
        self.assertEqual(self.client.chunks(route, provider="harbour", credentials=PASS), [{"result": True}])
        self.assertEqual(
            self.client.refusal(route, provider="harbour", credentials={}),
            ("DatasourceCredentialValidationError", "The number of a visitor pass begins with “pass-”."),
        )

    def test_listed(self) -> None:
        """What people may choose is listed with the provider."""
        (listed,) = self.client.json("/management/datasources?page=1&page_size=10")
        (pages,) = listed["declaration"]["datasources"]
        self.assertEqual(listed["declaration"]["provider_type"], "website_crawl")
        self.assertEqual(
            [(each["name"], each["type"], each["default"]) for each in pages["parameters"]],
            [("url", "string", START), ("limit", "number", 10), ("follow", "boolean", True)],
        )
        self.assertEqual(set(pages["output_schema"]["properties"]), {"source_url", "title", "description", "content"})
