from collections.abc import Mapping
from typing import Any

from dify_plugin.entities.trigger import Variables
from dify_plugin.interfaces.trigger import Event, EventIgnoreError
from werkzeug import Request


class BuildFinished(Event):
    """Turns a notice into the variables that a workflow begins with."""

    def _on_event(self, request: Request, parameters: Mapping[str, Any], payload: Mapping[str, Any]) -> Variables:
        if parameters.get("outcome", "any") not in ("any", payload["outcome"]):
            raise EventIgnoreError  # this workflow does not want it; others may
        return Variables(variables={name: payload[name] for name in ("project", "number", "outcome")})
