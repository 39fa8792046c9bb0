"""Paging, the same in all of management (http-api 14)."""

from attrs import frozen

from difyd.web.params import whole


@frozen
class Paged:
    page: int = whole(1)
    page_size: int = whole(1, 256)
