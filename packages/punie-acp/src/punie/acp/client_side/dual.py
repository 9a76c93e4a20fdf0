"""A client that is written once and drives agents of either protocol version.

It is shaped like version 2: messages, tool calls and state come as updates, a prompt is answered
when it is taken. It asks for version 2, and an agent that answers 1 is adapted
(`punie.acp.client_side.adapted` tells how). Sessions of both then look alike, and
`state_update` is true for both: `running`, `requires_action` while a person is asked, `idle` with
the reason at the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import msgspec
from msgspec import Raw, UnsetType

from punie.acp.client_side.adapted import AdaptedAgent, AdaptedClient, Sessions
from punie.acp.client_side.dispatch import ClientDispatcher
from punie.acp.client_side.needs import need, need_content, need_session
from punie.acp.client_side.questions import Questions
from punie.acp.connection import Connection, Incoming
from punie.acp.errors import ErrorCode, RequestError
from punie.acp.methods import DRAFT, Method, decoder, extension
from punie.acp.schema import v1, v2
from punie.acp.transports.base import Transport
from punie.acp.versions.hello import capabilities_to_v1, initialized_to_v2

V2: dict[str, Method] = {method.name: method for method in DRAFT}
"""The methods of version 2 by name."""

_HELLO = Method("initialize", "initialize", "Any", "Any", "agent")
"""`initialize` before it is known which version's answer comes."""
DENIED = v2.RequestPermissionResponse(outcome=v2.CancelledPermissionOutcome())
"""Nobody chose an option."""
_REFUSALS = {ErrorCode.INVALID_PARAMS, ErrorCode.INVALID_REQUEST, ErrorCode.INTERNAL_ERROR}
"""Errors by which agents of version 1 that do not negotiate refuse version 2."""


class DualClient(Protocol):
    """What a client must implement, in the types of version 2. `RequestError` refuses.

    `create_elicitation` and `complete_elicitation` are served when the class has them, with the
    types of version 2, and `ext_method` and `ext_notification` as with
    `punie.acp.client_side.Client`.

    Agents of version 1 may ask for files and terminals, which version 2 does not have: the methods
    `read_text_file`, `write_text_file`, `create_terminal`, `terminal_output`,
    `wait_for_terminal_exit`, `kill_terminal` and `release_terminal` are advertised to them and
    served, with the types of version 1, when the class has them.
    """

    async def session_update(self, params: v2.UpdateSessionNotification) -> None:
        """See what happens. Requests made here on the same connection must not be awaited long."""
        ...

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """Let a person decide. Cancelled when the agent, or `cancel`, takes the question back."""
        ...


class DualAgentProxy:
    """An agent of either version, as the client sees it.

    What needs a capability that the agent did not advertise raises `CapabilityError`, and nothing
    is sent.
    """

    def __init__(self, connection: Connection, dispatcher: _DualDispatcher) -> None:
        self._connection = connection
        self._dispatcher = dispatcher
        self._adapted: AdaptedAgent | None = None
        self._sessions: Sessions | None = None
        self.version: int = 0
        """The protocol version that is spoken; 0 before `initialize`."""
        self.capabilities: v2.AgentCapabilities = v2.AgentCapabilities()
        """What the agent advertised, in the words of version 2."""
        self.info: v2.Implementation | None = None
        """The agent's name and version."""

    @property
    def closed(self) -> bool:
        """Whether the agent is gone."""
        return self._connection.closed

    async def wait_closed(self) -> None:
        """Wait until the agent is gone."""
        await self._connection.wait_closed()

    @property
    def lists(self) -> bool:
        """Whether `list_sessions` works: of version 1 not every agent can."""
        return self._can("lists")

    @property
    def resumes(self) -> bool:
        """Whether `resume_session` works at all."""
        return self._can("resumes")

    @property
    def replays(self) -> bool:
        """Whether `resume_session` can replay the history."""
        return self._can("replays")

    def _can(self, what: str) -> bool:
        if self._adapted is not None:
            return getattr(self._adapted, what)
        return self.capabilities.session is not None

    async def initialize(self, params: v2.InitializeRequest) -> v2.InitializeResponse:
        """Shake hands. Comes first.

        Args:
            params: `protocol_version` is the newest one to speak: 2, or 1 to try no other.

        Returns:
            What the agent can do; `protocol_version` is the one that is spoken from now on.

        Raises:
            RequestError: The agent refused, as every method below may.
            ConnectionClosedError: The agent is gone, as in every method below.
        """
        old = v1.InitializeRequest(
            protocol_version=1,
            client_capabilities=capabilities_to_v1(params.capabilities, self._dispatcher.client),
            client_info=v1.Implementation(name=params.info.name, version=params.info.version),
            meta=params.meta,
        )
        told: list[v2.InitializeResponse] = []

        def answered(body: Any) -> None:
            with suppress(msgspec.ValidationError):
                told.append(self._agree(body))

        if params.protocol_version < 2:
            await self._connection.request(_HELLO, old, answered=answered)
        else:
            await self._negotiate(params, old, answered)
        if not told:
            raise RequestError(ErrorCode.INTERNAL_ERROR, "the peer's answer is invalid")
        self.capabilities, self.info = told[0].capabilities, told[0].info
        return told[0]

    async def _negotiate(
        self,
        params: v2.InitializeRequest,
        old: v1.InitializeRequest,
        answered: Callable[[Any], None],
    ) -> None:
        # An agent of version 1 reads its own names and passes over the others.
        both = msgspec.to_builtins(old) | msgspec.to_builtins(params)
        try:
            await self._connection.request(_HELLO, both, answered=answered)
        except RequestError as error:
            if error.code not in _REFUSALS:
                raise
            await self._connection.request(_HELLO, old, answered=answered)

    def _agree(self, body: Any) -> v2.InitializeResponse:
        """Speak the version that was answered, from the next message on."""
        raw = msgspec.json.encode(body)
        if not _speaks_v2(body):
            answer: v1.InitializeResponse = decoder(v1.InitializeResponse).decode(raw)
            self.version = 1
            self._adapt(answer.agent_capabilities)
            return initialized_to_v2(answer)
        response: v2.InitializeResponse = decoder(v2.InitializeResponse).decode(raw)
        self.version, self._adapted = 2, None
        self._dispatcher.served = ClientDispatcher(self._dispatcher.questions, V2)
        return response

    def _adapt(self, capabilities: v1.AgentCapabilities) -> None:
        dispatcher = self._dispatcher
        if self._sessions is None:  # else a repeated `initialize`: what runs goes on
            self._sessions = Sessions(self._connection, dispatcher.client)
        self._adapted = AdaptedAgent(self._connection, self._sessions, capabilities)
        dispatcher.served = ClientDispatcher(AdaptedClient(self._sessions, dispatcher.questions))

    async def login(self, params: v2.LoginAuthRequest) -> v2.LoginAuthResponse:
        """Log in with one of the agent's own methods."""
        return await self._ask("auth/login", params)

    async def logout(self, params: v2.LogoutAuthRequest) -> v2.LogoutAuthResponse:
        """Log out."""
        return await self._ask("auth/logout", params)

    async def new_session(self, params: v2.NewSessionRequest) -> v2.NewSessionResponse:
        """Open a session."""
        need_session(self.capabilities, params.mcp_servers, params.additional_directories)
        return await self._ask("session/new", params)

    async def resume_session(self, params: v2.ResumeSessionRequest) -> v2.ResumeSessionResponse:
        """Open an old session; with `replay_from` its history comes as updates before the answer."""
        need(self.resumes, "session.resume")
        need(params.replay_from is None or self.replays, "session.resume.replayFrom")
        need_session(self.capabilities, params.mcp_servers, params.additional_directories)
        return await self._ask("session/resume", params)

    async def list_sessions(self, params: v2.ListSessionsRequest) -> v2.ListSessionsResponse:
        """Read one page of the list of sessions."""
        need(self.lists, "session.list")
        return await self._ask("session/list", params)

    async def close_session(self, params: v2.CloseSessionRequest) -> v2.CloseSessionResponse:
        """Stop a session and free what it holds.

        An agent of version 1 that has no such method is told to cancel the session's work.
        """
        return await self._ask("session/close", params)

    async def delete_session(self, params: v2.DeleteSessionRequest) -> v2.DeleteSessionResponse:
        """Forget a session."""
        sessions = self.capabilities.session
        need(sessions is not None and sessions.delete is not None, "session.delete")
        return await self._ask("session/delete", params)

    async def set_session_config_option(
        self, params: v2.SetSessionConfigOptionRequest
    ) -> v2.SetSessionConfigOptionResponse:
        """Choose the value of a config option; a mode is one, too."""
        return await self._ask("session/set_config_option", params)

    async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
        """Give the session work; it goes on after this returns, and updates tell how.

        An agent of version 1 cannot refuse a prompt here: that comes as `idle`, stopped by `error`.
        """
        need_content(self.capabilities, params.prompt)
        return await self._ask("session/prompt", params)

    async def cancel(self, session_id: str) -> None:
        """Stop a session's work; `idle` tells when it has stopped. Open questions are withdrawn."""
        self._dispatcher.questions.withdraw(session_id)
        params = v2.CancelSessionNotification(session_id=session_id)
        self._connection.notify(V2["session/cancel"], params)
        await self._connection.drain()

    async def cancel_tool_call(self, params: v2.CancelToolCallRequest) -> v2.CancelToolCallResponse:
        """Stop one tool call that offers it; agents of version 1 have none."""
        need(self._adapted is None, "tool_call.cancel")
        return await self._ask("tool_call/cancel", params)

    async def cancel_terminal(self, params: v2.CancelTerminalRequest) -> v2.CancelTerminalResponse:
        """Stop one terminal that offers it; agents of version 1 have none."""
        need(self._adapted is None, "terminal.cancel")
        return await self._ask("terminal/cancel", params)

    async def ext_method(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Call a method of an extension.

        Args:
            method: As on the wire, with its leading `_`.
            params: What it takes; nothing by default.

        Raises:
            ValueError: The name does not begin with `_`.
        """
        return await self._connection.request(extension(method, "request"), params or {})

    async def ext_notification(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification of an extension; the arguments are those of `ext_method`."""
        self._connection.notify(extension(method, "notification"), params or {})
        await self._connection.drain()

    async def _ask(self, name: str, params: Any) -> Any:
        method = V2[name]
        if self._adapted is None:
            return await self._connection.request(method, params)
        return await getattr(self._adapted, method.attribute)(params)


def _speaks_v2(body: Any) -> bool:
    """Some agents of version 1 echo the number they were asked for; their words give them away."""
    if not isinstance(body, dict) or body.get("protocolVersion") != 2:  # pyright: ignore[reportUnknownMemberType]
        return False
    return "info" in body or "agentCapabilities" not in body


class _DualDispatcher:
    """Serves the version that was agreed on; nothing before."""

    def __init__(self, client: DualClient) -> None:
        self.client: DualClient = client
        self.questions: Questions[v2.RequestPermissionResponse] = Questions(client, DENIED)
        self.served: ClientDispatcher | None = None

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        if self.served is None:
            raise RequestError.invalid_request("initialize comes first")
        return self.served.request(method, params)

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        return None if self.served is None else self.served.notification(method, params)


@asynccontextmanager
async def connect_dual(
    client: DualClient, transport: Transport
) -> AsyncGenerator[DualAgentProxy, None]:
    """Connect a client to an agent of either version; leaving closes the connection.

    Args:
        client: Serves what the agent asks.
        transport: Opened and closed here.
    """
    dispatcher = _DualDispatcher(client)
    connection = Connection(transport, dispatcher)
    try:
        await connection.open()
        yield DualAgentProxy(connection, dispatcher)
    finally:
        await connection.aclose()
