"""How Dify can fail those who ask it. Plugin authors read it: no address, key or path of the server (backwards-invocation 17.4)."""

from difyd.errors import DaemonError, InternalError


class InnerApiError(InternalError):
    """
    Dify could not be asked, refused, or answered what cannot be used.

    The text is the cause alone; whoever asked puts what was tried before it. `ours` is the part that may stand in a log: what is quoted of
    Dify may repeat prompts and keys.
    """

    def __init__(self, text: str, quoted: str = "") -> None:
        super().__init__(text + quoted)
        self.ours = text + ("…" if quoted else "")


class Interrupted(InnerApiError):
    """An answer was cut off, or fell silent."""


class NoSuchRoute(InnerApiError):
    """Dify answered 404: it does not know the route, or knows another key (dify-client 10.1)."""


class BadInvocation(DaemonError):
    """What a plugin asks for lacks something or is of the wrong kind (backwards-invocation 5); Dify has not been asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"unmarshal backwards invoke request failed: error {detail}")


class InvocationFailed(DaemonError):
    """An invocation is over; the text is the one that the author of the plugin sees, `logged` the one that the operator sees."""

    def __init__(self, text: str, logged: str = "") -> None:
        super().__init__(text)
        self.logged = logged or text

    @classmethod
    def of(cls, tried: str, why: InnerApiError, hint: str = "") -> "InvocationFailed":
        """What was tried, and how Dify failed."""
        return cls(f"{tried}: {why}{hint}", f"{tried}: {why.ours}{hint}")


class Refused(InvocationFailed):
    """An invocation that is not served: it may not be, or there are too many."""
