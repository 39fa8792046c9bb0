"""The listener that writes what happens to plugins into the daemon's log (local-runtime 13.6)."""

from typing import Final

from attrs import define
from twisted.logger import Logger, LogLevel

from difyd.runtime import hooks

_LEVELS: Final = {
    "debug": LogLevel.debug,
    "warn": LogLevel.warn,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "fatal": LogLevel.error,
    "critical": LogLevel.error,
}


@define(eq=False)
class EventLog:
    """One line for each thing that an operator may look for, in words that he may look for already (configuration 10)."""

    log = Logger()

    def __call__(self, event: hooks.Event) -> None:
        match event:
            case hooks.InstanceLogged():
                self._plugin_log(event)
            case hooks.InstanceErrorLine():
                self.log.warn("plugin stderr", plugin=str(event.identifier), instance=event.instance, line=event.text)
            case hooks.InstancePrinted():
                self.log.info("plugin stdout", plugin=str(event.identifier), instance=event.instance, line=event.text)
            case hooks.Starting():
                self.log.info("local runtime starting: {identifier}", identifier=str(event.identifier))
            case hooks.Ready():
                self.log.info("local runtime ready: {identifier}", identifier=str(event.runtime.identifier))
            case hooks.StartFailed():
                self.log.error("local runtime start failed: {identifier}: {cause}", identifier=str(event.identifier), cause=event.cause)
            case hooks.Stopping():
                self.log.info("local runtime stop: {identifier}", identifier=str(event.runtime.identifier))
            case hooks.Stopped():
                self.log.info("local runtime stopped: {identifier}", identifier=str(event.runtime.identifier))
            case hooks.Connected():
                self.log.info("debugging runtime connected: {identifier}", identifier=str(event.runtime.identifier), tenant=event.tenant)
            case hooks.Disconnected():
                self.log.info("debugging runtime disconnected: {identifier}", identifier=str(event.runtime.identifier), tenant=event.tenant)
            case _:
                self._instance(event)

    def _instance(self, event: hooks.Event) -> None:
        match event:
            case hooks.InstanceReady():
                self.log.info(
                    "process {pid} of {identifier} ready after {elapsed:.2f} s",
                    identifier=str(event.identifier),
                    instance=event.instance,
                    pid=event.pid,
                    elapsed=event.seconds,
                )
            case hooks.InstanceFailed():
                self.log.error(
                    "a process of {identifier} failed: {cause}", identifier=str(event.identifier), instance=event.instance, cause=event.cause
                )
            case hooks.InstanceGone():
                self.log.emit(
                    LogLevel.debug if event.wanted else LogLevel.warn,
                    "process {pid} of {identifier} {how}",
                    identifier=str(event.identifier),
                    instance=event.instance,
                    pid=event.pid,
                    how=event.how,
                )
            case hooks.InstanceWarning():
                self.log.warn("{text}", text=event.text, identifier=str(event.identifier), instance=event.instance)
            case hooks.InstanceComplained():
                self.log.warn(
                    "plugin {identifier} complains: {detail}",
                    identifier=str(event.identifier),
                    instance=event.instance,
                    detail=event.detail,
                )

    def _plugin_log(self, event: hooks.InstanceLogged) -> None:
        self.log.emit(
            _LEVELS.get(event.level.lower(), LogLevel.info),
            "plugin instance log",
            plugin=str(event.identifier),
            instance=event.instance,
            message=event.message,
            timestamp=event.timestamp,
        )
