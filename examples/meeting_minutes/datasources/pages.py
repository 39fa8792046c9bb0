from collections.abc import Generator, Mapping
from typing import Any

from dify_plugin.entities.datasource import (
    DatasourceGetPagesResponse,
    DatasourceMessage,
    GetOnlineDocumentPageContentRequest,
    OnlineDocumentInfo,
    OnlineDocumentPage,
)
from dify_plugin.interfaces.datasource.online_document import OnlineDocumentDatasource

from minutes import Minutes

MINUTES = Minutes()


class Pages(OnlineDocumentDatasource):
    """
    Documents: people are shown the pages of all workspaces and choose some, which are then fetched one by one.

    `self.runtime.credentials` has what was entered; a service elsewhere would be asked with it.
    """

    def _get_pages(self, datasource_parameters: Mapping[str, Any]) -> DatasourceGetPagesResponse:
        """Everything that there is to choose from, at once."""
        return DatasourceGetPagesResponse(
            result=[
                OnlineDocumentInfo(
                    workspace_id=team,
                    workspace_name=team.capitalize(),
                    workspace_icon="",
                    total=len(pages),
                    pages=[
                        OnlineDocumentPage(
                            page_id=page.id,
                            page_name=page.title,
                            type="page",
                            last_edited_time=f"{page.date}T00:00:00Z",
                            parent_id=page.parent,
                        )
                        for page in pages
                    ],
                )
                for team, pages in MINUTES.teams().items()
            ]
        )

    def _get_content(self, page: GetOnlineDocumentPageContentRequest) -> Generator[DatasourceMessage, None, None]:
        """Dify expects three variables by these names; the type of the page is the one that `_get_pages` gave."""
        content = MINUTES.read(page.workspace_id, page.page_id)  # what can fail comes before the first message
        yield self.create_variable_message("workspace_id", page.workspace_id)
        yield self.create_variable_message("page_id", page.page_id)
        yield self.create_variable_message("content", content)
