"""Whole lives of a connection: what happens to it, and what it has done about it, in order."""

from collections.abc import Callable
from typing import Any

from attrs import define, field
from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.debug.messages import DECLARATIONS, INVALID, SECOND_HANDSHAKE, TOO_LONG, Refusal
from difyd.runtime.debug.registration import Life, new_life

MANIFEST, TOOL = DECLARATIONS["manifest_declaration"], DECLARATIONS["tool_declaration"]
HANDSHAKE = (Life.handshake, "k")
KNOWN = (HANDSHAKE, (Life.recognised, "t"))
RUNNING = (*KNOWN, (Life.end,), (Life.installed,))

Event = tuple[Any, ...]


@define(eq=False)
class Notes:
    """Does nothing, and writes down what it was to do."""

    done: list[Event] = field(factory=list)

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*about: object) -> None:
            self.done.append((name, *about))
            if about == (b"bad",):
                raise Refusal("bad")

        return note


class LifeTests(SynchronousTestCase):
    def live(self, *happenings: Event) -> list[Event]:
        """A life in which this happens; what it has its owner do."""
        notes = Notes()
        life = new_life(notes)
        for happening, *about in happenings:
            getattr(life, happening.__name__)(*about)
        return notes.done

    def after(self, before: tuple[Event, ...], *happenings: Event) -> list[Event]:
        """The same without what was done before."""
        return self.live(*before, *happenings)[len(self.live(*before)) :]

    def test_whole(self) -> None:
        """From the handshake to the end of the connection, with everything that the developer does right."""
        self.assertEqual(
            self.live(
                HANDSHAKE,
                (Life.recognised, "t"),
                (Life.declare, MANIFEST, b"{}"),
                (Life.in_order,),
                (Life.unknown,),
                (Life.asset, b"a"),
                (Life.end,),
                (Life.installed,),
                (Life.lost,),
            ),
            [
                ("patiently",),
                ("look_up", "k"),
                ("at_most", 900.0),
                ("unless_silent", 60.0),
                ("register", "t"),
                ("patiently",),
                ("check", MANIFEST, b"{}"),
                ("unless_silent", 60.0),
                ("resume",),
                ("keep", b"a"),
                ("patiently",),
                ("install",),
                ("at_most", float("inf")),
                ("unless_silent", 60.0),
                ("serve",),
                ("patiently",),
                ("clear",),
            ],
        )

    def test_handshake_first(self) -> None:
        """A stranger is told the same whatever it says, and has two seconds to read it."""
        strange: list[Event] = [
            (Life.declare, TOOL, b"[]"),
            (Life.asset, b"a"),
            (Life.end,),
            (Life.unknown,),
            (Life.nonsense,),
            (Life.overlong,),
        ]
        for event in strange:
            self.assertEqual(self.live(event), [("within", 2.0), ("say", INVALID.encode())], event)

    def test_refused(self) -> None:
        """Whoever is asked may say no; so may we."""
        refusal = (Life.refuse, b"no")
        for before in ((HANDSHAKE,), KNOWN, (*KNOWN, (Life.declare, TOOL, b"")), (*KNOWN, (Life.end,))):
            self.assertEqual(self.after(before, refusal), [("within", 2.0), ("say", b"no")])
        for event, line in ((HANDSHAKE, SECOND_HANDSHAKE), ((Life.nonsense,), INVALID), ((Life.overlong,), TOO_LONG)):
            self.assertEqual(self.after(KNOWN, event), [("within", 2.0), ("say", line.encode())])

    def test_refused_asset(self) -> None:
        """A bad piece of an icon is refused where it is kept; the connection is told, and says so."""
        with self.assertRaises(Refusal):
            self.live(*KNOWN, (Life.asset, b"bad"))

    def test_last_words_once(self) -> None:
        """After the last words nothing is said or done but to end; a peer that does not close is cut off."""
        refused = (*KNOWN, (Life.refuse, b"no"))
        late = [
            (Life.refuse, b"again"),
            (Life.in_order,),
            (Life.installed,),
            (Life.recognised, "t"),
            (Life.stop,),
            (Life.supersede,),
            (Life.idle,),
        ]
        self.assertEqual(self.after(refused, *late), [])
        self.assertEqual(self.after(refused, (Life.deadline,), (Life.lost,)), [("patiently",), ("cut",), ("patiently",), ("clear",)])

    def test_silence(self) -> None:
        """Too long without a handshake, in the registration, or while it runs: closed without a word."""
        for before in ((), KNOWN, RUNNING):
            self.assertEqual(self.after(before, (Life.deadline,)), [("within", 5.0), ("hang_up",)])

    def test_superseded(self) -> None:
        """A newer connection takes over: open calls have a second, or until they are over."""
        superseded = (*RUNNING, (Life.supersede,))
        self.assertEqual(self.after(RUNNING, (Life.supersede,), (Life.supersede,)), [("within", 1.0), ("drain",)])
        for end in (Life.idle, Life.deadline, Life.stop):
            self.assertEqual(self.after(superseded, (end,)), [("within", 5.0), ("hang_up",)])
        self.assertEqual(self.after((*KNOWN, (Life.end,)), (Life.supersede,)), [("within", 5.0), ("hang_up",)])

    def test_stopped_anywhere(self) -> None:
        """The daemon may end at any moment of a life."""
        lives = ((), (HANDSHAKE,), KNOWN, (*KNOWN, (Life.declare, TOOL, b"")), (*KNOWN, (Life.end,)), RUNNING, (*RUNNING, (Life.supersede,)))
        for before in lives:
            self.assertEqual(self.after(before, (Life.stop,), (Life.stop,)), [("within", 5.0), ("hang_up",)])

    def test_lost_anywhere(self) -> None:
        """So may the connection; what was asked before comes too late, and nothing is done about it."""
        late = [
            (Life.recognised, "t"),
            (Life.in_order,),
            (Life.installed,),
            (Life.refuse, b"no"),
            (Life.idle,),
            (Life.supersede,),
            (Life.stop,),
        ]
        lives = ((), (HANDSHAKE,), KNOWN, (*KNOWN, (Life.declare, TOOL, b"")), (*KNOWN, (Life.end,)), RUNNING, (*RUNNING, (Life.stop,)))
        for before in lives:
            self.assertEqual(self.after(before, (Life.lost,), *late), [("patiently",), ("clear",)])

    def test_calls_before_the_end_of_the_installation(self) -> None:
        """A plugin that comes back is called while it is being shown: the ends of these calls mean nothing."""
        self.assertEqual(self.after((*KNOWN, (Life.end,)), (Life.idle,), (Life.installed,))[-1], ("serve",))
        self.assertEqual(self.after(RUNNING, (Life.idle,)), [])

    def test_nothing_is_read_while_waiting(self) -> None:
        """A message that comes while an answer is awaited shows that reading was not paused: a bug, not a case."""
        for before in ((HANDSHAKE,), (*KNOWN, (Life.declare, TOOL, b"")), (*KNOWN, (Life.end,))):
            with self.assertRaises(NoTransition):
                self.live(*before, (Life.asset, b"a"))
