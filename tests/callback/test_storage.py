"""The words of the wire for what a plugin keeps. That it is kept, and how much of it, is tested with the store."""

import json
from typing import Any

from attrs import define, field
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from difyd.callback.errors import BadInvocation, InvocationFailed
from difyd.callback.storage import NO_DATA, PluginStorage
from difyd.errors import DaemonError, StorageFailed
from difyd.store.blobs import BadKey, BlobMissing, UnfitKey
from difyd.store.plugindata import KeyTooLong, QuotaExceeded
from tests.callback.fakes import call

Place = tuple[str, str, str]


@define(eq=False)
class MemoryData:
    """Values by tenant, plugin and key; or nothing but `failure`."""

    values: dict[Place, bytes] = field(factory=dict)
    limits: list[int] = field(factory=list)
    failure: DaemonError | None = None

    def _look(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def get(self, *place: str) -> bytes:
        self._look()
        if place not in self.values:
            raise BlobMissing("/srv/secret/path")
        return self.values[place]  # type: ignore[index]

    async def set(self, tenant: str, plugin_id: str, key: str, value: bytes, limit: int) -> None:
        self._look()
        self.limits.append(limit)
        self.values[tenant, plugin_id, key] = value

    async def delete(self, *place: str) -> None:
        await self.get(*place)
        del self.values[place]  # type: ignore[arg-type]

    async def exists(self, *place: str) -> bool:
        self._look()
        return place in self.values


class StorageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = MemoryData()
        self.storage = PluginStorage(self.data)  # type: ignore[arg-type]

    def serve(self, opt: str, key: object = "k", **more: object) -> Deferred[Raw]:
        request = Raw(json.dumps({"opt": opt, "key": key, **more}).encode())
        return Deferred.fromCoroutine(self.storage.serve(call(), request))

    def ask(self, opt: str, key: object = "k", **more: object) -> Any:
        return json.loads(bytes(self.successResultOf(self.serve(opt, key, **more))))

    def refused(self, opt: str, key: object = "k", **more: object) -> str:
        return str(self.failureResultOf(self.serve(opt, key, **more), InvocationFailed).value)

    def test_life(self) -> None:
        """A value goes in and comes out in hex, of tenant and plugin without its version."""
        self.assertEqual(self.ask("exist"), {"data": False, "exist_num": 0})
        self.assertEqual(self.ask("set", value="ABcd00"), {"data": "ok"})
        self.assertEqual(self.data.values, {("tenant-1", "acme/demo", "k"): b"\xab\xcd\0"})
        self.assertEqual(self.ask("get"), {"data": "abcd00"})
        self.assertEqual(self.ask("exist"), {"data": True, "exist_num": 1})
        self.assertEqual(self.ask("del"), {"data": "ok", "deleted_num": 1})
        self.assertEqual(self.data.values, {})

    def test_limit(self) -> None:
        """The manifest says how much may be kept."""
        self.ask("set")
        self.assertEqual(self.data.limits, [1024])

    def test_empty(self) -> None:
        """Without a value an empty one is stored."""
        for more in ({}, {"value": ""}, {"value": None}):
            self.ask("set", **more)
            self.assertEqual(self.ask("get"), {"data": ""})

    def test_not_hex(self) -> None:
        """A value that is no hex is refused; blanks are none."""
        for value in ("abc", "zz", "0x41", "41 42", "ää"):
            self.assertTrue(self.refused("set", value=value).startswith("decode data failed: "))
        self.assertEqual(self.data.values, {})

    def test_bad_requests(self) -> None:
        """Operations that do not exist, and keys that are none."""
        for opt, key, more in (("drop", "k", {}), ("GET", "k", {}), ("", "k", {}), ("get", "", {}), ("get", 7, {}), ("set", "k", {"value": 7})):
            self.failureResultOf(self.serve(opt, key, **more), BadInvocation)

    def test_missing(self) -> None:
        """What is not there cannot be read or deleted, and no path is told."""
        self.assertEqual(self.refused("get"), NO_DATA)
        self.assertEqual(self.refused("del"), "delete data failed: key not found")

    def test_causes(self) -> None:
        """A key or a value that is refused is the plugin's business; a store that fails is not, its words stay in the log."""
        prefixes = {"set": "save", "del": "delete", "exist": "exist"}
        for failure, cause in (
            (BadKey(), "invalid key: path traversal attempt detected"),
            (KeyTooLong(), "key length must be less than 256 characters"),
            (QuotaExceeded(), "allocated size is greater than max storage size"),
            (UnfitKey("no such name"), "no such name"),
            (StorageFailed("/srv/secret: disk full"), "the storage cannot be used at the moment"),
        ):
            self.data.failure = failure
            for opt, prefix in prefixes.items():
                self.assertEqual(self.refused(opt), f"{prefix} data failed: {cause}")
            self.assertEqual(self.refused("get"), NO_DATA)
