from collections.abc import Generator, Mapping
from typing import Any

from dify_plugin.entities.datasource import WebsiteCrawlMessage, WebSiteInfo, WebSiteInfoDetail
from dify_plugin.interfaces.datasource.website import WebsiteCrawlDatasource

from crawler import crawl
from site_files import fetch


class Pages(WebsiteCrawlDatasource):
    """
    A crawl: people enter an address and see how far it is; at the end they choose among the pages that were found.

    `self.runtime.credentials` has what was entered; a service that crawls for you would be asked with it.
    """

    def _get_website_crawl(self, datasource_parameters: Mapping[str, Any]) -> Generator[WebsiteCrawlMessage, None, None]:
        """Each message tells the whole state. The last one is `completed` and has all pages; what comes before shows that it goes on."""
        limit = int(datasource_parameters.get("limit") or 10)
        found: list[WebSiteInfoDetail] = []
        for page, known in crawl(datasource_parameters["url"], fetch, limit, follow=datasource_parameters.get("follow", True)):
            found.append(WebSiteInfoDetail(source_url=page.url, title=page.title, description=page.description, content=page.text))
            yield self.create_crawl_message(WebSiteInfo(status="processing", web_info_list=[], total=known, completed=len(found)))
        yield self.create_crawl_message(WebSiteInfo(status="completed", web_info_list=found, total=len(found), completed=len(found)))
