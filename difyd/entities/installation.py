"""What it means that a tenant has a plugin."""

from enum import StrEnum

from attrs import frozen

from difyd.entities.identifier import PluginIdentifier


class RuntimeType(StrEnum):
    """How a plugin runs, as databases and listings spell it."""

    LOCAL = "local"
    REMOTE = "remote"
    SERVERLESS = "serverless"


@frozen
class Installation:
    """The version of a plugin that a tenant uses: all that a call has to know about it."""

    id: str
    tenant: str
    identifier: PluginIdentifier
    runtime: RuntimeType
