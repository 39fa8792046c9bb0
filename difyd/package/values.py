"""Settings and credentials that users submit, held against the fields that a declaration defines (package-format 10.7)."""

from collections.abc import Mapping, Sequence
from typing import Any


def check_values(fields: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> None:
    """
    Raises BadRequest for the first submitted value that does not fit its field; keys without a field are ignored.

    `fields` are the ProviderConfig objects of a declaration's JSON, such as an endpoint group's `settings`.
    """
    raise NotImplementedError


def mask_values(fields: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as they may be shown: those of `secret-input` fields hidden up to their ends."""
    raise NotImplementedError
