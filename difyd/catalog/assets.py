"""Icons by their ids (http-api 15; package-format 18.1, 18.4)."""

import re
from typing import Final

from attrs import define, field

from difyd.catalog.areas import Areas
from difyd.catalog.joined import Joined
from difyd.catalog.lru import Lru
from difyd.errors import NotFound
from difyd.store.blobs import BadKey, BlobMissing, IBlobs

KEPT: Final = 64 * 1024 * 1024
"""Bytes of icons that stay in memory, however many there are."""
LONGEST: Final = 255
"""Bytes of an id: what a file's name may have."""
_ID: Final = re.compile(r"[0-9a-f]{64}(\.[^/\\\0]*)?", re.DOTALL)


@define(eq=False)
class Assets:
    """Bytes of icons, behind a bounded memory. An id is made of the content, so what it stands for never changes."""

    _blobs: IBlobs
    _areas: Areas
    _most: int
    """Icons that stay in memory (`PLUGIN_MEDIA_CACHE_SIZE`)."""
    _kept: Lru[str, bytes] = field(init=False)
    _loading: Joined[str, bytes] = field(factory=Joined, init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = Lru(self._most, KEPT, len)

    async def icon(self, asset_id: str) -> bytes:
        """Returns without a turn of the reactor when it is in memory. Raises NotFound, also for what can be no id; StorageFailed."""
        content = self._kept.get(asset_id)
        if content is not None:
            return content
        if not _ID.fullmatch(asset_id) or len(asset_id.encode(errors="replace")) > LONGEST:
            raise NotFound(f"asset not found: {asset_id}")
        return await self._loading.ask(asset_id, lambda: self._load(asset_id))

    async def _load(self, asset_id: str) -> bytes:
        try:
            content = await self._blobs.read(self._areas.asset(asset_id))
        except (BlobMissing, BadKey) as why:
            raise NotFound(f"asset not found: {asset_id}") from why
        self._kept.put(asset_id, content)
        return content
