"""What a stored package says of itself, for callers that know a version and no tenant (http-api 10)."""

from attrs import define
from klein import Klein
from twisted.web.server import Request

from difyd.catalog.contents import Contents
from difyd.errors import BadRequest
from difyd.web.auth import Key
from difyd.web.dispatch import identifier_of
from difyd.web.envelope import failure, success
from difyd.web.routes import Group


@define(eq=False)
class ExtractRoute:
    _contents: Contents

    app = Klein()

    def group(self, key: Key) -> Group:
        return Group(self, key)

    @app.route("/v2/invoke/extract", methods=["GET"])
    async def extract(self, request: Request) -> bytes:
        """A header that is missing or malformed is a 400; a package that is, is an error inside a 200 answer."""
        identifier = identifier_of(request)
        try:
            return success(await self._contents.decoded(identifier))
        except BadRequest as why:
            return failure(why)
