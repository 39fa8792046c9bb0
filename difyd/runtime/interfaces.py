"""
The seam between a call and the plugin that answers it.

A *runtime* is one plugin on this node, however it runs: child processes, a debugging connection, a function behind HTTP. A *session* is one
call; `difyd.invoke` implements it. A *channel* is what a session holds while it is open on one instance of a runtime. Data flows towards
the session by plain method calls in the reactor turn in which it was read; a session takes everything at once and never makes a channel
wait (a slow client fills its own queue, see `difyd.web.sse`).

    session = ...                                   # made by invoke, knows its request line
    channel = await runtime.open(session)           # registered, then written; from here on it is fed
    ...                                             # channel -> session.stream, .stream, .flush, .invoke, .flush, .end
    channel.close()                                 # exactly once, by the owner of the session, however it ended
"""

from pathlib import Path

from msgspec import Raw
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from difyd.entities.declaration import Declaration
from difyd.entities.identifier import PluginIdentifier
from difyd.entities.installation import RuntimeType
from difyd.errors import PluginInvokeError


class ISession(Interface):
    """
    One call, as the channel that serves it sees it.

    All methods return at once and do not raise; after `end`, `error` or `broken` further ones are ignored, so a channel need not know
    whether a session is over. Bytes handed over are one JSON value on one line: no LF, no CR, valid UTF-8 without lone surrogates, and
    digit for digit what the plugin wrote.
    """

    id: str = Attribute("UUID of the call; the routing key of the line protocol.")
    request: bytes = Attribute("The request line with its newline, ready to be written.")
    repeatable: bool = Attribute("May a channel send the request a second time when the first may have arrived? Read-only actions only.")

    def stream(data: Raw) -> None:
        """One chunk of the answer. It may be held until `flush`."""

    def flush() -> None:
        """The channel has handed over all that it read in this turn: write out what was held."""

    def end() -> None:
        """The plugin has ended its answer."""

    def error(data: bytes) -> None:
        """The plugin reports an error: `{"error_type", "message", "args"}`, possibly malformed; it is an error in any case."""

    def invoke(data: bytes) -> None:
        """The plugin calls Dify: `{"type", "backwards_request_id", "request"}`, possibly malformed."""

    def refuse(invocation: str, reason: str) -> None:
        """The plugin calls Dify by a message that cannot be taken: answer this `backwards_request_id` with `reason`; the session goes on."""

    def unknown(kind: str) -> None:
        """A session message whose `type` nobody knows: the call is over."""

    def broken(reason: PluginInvokeError) -> None:
        """The channel cannot serve this session any more: process gone, connection lost, line too long."""


class IChannel(Interface):
    """One open session on one instance of a plugin."""

    def send(line: bytes) -> None:
        """
        Write a further line (an answer to `invoke`), with its newline, to the instance that holds the session.

        Never waits: the line is queued. Once the instance is gone it is dropped, the session has heard `broken` by then.
        """

    def room() -> Deferred[None]:
        """
        Fires when the instance has taken enough of what was sent to be sent more; at once when it has; also when it is gone.

        Cancelling it forgets the waiter. For sources that can be paused (an inner-API response): await this before the next read.
        """

    def close() -> None:
        """
        Forget the session: nothing more is fed to it. Idempotent.

        The plugin cannot be told; whatever it still writes for the session is dropped.
        """


class IPluginRuntime(Interface):
    """A plugin as the dispatcher sees it."""

    identifier: PluginIdentifier = Attribute("The version that runs.")
    declaration: Declaration = Attribute("Its declaration.")
    kind: RuntimeType = Attribute("How it runs.")

    async def open(session: ISession) -> IChannel:
        """
        Give `session` to an instance and write its request line.

        Returns once the line is queued towards the instance; the session may already have been fed by then. Waits while no instance can
        take a call (it is restarting, a connection is about to come back), but not longer than the runtime's write window (6 s, local-runtime
        9.1); then raises WriteFailed with the real cause. Until it returns the request has certainly not reached a plugin. Cancelling it
        leaves nothing behind.
        """


class IShadow(IPluginRuntime):
    """A plugin under development: while it is there it goes before what its tenant has installed under the same plugin id."""

    available: bool = Attribute("Can it take a call at this moment?")


class IRuntimes(Interface):
    """All plugins of this node; implemented by the supervisor."""

    async def find(tenant: str, identifier: PluginIdentifier, kind: RuntimeType) -> IPluginRuntime:
        """
        The runtime of an installed plugin for `tenant`.

        A debugging connection of the same plugin id and tenant goes first. A plugin that is starting or stopped is started and waited for,
        at most `PLUGIN_STARTUP_WAIT` seconds; one under development that is not connected, for a second. Returns without a turn of the
        reactor when it runs. Raises NoRuntime with the cause.
        """


class IProgress(Interface):
    """Where the launch of a plugin says how far it is; install tasks and logs listen."""

    def info(text: str) -> None:
        """One line for a person who waits. Cheap, may be called often; the listener decides how many it keeps."""


class IPackages(Interface):
    """What the supervisor asks of the floor above it: which plugins this deployment has, and their files. Implemented by the catalog."""

    async def installed() -> list[PluginIdentifier]:
        """The PluginIdentifiers that must run on this node: in the installed area, and with a `plugins` row of runtime type local."""

    async def in_use(identifier: PluginIdentifier) -> bool:
        """Has anybody this version installed?"""

    async def named() -> set[PluginIdentifier]:
        """All PluginIdentifiers that anybody's row names, whether or not they can run now."""

    async def declaration(identifier: PluginIdentifier) -> Declaration:
        """The stored Declaration. Raises PluginNotFound."""

    async def fetch(identifier: PluginIdentifier, destination: Path) -> None:
        """
        Write the package into the file `destination` , from the package area, else from the installed one.

        Raises StorageFailed when neither has it.
        """


class ILauncher(Interface):
    """How installs bring plugins up and take them down on this node; implemented by the supervisor."""

    async def launch(identifier: PluginIdentifier, progress: IProgress) -> None:
        """
        Build the environment if need be, start the plugin, return when it is ready; at once when it runs already.

        Two launches of one identifier are one: the second joins the first and hears the same progress from then on. It resets the back-off
        of earlier failures. Raises LaunchFailed with the text of local-runtime 12.3; then nothing of the plugin runs, and the next launch
        starts from a clean state. Cancelling one launch leaves the others going; when nobody waits any more, the build or the process is
        killed.
        """

    def reserve(identifier: PluginIdentifier) -> None:
        """An install of this plugin is under way: the watch loops leave it alone until `release`."""

    def release(identifier: PluginIdentifier) -> None:
        """The install is over, whichever way."""

    def retire(identifier: PluginIdentifier) -> None:
        """
        Nobody has this version installed any more: take no new calls, let the open ones end, stop the process, delete its directory.

        Returns at once; the work goes on in the background, bounded by `PLUGIN_MAX_EXECUTION_TIMEOUT`.
        """
