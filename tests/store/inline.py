"""Threads for tests: the work is done at once, in the thread that asks for it."""

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from difyd.store.threads import Threads


@implementer(IReactorFromThreads)
class InlineReactor:
    """Every thread is the reactor's."""

    def callFromThread(self, callable, *args, **kwargs):
        callable(*args, **kwargs)


class InlinePool:
    """A pool without threads."""

    def start(self):
        pass

    def stop(self):
        pass

    def callInThreadWithCallback(self, onResult, func, *args, **kwargs):
        try:
            result = func(*args, **kwargs)
        except Exception:
            onResult(False, Failure())
        else:
            onResult(True, result)


class HeldPool(InlinePool):
    """A pool whose threads are all busy until `release`."""

    def __init__(self):
        self.waiting = []
        self.stopped = False

    def stop(self):
        self.stopped = True

    def callInThreadWithCallback(self, onResult, func, *args, **kwargs):
        self.waiting.append((onResult, func, args, kwargs))

    def release(self):
        while self.waiting:
            onResult, func, args, kwargs = self.waiting.pop(0)
            super().callInThreadWithCallback(onResult, func, *args, **kwargs)


def inline_threads() -> Threads:
    return Threads(InlineReactor(), InlinePool())
