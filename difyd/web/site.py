"""
The HTTP server: twisted.web's, with what a plugin daemon needs done differently.

What differs, and why: see the classes. This page states what handlers can rely on; they also run on twisted.web's own `Request`
(in tests through treq's `StubTreq`), since they use only its interface and the functions of this module.

- `request.content`: the body, see `difyd.web.body`. Forms are never parsed: `request.args` holds the query alone.
- `request.write(data)`: the first one carries the head; each is one write to the transport and, on HTTP/1.1, one chunk.
- `begin_events(request)`: the answer is a stream of events.
- `request.registerProducer(producer, True)`: an IPushProducer is told when the client does not keep up.
"""

from twisted.web.iweb import IRequest


def begin_events(request: IRequest) -> None:
    """
    Declare the answer of `request` to be a stream of events (http-api 5.1).

    Nothing is sent: the head goes out with the first `request.write`, in one piece with it. `request.finish()` without a write answers with an
    empty body of that type.
    """
    raise NotImplementedError


def trace_of(request: IRequest) -> str:
    """The trace id of a request, 32 hex digits: from its `traceparent`, else made up the first time it is asked for (http-api 18)."""
    raise NotImplementedError
