"""Settings of endpoints, encrypted by Dify (backwards-invocation 7.7)."""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any, Final

import msgspec
from attrs import define
from zope.interface import implementer

from difyd.callback.errors import InnerApiError
from difyd.callback.inner_api import InnerApi
from difyd.callback.interfaces import ISecrets
from difyd.entities.settings_schema import has_secrets

_PATH: Final = "invoke/encrypt"


class _Answer(msgspec.Struct, frozen=True):
    data: dict[str, Any] | None = None
    """Null for an endpoint without settings."""


_answer = msgspec.json.Decoder(_Answer)


@implementer(ISecrets)
@define(eq=False)
class Secrets:
    _api: InnerApi

    async def encrypt(
        self, tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        return await self._ask("encrypt", tenant, user, endpoint_id, settings, schema)

    async def decrypt(
        self, tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        return await self._ask("decrypt", tenant, user, endpoint_id, settings, schema)

    async def clear(self, tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]) -> None:
        await self._ask("clear", tenant, user, endpoint_id, settings, schema)

    async def _ask(
        self, what: str, tenant: str, user: str, endpoint_id: str, settings: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        if not has_secrets(schema):
            return dict(settings)
        body = {
            "tenant_id": tenant,
            "user_id": user,
            "type": "encrypt",
            "opt": what,
            "namespace": "endpoint",
            "identity": endpoint_id,
            "data": settings,
            "config": schema,
        }
        answer = await self._api.ask(_PATH, msgspec.json.encode(body), f"00-{token_hex(16)}-{token_hex(8)}-01", repeatable=True)
        data = await answer.result()
        try:
            return _answer.decode(data).data or {}
        except (ValueError, RecursionError) as why:
            raise InnerApiError(f"the answer cannot be read: {why}") from None
