"""What a plugin keeps: its four operations, in the words of the wire (backwards-invocation 8.1)."""

from binascii import hexlify, unhexlify
from typing import Final

from attrs import define
from msgspec import Raw
from twisted.logger import Logger

from difyd.callback.errors import InvocationFailed
from difyd.callback.requests import STORAGE, Storage
from difyd.callback.types import fits, opened
from difyd.entities.call import Call
from difyd.entities.raw import encode
from difyd.errors import BadRequest, DaemonError
from difyd.store.blobs import BlobMissing, UnfitKey
from difyd.store.plugindata import PluginData

NAME: Final = "storage"
"""The invocation type."""
NO_DATA: Final = "load data failed, please check if the key is correct or you have not set it"
"""For every failure to read: authors of plugins know this text."""
_STORED: Final = Raw(b'{"data":"ok"}')
_DELETED: Final = Raw(b'{"data":"ok","deleted_num":1}')
_THERE: Final = Raw(b'{"data":true,"exist_num":1}')
_NOT_THERE: Final = Raw(b'{"data":false,"exist_num":0}')


@define(eq=False)
class PluginStorage:
    """Values under keys, the same for all users of a tenant and all versions of a plugin."""

    log = Logger()

    _data: PluginData

    async def serve(self, call: Call, request: Raw) -> Raw:
        """
        The `data` of the answer. Raises BadInvocation, and InvocationFailed with the text of the wire.

        Cancelling gives up the answer; what has begun to be stored is stored.
        """
        wanted: Storage = fits(STORAGE, encode(opened(STORAGE, request, {})))
        tenant, plugin_id = call.tenant, call.identifier.plugin_id
        if wanted.opt == "get":
            return await self._get(call, wanted.key)
        if wanted.opt == "set":
            return await self._set(call, wanted)
        try:
            if wanted.opt == "exist":
                return _THERE if await self._data.exists(tenant, plugin_id, wanted.key) else _NOT_THERE
            await self._data.delete(tenant, plugin_id, wanted.key)
        except DaemonError as why:
            raise self._failed("exist data" if wanted.opt == "exist" else "delete data", why, call) from why
        return _DELETED

    async def _get(self, call: Call, key: str) -> Raw:
        try:
            value = await self._data.get(call.tenant, call.identifier.plugin_id, key)
        except DaemonError as why:
            self._failed("load data", why, call)
            raise InvocationFailed(NO_DATA) from why
        return Raw(b'{"data":"%s"}' % hexlify(value))

    async def _set(self, call: Call, wanted: Storage) -> Raw:
        try:
            value = unhexlify(wanted.value)
        except ValueError as why:
            raise InvocationFailed(f"decode data failed: {why}") from None
        allowed = call.declaration.permissions.storage
        try:
            await self._data.set(call.tenant, call.identifier.plugin_id, wanted.key, value, allowed.size if allowed else 0)
        except DaemonError as why:
            raise self._failed("save data", why, call) from why
        return _STORED

    def _failed(self, what: str, why: DaemonError, call: Call) -> InvocationFailed:
        """A failing store is for the operator to look into; where it is does not concern the plugin."""
        if isinstance(why, BadRequest | UnfitKey):
            return InvocationFailed(f"{what} failed: {why}")
        if isinstance(why, BlobMissing):
            return InvocationFailed(f"{what} failed: key not found")
        self.log.error(
            "{what} of {identifier} failed: {reason}", what=what, identifier=call.identifier.text, tenant=call.tenant, session=call.session,
            reason=why,
        )  # fmt: skip
        return InvocationFailed(f"{what} failed: the storage cannot be used at the moment")
