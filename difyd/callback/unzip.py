"""
Compressed answers, taken seriously: what is cut off or is no gzip is an error.

treq offers gzip and would decompress by itself, but it takes what was cut off for whole and what is no gzip for nothing at all, so that half a
stream would look like a stream. Answers are decompressed below it instead, and it does not hear of it.
"""

import zlib
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from difyd.callback.errors import InnerApiError

PIECE: Final = 65536
"""Bytes that are handed on at once; a few of gzip may stand for a thousand times as many."""
_CODING: Final = b"Content-Encoding"


@implementer(IAgent)
class Unzipping:
    """An agent whose answers are plain."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(_plain)


def _plain(response: Any) -> IResponse:
    codings = response.headers.getRawHeaders(_CODING, [])
    if [coding.strip().lower() for coding in codings] not in ([b"gzip"], [b"x-gzip"]):
        return response  # type: ignore[no-any-return]
    response.headers.removeHeader(_CODING)
    return _Zipped(response)


class _Zipped(proxyForInterface(IResponse)):  # type: ignore[misc]
    length = UNKNOWN_LENGTH

    def deliverBody(self, protocol: IProtocol) -> None:
        self.original.deliverBody(_Unzip(protocol))


class _Unzip(proxyForInterface(IProtocol)):  # type: ignore[misc]
    """Between the compressed body and whoever reads it, who hears of an end that is none as of a lost connection: with an InnerApiError."""

    def __init__(self, reader: IProtocol) -> None:
        super().__init__(reader)
        self._member = _new_member()
        self._whole = True
        """Is this a place where the body may end? It may also be empty."""
        self._broken = False

    def dataReceived(self, data: bytes) -> None:
        try:
            while data and not self._broken:
                if self._member.eof:
                    self._member = _new_member()
                plain = self._member.decompress(data, PIECE)
                data = self._member.unconsumed_tail or self._member.unused_data
                self._whole = self._member.eof
                if plain:
                    self.original.dataReceived(plain)
        except zlib.error as why:
            self._break(f"the answer cannot be unzipped: {why}")

    def connectionLost(self, reason: Failure) -> None:
        if self._broken:
            return
        if reason.check(ResponseDone, PotentialDataLoss) and not self._whole:
            self._break("the answer cannot be unzipped: it is cut off")
        else:
            self.original.connectionLost(reason)

    def _break(self, text: str) -> None:
        self._broken = True
        self.original.connectionLost(Failure(InnerApiError(text)))


def _new_member() -> Any:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
