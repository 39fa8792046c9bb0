"""The example with a data source: folders, pages of folders and files, on the real SDK."""

import base64
from typing import Any

from tests.integration.example_house import ExampleTestCase
from tests.integration.test_demo import ROOT

CARD = {"library_card": "reader-7"}
HANDBOOK = ROOT / "examples" / "handbook_drive" / "handbook"


def file(path: str) -> dict[str, Any]:
    return {"id": path, "name": path.rpartition("/")[2], "size": (HANDBOOK / "everybody" / path).stat().st_size, "type": "file"}


class DriveTests(ExampleTestCase):
    example = "handbook_drive"

    def ask(self, route: str, **request: Any) -> Any:
        order = {"provider": "handbook", "datasource": "shelves", "credentials": CARD, "request": request}
        (chunk,) = self.client.chunks(f"datasource/{route}", **order)
        return chunk

    def browse(self, **request: Any) -> Any:
        return self.ask("online_drive_browse_files", **{"bucket": "everybody", "prefix": "", "max_keys": 20, **request})["result"]

    def test_buckets(self) -> None:
        """At the top there are the shelves."""
        empty = {"files": [], "is_truncated": False, "next_page_parameters": None}
        self.assertEqual(self.browse(bucket=""), [{"bucket": "engineers", **empty}, {"bucket": "everybody", **empty}])

    def test_pages(self) -> None:
        """A long folder is shown page by page: what the plugin gives for the next page comes back to it."""
        folder = {"id": "first-week/", "name": "first-week", "size": 0, "type": "folder"}
        (first,) = self.browse(max_keys=2)
        self.assertEqual(first, {
            "bucket": "everybody", "files": [folder, file("holidays.md")], "is_truncated": True,
            "next_page_parameters": {"after": "holidays.md"},
        })  # fmt: skip
        (second,) = self.browse(max_keys=2, next_page_parameters=first["next_page_parameters"])
        self.assertEqual(second, {"bucket": "everybody", "files": [file("welcome.md")], "is_truncated": False, "next_page_parameters": {}})

    def test_folder(self) -> None:
        """A folder is entered by its id."""
        (found,) = self.browse(prefix="first-week/")
        self.assertEqual(found["files"], [file("first-week/checklist.md")])

    def test_download(self) -> None:
        """A file arrives whole, in one message."""
        message = self.ask("online_drive_download_file", bucket="everybody", id="first-week/checklist.md")
        content = base64.b64encode((HANDBOOK / "everybody" / "first-week" / "checklist.md").read_bytes()).decode()
        meta = {"file_name": "checklist.md", "mime_type": "text/markdown"}
        self.assertEqual(message, {"type": "blob", "message": {"blob": content}, "meta": meta})

    def test_outside(self) -> None:
        """A path that leads out of the handbook is refused by the plugin."""
        given = {"provider": "handbook", "datasource": "shelves", "credentials": CARD}
        refused = self.client.refusal("datasource/online_drive_download_file", **given, request={"bucket": "everybody", "id": "../../main.py"})
        self.assertEqual(refused, ("ValueError", "there is no everybody/../../main.py"))

    def test_credentials(self) -> None:
        """A good card is accepted, a bad one refused in the plugin's words."""
        route = "datasource/validate_credentials"
        self.assertEqual(self.client.chunks(route, provider="handbook", credentials=CARD), [{"result": True}])
        self.assertEqual(
            self.client.refusal(route, provider="handbook", credentials={"library_card": "7"}),
            ("DatasourceCredentialValidationError", "The number of a library card begins with “reader-”."),
        )

    def test_listed(self) -> None:
        """The provider is listed with its type."""
        (listed,) = self.client.json("/management/datasources?page=1&page_size=10")
        declared = listed["declaration"]
        self.assertEqual((listed["provider"], listed["plugin_id"]), ("handbook", "difyd/handbook_drive"))
        self.assertEqual((declared["provider_type"], [each["identity"]["name"] for each in declared["datasources"]]),
                         ("online_drive", ["shelves"]))  # fmt: skip
