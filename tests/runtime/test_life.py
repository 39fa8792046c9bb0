"""The life of a process: whole conversations, and every input in every state."""

from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.local.life import new_life

INPUTS = ("heartbeat", "drain", "emptied", "stop", "kill", "overdue", "broken", "exited", "ended")
WAYS = {
    "starting": (),
    "ready": ("heartbeat",),
    "draining": ("heartbeat", "drain"),
    "stopping": ("heartbeat", "stop"),
    "dying": ("heartbeat", "exited"),
    "gone": ("heartbeat", "exited", "ended"),
}
IMPOSSIBLE = {
    *((state, "ended") for state in ("starting", "ready", "draining", "stopping", "gone")),  # nothing is read to its end before it is reaped
    *((state, "exited") for state in ("dying", "gone")),  # and it is reaped once
}


class Noted:
    """Deeds that are only noted."""

    def __init__(self) -> None:
        self.deeds: list[str] = []

    def __getattr__(self, name: str):
        return lambda: self.deeds.append(name)


class LifeTests(SynchronousTestCase):
    def told(self, *inputs: str) -> list[str]:
        """What is done when all this happens, in order."""
        noted = Noted()
        life = new_life(noted)
        for name in inputs:
            getattr(life, name)()
        return noted.deeds

    def test_healthy(self) -> None:
        """Ready at the first heartbeat; stopped politely; calls hear of it at once; buried when all is read."""
        self.assertEqual(
            self.told("heartbeat", "heartbeat", "emptied", "stop", "heartbeat", "exited", "ended"),
            ["announce", "withdraw", "fail_calls", "terminate", "withdraw", "rest", "fail_calls", "bury"],
        )

    def test_death(self) -> None:
        """One that dies takes no new calls at once; the open ones hear of it when its last words are read, which may be their answers."""
        self.assertEqual(self.told("heartbeat", "exited"), ["announce", "withdraw", "rest"])
        self.assertEqual(self.told("heartbeat", "exited", "broken", "ended")[3:], ["fail_calls", "bury"])

    def test_drained(self) -> None:
        """Draining takes no new calls and ends with the last open one, or at its limit."""
        for last in ("emptied", "overdue"):
            self.assertEqual(
                self.told("heartbeat", "drain", "heartbeat", last),
                ["announce", "withdraw", "await_last_call", "withdraw", "fail_calls", "terminate"],
            )

    def test_never_ready(self) -> None:
        """A start without a heartbeat is killed at its limit, with that as the reason."""
        self.assertEqual(self.told("overdue", "exited", "ended"), ["never_ready", "withdraw", "slay", "withdraw", "rest", "fail_calls", "bury"])

    def test_silent(self) -> None:
        """One that fell silent fails its calls and is asked to end before it is killed."""
        self.assertEqual(
            self.told("heartbeat", "overdue", "overdue"), ["announce", "fell_silent", "withdraw", "fail_calls", "terminate", "slay"]
        )

    def test_stubborn(self) -> None:
        """One that does not heed SIGTERM is killed, as often as needed."""
        self.assertEqual(self.told("stop", "overdue", "overdue"), ["withdraw", "fail_calls", "terminate", "slay", "slay"])

    def test_broken(self) -> None:
        """One that has closed a pipe takes no new calls and gets a moment to end by itself; the open calls are failed when it has."""
        self.assertEqual(self.told("heartbeat", "broken", "exited"), ["announce", "withdraw", "await_end", "withdraw", "rest"])
        self.assertEqual(self.told("heartbeat", "broken", "overdue")[3:], ["withdraw", "fail_calls", "terminate"])
        self.assertEqual(self.told("broken", "overdue"), ["withdraw", "await_end", "slay"])
        self.assertEqual(self.told("heartbeat", "drain", "broken")[3:], ["withdraw", "await_end"])

    def test_every_pair(self) -> None:
        """Whatever happens in whatever state is foreseen, but for what cannot happen."""
        for state, way in WAYS.items():
            for name in INPUTS:
                if (state, name) not in IMPOSSIBLE:
                    self.told(*way, name)
