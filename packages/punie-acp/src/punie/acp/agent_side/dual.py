"""An agent that is written once, in the shape of version 2, and serves clients of both versions.

What it tells is written for each client by the speaker of the client's version: `as_v1` or `as_v2`,
which is loaded when `initialize` selects it. Nothing here loads the types of version 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from punie.acp.agent_side.client_proxy import ClientProxy
from punie.acp.agent_side.dispatch import Served
from punie.acp.agent_side.outgoing import Outgoing
from punie.acp.connection import Connection
from punie.acp.errors import RequestError

if TYPE_CHECKING:
    from punie.acp.schema import v2


class DualAgent(Protocol):
    """What an agent must implement to serve both versions. It answers with `RequestError` to refuse.

    Further methods are served when the class has them and `initialize` advertises them, else they
    get -32601: `delete_session`, `set_session_config_option`, `login` and `logout`,
    `cancel_tool_call`, `cancel_terminal`, and the unstable `fork_session`, `set_session_title`,
    `archive_session`, `unarchive_session` and `session_status`. Each takes the method's parameters
    and returns its result, as `punie.acp.methods` lists them for version 2.

    `async def ext_method(method: str, params: dict[str, Any]) -> Any` serves the requests whose
    names begin with `_` (it raises `RequestError.method_not_found` for those it does not know), and
    `async def ext_notification(method: str, params: dict[str, Any]) -> None` sees such
    notifications; without it they are ignored.
    """

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        """Say what the agent can do. Clients of version 1 may ask more than once."""
        ...

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        """Open a session. Updates for it may be sent already; they arrive after the answer."""
        ...

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        """Open an old session; send the history first when `replay_from` asks, then the state."""
        ...

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        """Name the sessions that can be resumed."""
        ...

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        """Stop a session's work and free what it holds."""
        ...

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        """Take a prompt: return the id of its message as soon as it is part of the conversation.

        The work goes on beside this, and tells the `user_message` with that id, the state `running`
        and, in the end, `idle` with a stop reason: for a client of version 1 that is the answer. A
        prompt that is cancelled before it was taken raises a `RequestError` of the code
        `REQUEST_CANCELLED`.

        A client of version 1 knows its own prompts and is not told of them again: they are known by
        the id that was returned, or, when the message is told before, by the prompt's content.
        """
        ...

    async def cancel(self, params: v2.CancelSessionNotification) -> None:
        """Stop the session's foreground work: it goes `idle` as `cancelled`."""
        ...

    async def close(self) -> None:
        """Called once when the connection ends: free everything, end every child process."""
        ...


class Speaker(Protocol):
    """Says to one client, in the words of its version, what an agent says in those of version 2."""

    capabilities: v2.ClientCapabilities
    info: v2.Implementation | None

    @property
    def client(self) -> Outgoing:
        """The way to the client."""
        ...

    async def session_update(self, session_id: str, update: v2.SessionUpdate) -> None:
        """See `DualClientProxy.session_update`."""
        ...

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """See `DualClientProxy.request_permission`."""
        ...

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        """See `DualClientProxy.create_elicitation`."""
        ...

    async def complete_elicitation(self, elicitation_id: str) -> None:
        """See `DualClientProxy.complete_elicitation`."""
        ...


class DualClientProxy:
    """The client, as an agent of both versions sees it. Says nothing before `initialize`."""

    def __init__(self) -> None:
        self._speaker: Speaker | None = None
        self._version: int | None = None
        self._v1: ClientProxy | None = None

    @property
    def version(self) -> int | None:
        """The version that is spoken; `None` before `initialize`."""
        return self._version

    @property
    def v1(self) -> ClientProxy | None:
        """The client in its own words when it speaks version 1, else `None`.

        The way to its files and terminals, which version 2 does not have.
        """
        return self._v1

    @property
    def capabilities(self) -> v2.ClientCapabilities:
        """What the client advertised."""
        return self._now.capabilities

    @property
    def info(self) -> v2.Implementation | None:
        """The client's name and version, when it told."""
        return self._now.info

    async def session_update(self, session_id: str, update: v2.SessionUpdate) -> None:
        """Tell what happens in a session, in order; waits while the client cannot keep up.

        For a session whose `session/new` is not answered yet it is held back and returns at once.
        Once the client is gone it is thrown away. A `punie.acp.versions.diffs.FileDiff` may stand
        where a `v2.Diff` does.
        """
        await self._now.session_update(session_id, update)

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """Ask a person; waits as long as they need.

        Raises:
            RequestError: The client refused to ask.
            ConnectionClosedError: The client is gone.
        """
        return await self._now.request_permission(params)

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        """Ask a person for input, by a form or on a web page; waits as long as they need.

        Args:
            params: An `ElicitationFormMode` or an `ElicitationUrlMode`.

        Raises:
            CapabilityError: The client does not serve this mode.
            RequestError: The client refused to ask.
            ConnectionClosedError: The client is gone.
        """
        return await self._now.create_elicitation(params)

    async def complete_elicitation(self, elicitation_id: str) -> None:
        """Tell that the person is done on the web page.

        Raises:
            CapabilityError: The client does not open web pages.
        """
        await self._now.complete_elicitation(elicitation_id)

    async def ext_method(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Call a method of an extension.

        Args:
            method: As on the wire, with its leading `_`.
            params: What it takes; nothing by default.

        Raises:
            ValueError: The name does not begin with `_`.
            RequestError: The client answered with an error.
            ConnectionClosedError: The client is gone.
        """
        return await self._now.client.ext_method(method, params)

    async def ext_notification(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification of an extension; the arguments are those of `ext_method`."""
        await self._now.client.ext_notification(method, params)

    def speak(self, speaker: Speaker, *, version: int, v1: ClientProxy | None = None) -> None:
        """Choose who says what the agent says (for `offer`)."""
        self._speaker, self._version, self._v1 = speaker, version, v1

    @property
    def _now(self) -> Speaker:
        if self._speaker is None:
            raise RequestError.invalid_request("initialize comes first")
        return self._speaker


def offer(
    version: int, agent: DualAgent, client: DualClientProxy, connection: Connection
) -> Served:
    """Serve an agent in the shape of a version, once it was selected.

    Args:
        version: The one that was selected.
        agent: The agent.
        client: What the agent speaks to.
        connection: The way to the client.
    """
    if version == 1:
        from punie.acp.agent_side.as_v1 import AsV1, SpeakerOfV1

        proxy = ClientProxy(connection)
        speaker = SpeakerOfV1(proxy)
        client.speak(speaker, version=1, v1=proxy)
        return Served(AsV1(agent, speaker), proxy)
    from punie.acp.agent_side.as_v2 import SpeakerOfV2

    newer = SpeakerOfV2(connection)
    client.speak(newer, version=2)
    return Served(agent, newer)
