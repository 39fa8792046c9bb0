"""
The life of one plugin process (local-runtime 11.2).

    starting   spawned, not ready: takes no calls
    ready      its heartbeat was heard
    draining   takes no new calls; ends with the last of the open ones
    stopping   signals are being sent
    dying      reaped; its last output is still being read
    gone
"""

from collections.abc import Callable
from typing import Protocol

from automat import TypeMachineBuilder


class Life(Protocol):
    """What can happen to a process. Nobody asks for the state."""

    def heartbeat(self) -> None:
        """The plugin says that it lives."""

    def drain(self) -> None:
        """Take no new calls, and end with the last of those that are open: there is at least one."""

    def emptied(self) -> None:
        """The last open call is over."""

    def stop(self) -> None:
        """End it, politely first."""

    def kill(self) -> None:
        """End it now."""

    def overdue(self) -> None:
        """What the state waits for did not come in time."""

    def broken(self) -> None:
        """It has closed its input or its output, and can serve no call any more; most that do are about to exit."""

    def exited(self) -> None:
        """It is reaped."""

    def ended(self) -> None:
        """And all that it wrote has been read."""


class Deeds(Protocol):
    """What is done about it: the instance, which owns the machine. None of these feeds the machine."""

    def announce(self) -> None:
        """It is ready."""

    def withdraw(self) -> None:
        """It takes no new calls any more."""

    def await_last_call(self) -> None:
        """Watch for the end of the open calls, for a limited time."""

    def await_end(self) -> None:
        """Give it a moment to end by itself."""

    def never_ready(self) -> None:
        """Note that it was not ready in time."""

    def fell_silent(self) -> None:
        """Note that it was silent for too long."""

    def fail_calls(self) -> None:
        """Every open call hears that the connection is closed."""

    def terminate(self) -> None:
        """SIGTERM to the group, and wait for the grace period."""

    def slay(self) -> None:
        """SIGKILL to the group, and wait again."""

    def rest(self) -> None:
        """No time limit any more: the child itself bounds how long its last words are waited for."""

    def bury(self) -> None:
        """Nothing is left of it: tell everybody who waits."""


def _lifecycle() -> Callable[[Deeds], Life]:
    build = TypeMachineBuilder(Life, Deeds)  # type: ignore[type-abstract]  # only a name for what the deeds are done by
    starting, ready, draining, stopping, dying, gone = map(build.state, ("starting", "ready", "draining", "stopping", "dying", "gone"))

    @starting.upon(Life.heartbeat).to(ready)
    def begin(_: Life, deeds: Deeds) -> None:
        deeds.announce()

    @ready.upon(Life.drain).to(draining)
    def drain(_: Life, deeds: Deeds) -> None:
        deeds.withdraw()
        deeds.await_last_call()

    # Calls are not failed yet: when it exits it may turn out that some were never read, and an answer may still be on its way.
    @starting.upon(Life.broken).to(stopping)
    @ready.upon(Life.broken).to(draining)
    @draining.upon(Life.broken).loop()
    def fall_apart(_: Life, deeds: Deeds) -> None:
        deeds.withdraw()
        deeds.await_end()

    @starting.upon(Life.overdue).to(stopping)
    def give_up(_: Life, deeds: Deeds) -> None:
        deeds.never_ready()
        deeds.withdraw()
        deeds.slay()

    @ready.upon(Life.overdue).to(stopping)
    def fall_silent(_: Life, deeds: Deeds) -> None:
        deeds.fell_silent()
        deeds.withdraw()
        deeds.fail_calls()
        deeds.terminate()

    @starting.upon(Life.drain).to(stopping)
    @starting.upon(Life.stop).to(stopping)
    @ready.upon(Life.stop).to(stopping)
    @draining.upon(Life.stop).to(stopping)
    @draining.upon(Life.overdue).to(stopping)
    @draining.upon(Life.emptied).to(stopping)
    def stop(_: Life, deeds: Deeds) -> None:
        deeds.withdraw()
        deeds.fail_calls()
        deeds.terminate()

    @starting.upon(Life.kill).to(stopping)
    @ready.upon(Life.kill).to(stopping)
    @draining.upon(Life.kill).to(stopping)
    def kill(_: Life, deeds: Deeds) -> None:
        deeds.withdraw()
        deeds.fail_calls()
        deeds.slay()

    @stopping.upon(Life.kill).loop()
    @stopping.upon(Life.overdue).loop()
    def insist(_: Life, deeds: Deeds) -> None:
        deeds.slay()

    @starting.upon(Life.exited).to(dying)
    @ready.upon(Life.exited).to(dying)
    @draining.upon(Life.exited).to(dying)
    @stopping.upon(Life.exited).to(dying)
    def die(_: Life, deeds: Deeds) -> None:
        deeds.withdraw()
        deeds.rest()

    @dying.upon(Life.ended).to(gone)
    def end(_: Life, deeds: Deeds) -> None:
        deeds.fail_calls()
        deeds.bury()

    starting.upon(Life.emptied).loop().returns(None)
    for state in (ready, draining, stopping, dying, gone):
        state.upon(Life.heartbeat).loop().returns(None)
    for state in (ready, stopping, dying, gone):
        state.upon(Life.emptied).loop().returns(None)
    for state in (draining, stopping, dying, gone):
        state.upon(Life.drain).loop().returns(None)
    for state in (stopping, dying, gone):
        state.upon(Life.stop).loop().returns(None)
        state.upon(Life.broken).loop().returns(None)
    for state in (dying, gone):
        state.upon(Life.kill).loop().returns(None)
        state.upon(Life.overdue).loop().returns(None)
    return build.build()


new_life = _lifecycle()
"""A life in its first state, for the instance that does its deeds."""
