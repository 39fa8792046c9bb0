"""What is installed, and what packages say of themselves (http-api 14)."""

from typing import Final, TypeVar

from attrs import define, frozen
from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from difyd.catalog.contents import Contents
from difyd.catalog.listings import Listings
from difyd.entities.identifier import PluginIdentifier
from difyd.package.schema.shared import LANGUAGES, TAGS
from difyd.store.database.listings import Filter
from difyd.web.auth import Key
from difyd.web.envelope import success, success_pieces
from difyd.web.management.pages import Paged
from difyd.web.params import bind, identifier, identifiers, several, text, texts, whole
from difyd.web.routes import Group
from difyd.wire.text import Pieces

MOST: Final = 256
"""Members of a list in one request."""
OLD_SPELLING: Final = b"PluginUniqueIdentifier"
"""How API servers spell the identifier for daemons up to 0.5.4 (dify-client 12)."""


@frozen
class Identified:
    plugin_unique_identifier: PluginIdentifier = identifier()


@frozen
class Readme(Identified):
    language: str = text(required=False)


@frozen
class OfCategory:
    page: int = whole(1)
    page_size: int = whole(1, 256)
    query: str = text(required=False, longest=256)
    tags: list[str] = texts(128, required=False, among=TAGS)
    language: str = text(required=False, among=LANGUAGES)


@frozen
class Category:
    category: str = text()


@frozen
class Batch:
    plugin_ids: list[str] = texts(MOST)


@frozen
class Missing:
    plugin_unique_identifiers: list[PluginIdentifier] = identifiers(MOST)


@frozen
class Tool:
    plugin_id: str = text()
    provider_name: str = text()


@frozen
class Existence:
    provider_ids: list[Tool] = several(Tool)


@frozen
class Provider:
    plugin_id: str = text()
    provider: str = text()


T = TypeVar("T", bound=Identified)


def identified(kind: type[T], request: IRequest) -> T:
    """As `bind`, with the identifier in the older spelling when it is not there in the newer one."""
    old = request.args.get(OLD_SPELLING)
    if old and not request.args.get(b"plugin_unique_identifier"):
        return bind(kind, request, plugin_unique_identifier=old[0].decode("utf-8", "replace"))
    return bind(kind, request)


@define(eq=False)
class ListRoutes:
    _listings: Listings
    _contents: Contents

    app = Klein()

    def group(self, key: Key) -> Group:
        return Group(self, key, always_ok=True)

    # installations

    @app.route("/plugin/<tenant>/management/list", methods=["GET"])
    async def installed(self, request: Request, tenant: str) -> Pieces:
        wanted = bind(Paged, request)
        return success_pieces(await self._listings.installed(tenant, wanted.page, wanted.page_size))

    @app.route("/plugin/<tenant>/management/<category>/list", methods=["GET"])
    async def of_category(self, request: Request, tenant: str, category: str) -> Pieces:
        wanted = bind(OfCategory, request)
        narrowed = Filter(wanted.query, frozenset(wanted.tags), wanted.language or LANGUAGES[0])  # type: ignore[arg-type]  # of a converter
        return success_pieces(await self._listings.of_category(tenant, category, wanted.page, wanted.page_size, narrowed))

    @app.route("/plugin/<tenant>/management/installation/ids", methods=["GET"])
    async def ids_of_category(self, request: Request, tenant: str) -> bytes:
        return success(await self._listings.ids_of_category(tenant, bind(Category, request).category))

    @app.route("/plugin/<tenant>/management/installation/fetch/batch", methods=["POST"])
    async def batch(self, request: Request, tenant: str) -> Pieces:
        return success_pieces(await self._listings.batch(tenant, bind(Batch, request).plugin_ids))

    @app.route("/plugin/<tenant>/management/installation/missing", methods=["POST"])
    async def missing(self, request: Request, tenant: str) -> bytes:
        return success(await self._listings.missing(tenant, bind(Missing, request).plugin_unique_identifiers))

    # packages

    @app.route("/plugin/<tenant>/management/fetch/manifest", methods=["GET"])
    async def manifest(self, request: Request, tenant: str) -> bytes:
        return success(await self._listings.manifest(identified(Identified, request).plugin_unique_identifier))

    @app.route("/plugin/<tenant>/management/fetch/identifier", methods=["GET"])
    async def in_use(self, request: Request, tenant: str) -> bytes:
        used = await self._listings.in_use(identified(Identified, request).plugin_unique_identifier)
        return success(b"true" if used else b"false")

    @app.route("/plugin/<tenant>/management/fetch/readme", methods=["GET"])
    async def readme(self, request: Request, tenant: str) -> bytes:
        wanted = identified(Readme, request)
        return success(await self._contents.readme(wanted.plugin_unique_identifier, wanted.language))

    @app.route("/plugin/<tenant>/management/decode/from_identifier", methods=["GET"])
    async def decode(self, request: Request, tenant: str) -> bytes:
        """Older API servers send the identifier in a JSON body with this GET."""
        return success(await self._contents.decoded(identified(Identified, request).plugin_unique_identifier))

    # providers

    @app.route("/plugin/<tenant>/management/tools/check_existence", methods=["POST"])
    async def tools_exist(self, request: Request, tenant: str) -> bytes:
        wanted = bind(Existence, request).provider_ids
        return success(await self._listings.tools_exist(tenant, [(tool.plugin_id, tool.provider_name) for tool in wanted]))

    @app.route("/plugin/<tenant>/management/models/bindings", methods=["GET"])
    async def bindings(self, request: Request, tenant: str) -> Pieces:
        return success_pieces(await self._listings.bindings(tenant))

    @app.route("/plugin/<tenant>/management/models", methods=["GET"])
    async def models(self, request: Request, tenant: str) -> Pieces:
        return await self._providers(request, tenant, "model")

    @app.route("/plugin/<tenant>/management/tools", methods=["GET"])
    async def tools(self, request: Request, tenant: str) -> Pieces:
        return await self._providers(request, tenant, "tool")

    @app.route("/plugin/<tenant>/management/agent_strategies", methods=["GET"])
    async def agent_strategies(self, request: Request, tenant: str) -> Pieces:
        return await self._providers(request, tenant, "agent_strategy")

    @app.route("/plugin/<tenant>/management/datasources", methods=["GET"])
    async def datasources(self, request: Request, tenant: str) -> Pieces:
        return await self._providers(request, tenant, "datasource")

    @app.route("/plugin/<tenant>/management/triggers", methods=["GET"])
    async def triggers(self, request: Request, tenant: str) -> Pieces:
        return await self._providers(request, tenant, "trigger")

    @app.route("/plugin/<tenant>/management/tool", methods=["GET"])
    async def tool(self, request: Request, tenant: str) -> bytes:
        return await self._provider(request, tenant, "tool")

    @app.route("/plugin/<tenant>/management/agent_strategy", methods=["GET"])
    async def agent_strategy(self, request: Request, tenant: str) -> bytes:
        return await self._provider(request, tenant, "agent_strategy")

    @app.route("/plugin/<tenant>/management/datasource", methods=["GET"])
    async def datasource(self, request: Request, tenant: str) -> bytes:
        return await self._provider(request, tenant, "datasource")

    @app.route("/plugin/<tenant>/management/trigger", methods=["GET"])
    async def trigger(self, request: Request, tenant: str) -> bytes:
        return await self._provider(request, tenant, "trigger")

    async def _providers(self, request: Request, tenant: str, kind: str) -> Pieces:
        wanted = bind(Paged, request)
        return success_pieces(await self._listings.providers(tenant, kind, wanted.page, wanted.page_size))

    async def _provider(self, request: Request, tenant: str, kind: str) -> bytes:
        wanted = bind(Provider, request)
        return success(await self._listings.provider(tenant, kind, wanted.plugin_id, wanted.provider))
