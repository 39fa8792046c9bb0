"""Plugins under development that are connected to this node, as calls see them (decision table: they shadow what is installed)."""

from attrs import define, field
from twisted.internet.defer import Deferred

from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.runtime.interfaces import IPluginRuntime, IShadow

_Key = tuple[str, str]
"""Tenant and plugin id."""


@define(eq=False)
class Shadows:
    """The latest connection of a tenant's plugin counts."""

    _of_tenants: dict[_Key, IShadow] = field(factory=dict, init=False)
    _identified: dict[PluginIdentifier, IShadow] = field(factory=dict, init=False)
    """Once more, for callers that know an identifier and no tenant (http-api 10)."""
    _expected: list[tuple[_Key, Deferred[IPluginRuntime]]] = field(factory=list, init=False)

    def find(self, tenant: str, identifier: PluginIdentifier, kind: RuntimeType) -> IShadow | None:
        """Who answers a call instead of what is installed, which is of that kind."""
        if not self._of_tenants:
            return None
        shadow = self._of_tenants.get((tenant, identifier.plugin_id)) if tenant else self._identified.get(identifier)
        if shadow is not None and not shadow.available and kind is RuntimeType.LOCAL:
            return None  # while it reconnects it has its callers wait, unless there is something installed to answer them
        return shadow

    def expect(self, tenant: str, plugin_id: str) -> Deferred[IPluginRuntime]:
        """Fires when this plugin connects; can be cancelled."""
        waiter: Deferred[IPluginRuntime] = Deferred(lambda _: self._expected.remove((key, waiter)))
        key = (tenant, plugin_id)
        self._expected.append((key, waiter))
        return waiter

    def add(self, tenant: str, shadow: IShadow) -> None:
        key = (tenant, shadow.identifier.plugin_id)
        self._of_tenants[key] = shadow
        self._identified[shadow.identifier] = shadow
        here = [waiter for expected, waiter in self._expected if expected == key]
        self._expected = [each for each in self._expected if each[0] != key]
        for waiter in here:
            waiter.callback(shadow)

    def remove(self, tenant: str, shadow: IShadow) -> None:
        """Does nothing to a later connection of the same plugin."""
        key = (tenant, shadow.identifier.plugin_id)
        if self._of_tenants.get(key) is shadow:
            del self._of_tenants[key]
        if self._identified.get(shadow.identifier) is shadow:
            del self._identified[shadow.identifier]
