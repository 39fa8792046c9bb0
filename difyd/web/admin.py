"""`/admin/…`: for operators, with a key of its own (http-api 16.2). What it does concerns functions in a cloud."""

from typing import Final

from attrs import define, frozen
from klein import Klein
from twisted.web.server import Request

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import InternalError
from difyd.web.envelope import success
from difyd.web.params import bind, identifier, text
from difyd.web.site import begin_events

_NOT_LOCAL: Final = b'{"event":"error","data":"reinstall is not supported on local platform"}'


@frozen
class Reinstall:
    plugin_unique_identifier: PluginIdentifier = identifier()


@frozen
class Switch:
    plugin_unique_identifier: PluginIdentifier = identifier()
    function_name: str = text()
    function_url: str = text()


@define(eq=False)
class Admin:
    """On the platform `local`, where there are no functions: every request is answered with what it would need."""

    app = Klein()

    @app.route("/admin/plugin/serverless/reinstall", methods=["POST"])
    async def reinstall(self, request: Request) -> None:
        bind(Reinstall, request)
        begin_events(request)
        request.write(b"data: " + success(_NOT_LOCAL) + b"\n\n")

    @app.route("/admin/plugin/serverless/switch-endpoint", methods=["POST"])
    async def switch(self, request: Request) -> bytes:
        bind(Switch, request)
        raise InternalError("switch serverless runtime is not supported on local platform")
