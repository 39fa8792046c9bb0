"""Endpoints: set up and changed by tenants, looked up by the hooks that the world calls (http-api 11, 12; state-and-cluster 5.9)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from typing import Any, Final

import msgspec
from attrs import define, field, frozen
from msgspec import Raw
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from difyd.callback.interfaces import ISecrets
from difyd.catalog.installations import Installations
from difyd.catalog.lru import Lru
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.settings_schema import Schema, has_secrets, masked, unmasked, validate
from difyd.errors import BadRequest, DaemonError, InternalError, NotFound, PermissionDenied, PluginNotFound
from difyd.store.database import endpoints
from difyd.store.database.endpoints import Endpoint
from difyd.store.database.engine import Database, DatabaseFailed
from difyd.store.database.times import rfc3339

KEPT: Final = 4096
"""Hooks whose rows are kept in memory."""
LIFE: Final = 30 * 60.0
"""Seconds that a row is kept (http-api 11.1); a change drops it at once."""
_NO_DECLARATION: Final = Raw(b'{"settings":[],"endpoints":[]}')

Settings = dict[str, Any]


class _Group(msgspec.Struct, frozen=True):
    """The endpoint group of a declaration."""

    settings: list[dict[str, Any]] | None = None


_group = msgspec.json.Decoder(_Group)
_settings = msgspec.json.Decoder(Settings | None)


@frozen
class _Kept:
    endpoint: Endpoint
    until: float


@define(eq=False)
class Endpoints:
    """
    The endpoints of all tenants.

    Secrets are encrypted before a row is written, so that no endpoint exists without its settings (http-api 22.10).
    """

    log = Logger()
    _clock: IReactorTime
    _database: Database
    _installations: Installations
    _secrets: ISecrets
    _zone: tzinfo
    _hooks: Lru[str, _Kept] = field(factory=lambda: Lru[str, _Kept](KEPT), init=False)

    async def set_up(self, tenant: str, user: str, identifier: PluginIdentifier, name: str, settings: Settings) -> None:
        """
        A new endpoint of exactly this version of a plugin.

        Raises PluginNotFound, PermissionDenied, BadRequest for a plugin without endpoints or settings that do not fit, InternalError when
        Dify does not encrypt.
        """
        installed = await self._installations.find(tenant, identifier.plugin_id)
        if installed.identifier != identifier:
            raise PluginNotFound
        declaration = await self._installations.declaration(identifier)
        permission = declaration.permissions.endpoint
        if permission is None or not permission.enabled:
            raise PermissionDenied("permission denied, you need to enable endpoint access in plugin manifest")
        schema = schema_of(declaration.part("endpoint"))
        if schema is None:
            raise BadRequest("plugin does not have an endpoint")
        validate(schema, settings)
        endpoint_id = self._database.ids.new()
        encrypted = await self._encrypt(tenant, user, endpoint_id, settings, schema)
        with _failing("failed to setup endpoint"):
            await self._database.run(
                endpoints.create_blocking,
                id=endpoint_id,
                hook_id=endpoints.new_hook_id(),
                tenant=tenant,
                user=user,
                plugin_id=identifier.plugin_id,
                name=name,
                settings=msgspec.json.encode(encrypted),
            )

    async def update(self, tenant: str, user: str, endpoint_id: str, name: str, settings: Settings) -> None:
        """
        New name and settings; a secret that comes back as its mask keeps its value.

        Raises NotFound, PluginNotFound, BadRequest, InternalError as `set_up`.
        """
        endpoint = await self._database.read(endpoints.by_id_blocking, tenant, endpoint_id)
        if endpoint is None:
            raise NotFound("failed to find endpoint: record not found")
        schema = await self._schema(endpoint)
        stored = await self._decrypt(endpoint, self._readable(endpoint), schema)
        wanted = unmasked(schema, settings, stored)
        validate(schema, wanted)
        encrypted = await self._encrypt(tenant, user, endpoint_id, wanted, schema)
        text = msgspec.json.encode(encrypted)
        with _failing("failed to update endpoint"):
            changed = await self._database.run(endpoints.update_blocking, tenant, endpoint_id, name=name, settings=text)
        if not changed:
            raise NotFound("failed to find endpoint: record not found")
        self._hooks.drop(endpoint.hook_id)
        await self._clear(endpoint, schema)

    async def remove(self, tenant: str, endpoint_id: str) -> None:
        """Raises InternalError when it is not there: the one error that Dify takes for a success (dify-client 5.3)."""
        with _failing("failed to remove endpoint"):
            endpoint = await self._database.run(endpoints.remove_blocking, tenant, endpoint_id)
        if endpoint is None:
            raise InternalError("failed to remove endpoint: record not found")
        self._hooks.drop(endpoint.hook_id)
        try:
            await self._clear(endpoint, await self._schema(endpoint))
        except (NotFound, PluginNotFound, BadRequest):
            pass  # nobody knows any more which of its settings were secrets
        except InternalError as why:  # it is removed all the same; what Dify has kept of it, nobody can ask for any more
            self.log.warn("{why}, of the endpoint {endpoint}, which is removed", why=str(why), endpoint=endpoint.id)

    async def enable(self, tenant: str, endpoint_id: str, enabled: bool) -> None:
        """Or disable; without effect when it is so already. Raises NotFound."""
        endpoint = await self._database.run(endpoints.enable_blocking, tenant, endpoint_id, enabled)
        if endpoint is None:
            raise NotFound("endpoint not found")
        self._hooks.drop(endpoint.hook_id)

    async def list(self, tenant: str, page: int, size: int, plugin_id: str | None = None) -> bytes:
        """
        The JSON of a page, newest first, secrets masked.

        What is left of an uninstalled plugin has neither settings nor declaration; asked for it alone, raises NotFound.
        """
        found = await self._database.read(endpoints.list_blocking, tenant, page, size, plugin_id=plugin_id)
        records = []
        for one in found:
            group = None if one.declaration is None else _part(one.declaration)
            schema = schema_of(group)
            if plugin_id is not None and one.identifier is None:
                raise NotFound("failed to find plugin installation: record not found")
            if schema is None:
                records.append(self._record(one.endpoint, {}, _NO_DECLARATION))
            else:
                settings = masked(schema, await self._decrypt(one.endpoint, self._readable(one.endpoint), schema))
                records.append(self._record(one.endpoint, settings, Raw(group or b"null")))
        return msgspec.json.encode(records)

    async def by_hook(self, hook_id: str) -> Endpoint:
        """The endpoint that a hook leads to; from memory in the steady state. Raises BadRequest with the text of http-api 11.1."""
        kept = self._hooks.get(hook_id)
        if kept is not None and self._clock.seconds() < kept.until:
            return kept.endpoint
        endpoint = await self._database.read(endpoints.by_hook_blocking, hook_id)
        if endpoint is None:
            raise BadRequest("endpoint not found")
        self._hooks.put(hook_id, _Kept(endpoint, self._clock.seconds() + LIFE))
        return endpoint

    async def settings(self, endpoint: Endpoint, schema: Schema) -> Settings:
        """The settings as a call of the endpoint gets them, decrypted. Raises InternalError."""
        return await self._decrypt(endpoint, _stored(endpoint), schema)

    def _readable(self, endpoint: Endpoint) -> Settings:
        """None where the stored ones cannot be read: an administrator must see the endpoint to give it others, or to remove it."""
        try:
            return _stored(endpoint)
        except InternalError as why:
            self.log.error("{why}", why=str(why))
            return {}

    async def _schema(self, endpoint: Endpoint) -> Schema:
        try:
            installed = await self._installations.find(endpoint.tenant, endpoint.plugin_id)
        except PluginNotFound:
            raise NotFound("failed to find plugin installation: record not found") from None
        declaration = await self._installations.declaration(installed.identifier)
        schema = schema_of(declaration.part("endpoint"))
        if schema is None:
            raise BadRequest("plugin does not have an endpoint")
        return schema

    async def _encrypt(self, tenant: str, user: str, endpoint_id: str, settings: Settings, schema: Schema) -> Settings:
        if not has_secrets(schema):
            return settings
        try:
            return await self._secrets.encrypt(tenant, user, endpoint_id, settings, schema)
        except DaemonError as why:
            raise InternalError(f"failed to encrypt settings: {why}") from why

    async def _decrypt(self, endpoint: Endpoint, settings: Settings, schema: Schema) -> Settings:
        if not has_secrets(schema):
            return settings
        try:
            return await self._secrets.decrypt(endpoint.tenant, "", endpoint.id, settings, schema)
        except DaemonError as why:
            raise InternalError(f"failed to decrypt settings: {why}") from why

    async def _clear(self, endpoint: Endpoint, schema: Schema) -> None:
        if not has_secrets(schema):
            return
        try:
            await self._secrets.clear(endpoint.tenant, "", endpoint.id, {}, schema)
        except DaemonError as why:
            raise InternalError(f"failed to clear credentials cache: {why}") from why

    def _record(self, endpoint: Endpoint, settings: Settings, declaration: Raw) -> dict[str, Any]:
        return {
            "id": endpoint.id,
            "created_at": rfc3339(endpoint.created_at, self._zone),
            "updated_at": rfc3339(endpoint.updated_at, self._zone),
            "name": endpoint.name,
            "hook_id": endpoint.hook_id,
            "tenant_id": endpoint.tenant,
            "user_id": endpoint.user,
            "plugin_id": endpoint.plugin_id,
            "expired_at": rfc3339(endpoint.expired_at, self._zone),
            "enabled": endpoint.enabled,
            "settings": settings,
            "declaration": declaration,
        }


def _stored(endpoint: Endpoint) -> Settings:
    """As they lie in the database. Raises InternalError."""
    try:
        return _settings.decode(endpoint.settings or b"{}") or {}
    except (msgspec.DecodeError, RecursionError) as why:
        raise InternalError(f"the stored settings of the endpoint {endpoint.id} cannot be read: {why}") from why


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """What the database says of a change, with the words that clients know before it."""
    try:
        yield
    except DatabaseFailed as why:
        raise InternalError(f"{what}: {why}") from why


class _Part(msgspec.Struct, frozen=True):
    endpoint: Raw = Raw(b"null")


_part_of = msgspec.json.Decoder(_Part)


def _part(declaration: bytes) -> bytes | None:
    """The endpoint group of a stored declaration, which is not otherwise opened for a list; None for a broken one too."""
    try:
        return bytes(_part_of.decode(declaration).endpoint)
    except msgspec.DecodeError:
        return None


def schema_of(group: bytes | None) -> Schema | None:
    """The settings that an endpoint group declares, possibly none; None when there is no group, or none that can be read."""
    if group is None or group == b"null":
        return None
    try:
        return _group.decode(group).settings or []
    except msgspec.DecodeError:
        return None
