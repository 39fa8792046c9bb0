"""The parts that run plugins on this node, put together."""

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from difyd.runtime.hooks import Hooks
from difyd.runtime.interfaces import IPackages
from difyd.runtime.local.environment import BuildSettings, Environments, WorkingPath
from difyd.runtime.local.guarding import Guard
from difyd.runtime.local.instance import Limits
from difyd.runtime.local.interpreter import InterpreterFinder
from difyd.runtime.local.owner import Owner
from difyd.runtime.local.pipes import Reactor
from difyd.runtime.local.places import Places
from difyd.runtime.local.process import Processes
from difyd.runtime.local.runtime import LocalRuntimes
from difyd.runtime.local.strays import kill_strays_blocking
from difyd.runtime.local.surroundings import Surroundings
from difyd.runtime.slots import Slots
from difyd.runtime.starter import Local
from difyd.store.threads import Threads


@frozen
class LocalSettings:
    """What the operator says about plugins on this node."""

    root: Path
    """PLUGIN_WORKING_PATH."""
    environment: Mapping[str, str] = field(repr=False)
    """The daemon's own."""
    secrets: frozenset[str]
    """Names in it that no child may see."""
    python: str
    """PLUGIN_PYTHON."""
    build: BuildSettings
    builds: int
    """PLUGIN_LOCAL_LAUNCHING_CONCURRENT."""
    limits: Limits
    idle: float = 0.0
    """PLUGIN_IDLE_TIMEOUT."""
    sweeps: bool = True
    """PLUGIN_WORKING_PATH_SWEEP."""
    starts: int = max(2, os.cpu_count() or 1)
    """Processes that may be starting at the same time: more would only take the processors from each other."""


def assemble(
    reactor: Reactor, threads: Threads, packages: IPackages, events: Hooks, settings: LocalSettings
) -> tuple[WorkingPath, Guard, Local]:
    """The parts, none of them started, to be started in this order. The guard is stopped last: it is what ends all others if they do not."""
    owner = Owner.this(settings.root)
    places = Places(settings.root, owner)
    guard = Guard(reactor, owner.mark)
    children = Processes(reactor, guard)
    surroundings = Surroundings(settings.environment, settings.secrets, owner.mark)
    finder = InterpreterFinder(children, reactor, surroundings.inherited(), settings.python)
    environments = Environments(reactor, children, threads, places, surroundings, finder, packages, settings.build)
    runtimes = LocalRuntimes(reactor, children, Slots(settings.starts), settings.limits, events.tell, settings.idle)

    async def clean() -> None:
        await threads.run(kill_strays_blocking, places.root, places.building)
        await environments.sweep()

    return (
        WorkingPath(threads, places),
        guard,
        Local(packages, environments, runtimes, surroundings, Slots(settings.builds), children, clean, settings.sweeps),
    )
