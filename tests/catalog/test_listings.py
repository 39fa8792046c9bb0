"""Lists of the console: finished pages are kept while nothing changes."""

import json
from typing import Any

from sqlalchemy import update
from twisted.logger import capturedLogs

from difyd.catalog.listings import Listings
from difyd.store.database import listings
from difyd.store.database.engine import Transaction
from difyd.store.database.records import InstallationRecord, Page
from difyd.store.database.tables import plugin_declarations
from tests.catalog.house import OTHER, TENANT, WEATHER, House, named


class PageTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.looked = 0
        look = listings.installed_blocking

        def counted(transaction: Transaction, *args: Any) -> Page[InstallationRecord]:
            self.looked += 1
            return look(transaction, *args)

        self.patch(listings, "installed_blocking", counted)
        self.listings = Listings(self.database, self.known)

    def names(self, tenant: str = TENANT, page: int = 1, size: int = 256) -> list[str]:
        data = json.loads(b"".join(self.got(self.listings.installed(tenant, page, size))))
        return [entry["name"] for entry in data["list"]]

    def test_kept(self) -> None:
        """The same page is made once; another page, another size, another tenant are not the same."""
        self.have(WEATHER)
        self.assertEqual([self.names() for _ in range(3)], [["weather"]] * 3)
        self.assertEqual(self.looked, 1)
        self.assertEqual((self.names(page=2), self.names(size=1), self.names(OTHER)), ([], ["weather"], []))
        self.assertEqual(self.looked, 4)

    def test_changed(self) -> None:
        """What has been installed is in the next answer."""
        self.have(WEATHER)
        self.names()
        self.have(named("tide"))
        self.assertEqual(sorted(self.names()), ["tide", "weather"])

    def test_broken(self) -> None:
        """A page without a plugin whose declaration cannot be read says so in the log each time."""
        self.have(WEATHER)
        self.got(self.database.run(lambda transaction: transaction.connection.execute(update(plugin_declarations).values(declaration="{"))))
        with capturedLogs() as events:
            self.assertEqual((self.names(), self.names()), ([], []))
        self.assertEqual([event["identifier"] for event in events if "identifier" in event], [WEATHER.text] * 2)
