"""Who may use a group of routes (http-api 2)."""

import hmac

from attrs import define, field
from twisted.web.iweb import IRequest


@define(eq=False)
class Key:
    """A secret that the requests of a group carry in a header."""

    header: str
    _secret: bytes = field(repr=False)

    @_secret.validator
    def _not_empty(self, _: object, secret: bytes) -> None:
        if not secret:
            raise ValueError(f"the key for {self.header} is empty: every request would be let in")

    def fits(self, request: IRequest) -> bool:
        """Compared in a time that says nothing about the secret. A header that is given twice does not count."""
        values = request.requestHeaders.getRawHeaders(self.header.encode())
        return hmac.compare_digest(values[0] if values is not None and len(values) == 1 else b"", self._secret)
