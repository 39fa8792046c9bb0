from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from dify_plugin import Endpoint
from werkzeug import Request, Response


class Hello(Endpoint):
    """Shows that the endpoint is there. Anybody may call it."""

    def _invoke(self, r: Request, values: Mapping[str, Any], settings: Mapping[str, Any]) -> Response:
        name = unquote(values["name"])  # before 0.10 the SDK leaves “J%C3%B6rg” like that
        return Response(f"{settings.get('greeting') or 'Hello'}, {name}!\n", content_type="text/plain; charset=utf-8")
