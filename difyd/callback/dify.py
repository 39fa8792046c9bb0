"""What plugins ask of Dify, carried there and back."""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from attrs import define
from msgspec import Raw

from difyd.callback.errors import InnerApiError, InvocationFailed, NoSuchRoute
from difyd.callback.inner_api import Answer, InnerApi
from difyd.callback.invocation import Invocation
from difyd.callback.results import completed, data_of
from difyd.callback.shapes import WrongShape
from difyd.callback.types import InvocationType
from difyd.entities.call import Call

_TRACE: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@define(eq=False)
class Dify:
    """Asks Dify for plugins. What Dify sends is checked and becomes lines; it is rebuilt only where the SDK could not read it."""

    _api: InnerApi

    async def serve(self, invocation: Invocation, row: InvocationType, request: Raw) -> Sequence[Raw]:
        """
        The results for `invocation`; those of a stream are delivered as they come.

        Raises BadInvocation before Dify is asked, and InvocationFailed with what was tried and the cause. Cancelling closes the connection.
        """
        body = row.body(invocation.call, request)
        try:
            answer = await self._api.ask(row.path, body, traceparent(invocation.call), repeatable=row.repeatable)
            if not row.streams:
                return [self._result(row, await answer.result(invocation.room))]
        except NoSuchRoute as why:
            hint = f": {row.name} is not supported by this Dify version" if row.young else ""
            raise InvocationFailed.of(row.failed, why, hint) from why
        except InnerApiError as why:
            raise InvocationFailed.of(row.failed, why) from why
        await self._stream(invocation, row, answer)
        return []

    async def _stream(self, invocation: Invocation, row: InvocationType, answer: Answer) -> None:
        def take(frames: Sequence[bytes]) -> None:
            """What precedes a bad frame is delivered."""
            results: list[Raw] = []
            try:
                for frame in frames:
                    results.append(_checked(row, data_of(frame)))  # noqa: PERF401 - a comprehension would lose those before the bad one
            finally:
                invocation.respond(results)

        try:
            await answer.frames(take, invocation.room)
        except InnerApiError as why:
            raise InvocationFailed.of(row.broken, why) from why

    def _result(self, row: InvocationType, data: Raw) -> Raw:
        result = _checked(row, data)
        return completed(result, self._api.base) if row.link else result


def _checked(row: InvocationType, data: Raw) -> Raw:
    try:
        return row.check(data)
    except WrongShape as why:
        raise InnerApiError(f"validate request failed: {why}") from None


def traceparent(call: Call) -> str:
    """
    The trace that the calls which `call` causes belong to (backwards-invocation 6.4).

    A call without a usable one has the trace that its session's id stands for, so that all it causes belongs together.
    """
    match = _TRACE.fullmatch(call.traceparent)
    if match is not None:
        return f"00-{match[1]}-{match[2]}-01"
    made = sha256(call.session.encode()).hexdigest()
    return f"00-{made[:32]}-{made[32:48]}-01"
