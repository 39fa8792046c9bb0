"""
The life of one debugging connection, from its first byte to its last (debug-runtime 4.4, 5, 8, 14), without I/O.

    unknown ──handshake──▶ asking ──recognised──▶ registering ──end──▶ installing ──installed──▶ running ──superseded──▶ draining
       │                      │                     │  ▲                    │                      │                       │
       │                      │             declare ▼  │ in_order           │                      │                       │
       │                      │                   checking                  │                      │                       │
       └───────────┬──────────┴──────────┬──────────┴───────────────────────┘                      │                       │
           refused │ (last words)        │ (deadline passed, daemon stops: without a word)         │                       │
                   ▼                     └──────────────────────────▶ closing ◀───────────────────┴───────────────────────┘
                refused ──▶ gone                                         └──▶ gone

Whatever must be asked of others (whose key, is the declaration in order, install it) is asked in a state of its own, in which nothing is read
from the connection. What it was asked comes back as an input; by then the connection may be gone, and nobody minds.
"""

from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from automat import TypeMachineBuilder

from difyd.runtime.debug.messages import INVALID, SECOND_HANDSHAKE, TOO_LONG, Kind

HANDSHAKE: Final = 10.0
"""Seconds from the first byte that could be to a whole handshake."""
SILENCE: Final = 60.0
"""Seconds without a byte, while it registers and while it runs, that a peer is believed to be there."""
REGISTRATION: Final = 900.0
"""Seconds that a registration may take in all, however busy it is: 50 MiB at half a megabit a second."""
FAREWELL: Final = 2.0
"""Seconds that a peer is given to read our last words: what it sends meanwhile is thrown away."""
HANDOVER: Final = 1.0
"""Seconds that calls have to end on a connection which a newer one has superseded."""
CLOSING: Final = 5.0
"""Seconds until a peer that does not take what was written for it is cut off."""


class Life(Protocol):
    """What can happen to a connection."""

    def handshake(self, key: str) -> None:
        """It shows a key."""

    def recognised(self, tenant: str) -> None:
        """It is that tenant's key."""

    def declare(self, kind: Kind, data: bytes) -> None:
        """It hands in a manifest or providers."""

    def in_order(self) -> None:
        """They are as they should be."""

    def asset(self, data: bytes) -> None:
        """It hands in a piece of an icon. May raise Refusal, to come back as `refuse`."""

    def end(self) -> None:
        """That was all."""

    def installed(self) -> None:
        """It is shown to its tenant."""

    def unknown(self) -> None:
        """It sends a message of a type that we do not know."""

    def nonsense(self) -> None:
        """It sends what is no registration message."""

    def overlong(self) -> None:
        """It sends a line without end."""

    def refuse(self, line: bytes) -> None:
        """Somebody who was asked says no; `line` are the last words to it."""

    def deadline(self) -> None:
        """The time that it was last given has passed."""

    def supersede(self) -> None:
        """A newer connection has taken its place."""

    def idle(self) -> None:
        """No call is open on it."""

    def stop(self) -> None:
        """We want it to end."""

    def lost(self) -> None:
        """The connection is gone."""


class Owner(Protocol):
    """What the machine has done; the connection. None of it may call the machine before it has returned."""

    def within(self, seconds: float) -> None:
        """Tell of a `deadline` so much later, whatever happens; instead of the one before."""

    def unless_silent(self, seconds: float) -> None:
        """Tell of a `deadline` when nothing has come for so long; instead of the one before."""

    def at_most(self, seconds: float) -> None:
        """No deadline of silence is put off beyond this moment."""

    def patiently(self) -> None:
        """No `deadline` any more."""

    def look_up(self, key: str) -> None:
        """Read nothing, find out whose it is: `recognised`, `refuse`."""

    def register(self, tenant: str) -> None:
        """Read on: it registers."""

    def check(self, kind: Kind, data: bytes) -> None:
        """Read nothing, look at the declaration: `in_order`, `refuse`."""

    def keep(self, data: bytes) -> None:
        """Keep a piece of an icon. Raises Refusal."""

    def resume(self) -> None:
        """Read on."""

    def install(self) -> None:
        """Read nothing, show the plugin to its tenant: `installed`, `refuse`."""

    def serve(self) -> None:
        """Read on: what comes now belongs to calls."""

    def drain(self) -> None:
        """Take no new calls; tell when it is `idle`."""

    def say(self, line: bytes) -> None:
        """Write the last words, end our side; throw away what comes."""

    def hang_up(self) -> None:
        """Close when what was written is sent; throw away what comes."""

    def cut(self) -> None:
        """Close at once."""

    def clear(self) -> None:
        """The connection is gone: let go of everything that was held for it."""


def _life() -> Callable[[Owner], Life]:
    build: TypeMachineBuilder[Life, Owner] = TypeMachineBuilder(Life, Owner)  # type: ignore[type-abstract]
    unknown, asking, registering, checking, installing, running, draining, refused, closing, gone = map(
        build.state, ("unknown", "asking", "registering", "checking", "installing", "running", "draining", "refused", "closing", "gone")
    )
    waiting = (asking, checking, installing)
    alive = (unknown, asking, registering, checking, installing, running, draining)

    # from the first byte to the end of the registration

    @unknown.upon(Life.handshake).to(asking)
    def look_up(_: Life, owner: Owner, key: str) -> None:
        owner.patiently()
        owner.look_up(key)

    @asking.upon(Life.recognised).to(registering)
    def begin(_: Life, owner: Owner, tenant: str) -> None:
        owner.at_most(REGISTRATION)
        owner.unless_silent(SILENCE)
        owner.register(tenant)

    @registering.upon(Life.declare).to(checking)
    def check(_: Life, owner: Owner, kind: Kind, data: bytes) -> None:
        owner.patiently()
        owner.check(kind, data)

    @checking.upon(Life.in_order).to(registering)
    def go_on(_: Life, owner: Owner) -> None:
        owner.unless_silent(SILENCE)
        owner.resume()

    @registering.upon(Life.asset).loop()
    def keep(_: Life, owner: Owner, data: bytes) -> None:
        owner.keep(data)

    @registering.upon(Life.end).to(installing)
    def install(_: Life, owner: Owner) -> None:
        owner.patiently()
        owner.install()

    @installing.upon(Life.installed).to(running)
    def serve(_: Life, owner: Owner) -> None:
        owner.at_most(inf)
        owner.unless_silent(SILENCE)
        owner.serve()

    registering.upon(Life.unknown).loop().returns(None)

    # turned away, with a reason

    def refuse_for(line: str) -> Callable[..., None]:
        def refuse(_: Life, owner: Owner, *_message: object) -> None:
            owner.within(FAREWELL)
            owner.say(line.encode())

        return refuse

    for nothing_but_a_handshake in (Life.declare, Life.asset, Life.end, Life.unknown, Life.nonsense, Life.overlong):
        unknown.upon(nothing_but_a_handshake).to(refused)(refuse_for(INVALID))
    registering.upon(Life.handshake).to(refused)(refuse_for(SECOND_HANDSHAKE))
    registering.upon(Life.nonsense).to(refused)(refuse_for(INVALID))
    registering.upon(Life.overlong).to(refused)(refuse_for(TOO_LONG))

    for state in (unknown, registering, *waiting):

        @state.upon(Life.refuse).to(refused)
        def refuse(_: Life, owner: Owner, line: bytes) -> None:
            owner.within(FAREWELL)
            owner.say(line)

    # the end, without a word

    def hang_up(_: Life, owner: Owner) -> None:
        owner.within(CLOSING)
        owner.hang_up()

    for state in (unknown, registering, running, draining):
        state.upon(Life.deadline).to(closing)(hang_up)
    for state in alive:
        state.upon(Life.stop).to(closing)(hang_up)
    installing.upon(Life.supersede).to(closing)(hang_up)
    draining.upon(Life.idle).to(closing)(hang_up)

    @running.upon(Life.supersede).to(draining)
    def drain(_: Life, owner: Owner) -> None:
        owner.within(HANDOVER)
        owner.drain()

    for state in (refused, closing):

        @state.upon(Life.deadline).loop()
        def cut(_: Life, owner: Owner) -> None:
            owner.patiently()
            owner.cut()

    for state in (*alive, refused, closing):

        @state.upon(Life.lost).to(gone)
        def clear(_: Life, owner: Owner) -> None:
            owner.patiently()
            owner.clear()

    # what does not matter any more

    for state in (running, draining, refused, closing, gone):
        state.upon(Life.refuse).loop().returns(None)
    for state in (refused, closing, gone):
        for late in (Life.recognised, Life.in_order, Life.installed, Life.supersede, Life.idle, Life.stop):
            state.upon(late).loop().returns(None)
    for state in (installing, running):
        state.upon(Life.idle).loop().returns(None)
    draining.upon(Life.supersede).loop().returns(None)
    return build.build()


new_life: Final = _life()
