"""An agent of protocol version 1, as a client sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from punie.acp.client_side.dispatch import Client, ClientDispatcher
from punie.acp.client_side.needs import need, need_v1_content, need_v1_session
from punie.acp.client_side.questions import Questions
from punie.acp.connection import Connection
from punie.acp.methods import (
    BY_NAME,
    CANCEL,
    INITIALIZE,
    NEW_SESSION,
    PROMPT,
    TABLE,
    extension,
)
from punie.acp.schema import v1
from punie.acp.transports.base import Transport

if TYPE_CHECKING:
    from punie.acp.schema.v1 import unstable


DENIED = v1.RequestPermissionResponse(outcome=v1.CancelledPermissionOutcome())
"""Nobody chose an option."""


class AgentProxy:
    """The agent, as the client sees it.

    What needs a capability that the agent did not advertise raises `CapabilityError`, and nothing
    is sent. To wait for an answer only so long, put the call into `asyncio.timeout`: the agent gets
    `$/cancel_request`.

    Attributes:
        capabilities: What the agent advertised; nothing before `initialize`.
        info: The agent's name and version, when it told.
    """

    def __init__(
        self,
        connection: Connection,
        questions: Questions[v1.RequestPermissionResponse],
        *,
        unstable: bool = False,
    ) -> None:
        self._connection = connection
        self._questions = questions
        self._initialize = INITIALIZE._replace(stability="unstable") if unstable else INITIALIZE
        self.capabilities: v1.AgentCapabilities = v1.AgentCapabilities()
        self.info: v1.Implementation | None = None

    @property
    def closed(self) -> bool:
        """Whether the agent is gone."""
        return self._connection.closed

    async def wait_closed(self) -> None:
        """Wait until the agent is gone."""
        await self._connection.wait_closed()

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        """Shake hands. Comes first.

        Raises:
            RequestError: The agent refused, as every method below may.
            ConnectionClosedError: The agent is gone, as in every method below.
        """
        response = cast(
            "v1.InitializeResponse", await self._connection.request(self._initialize, params)
        )
        self.capabilities, self.info = response.agent_capabilities, response.agent_info
        return response

    async def authenticate(self, params: v1.AuthenticateRequest) -> v1.AuthenticateResponse:
        """Log in with one of the agent's own methods."""
        return await self._ask("authenticate", params)

    async def logout(self, params: v1.LogoutRequest) -> v1.LogoutResponse:
        """Log out."""
        need(self.capabilities.auth.logout is not None, "auth.logout")
        return await self._ask("logout", params)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session."""
        need_v1_session(self.capabilities, params.mcp_servers, params.additional_directories)
        return await self._connection.request(NEW_SESSION, params)

    async def load_session(self, params: v1.LoadSessionRequest) -> v1.LoadSessionResponse:
        """Open an old session; its history comes as updates before this returns."""
        need(self.capabilities.load_session, "loadSession")
        need_v1_session(self.capabilities, params.mcp_servers, params.additional_directories)
        return await self._ask("session/load", params)

    async def resume_session(self, params: v1.ResumeSessionRequest) -> v1.ResumeSessionResponse:
        """Open an old session without its history."""
        self._need("resume")
        need_v1_session(self.capabilities, params.mcp_servers, params.additional_directories)
        return await self._ask("session/resume", params)

    async def list_sessions(self, params: v1.ListSessionsRequest) -> v1.ListSessionsResponse:
        """Read one page of the list of sessions."""
        self._need("list")
        return await self._ask("session/list", params)

    async def close_session(self, params: v1.CloseSessionRequest) -> v1.CloseSessionResponse:
        """Stop a session and free what it holds."""
        self._need("close")
        return await self._ask("session/close", params)

    async def delete_session(self, params: v1.DeleteSessionRequest) -> v1.DeleteSessionResponse:
        """Forget a session."""
        self._need("delete")
        return await self._ask("session/delete", params)

    async def fork_session(
        self, params: unstable.ForkSessionRequest
    ) -> unstable.ForkSessionResponse:
        """Begin a session with another one's history; unstable, see `connect`."""
        self._need("fork")
        need_v1_session(self.capabilities, params.mcp_servers, params.additional_directories)
        return await self._connection.request(TABLE[1, "session/fork", "request"], params)

    async def set_session_mode(self, params: v1.SetSessionModeRequest) -> v1.SetSessionModeResponse:
        """Choose a mode."""
        return await self._ask("session/set_mode", params)

    async def set_session_config_option(
        self, params: v1.SetSessionConfigOptionRequest
    ) -> v1.SetSessionConfigOptionResponse:
        """Choose the value of a config option."""
        return await self._ask("session/set_config_option", params)

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        """Run a turn; every update of it has been handled when this returns.

        Cancelling the task that waits sends `$/cancel_request`; `cancel` lets the turn answer.
        """
        need_v1_content(self.capabilities.prompt_capabilities, params.prompt)
        return await self._connection.request(PROMPT, params)

    async def cancel(self, session_id: str) -> None:
        """Stop a session's turn: its `prompt` then answers `cancelled`.

        Open permission requests of the session are answered with `cancelled`.
        """
        self._questions.withdraw(session_id)
        self._connection.notify(CANCEL, v1.CancelNotification(session_id=session_id))
        await self._connection.drain()

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

    def _need(self, name: str) -> None:
        sessions = self.capabilities.session_capabilities
        need(getattr(sessions, name, None) is not None, f"sessionCapabilities.{name}")

    async def _ask(self, name: str, params: Any) -> Any:
        return await self._connection.request(BY_NAME[name], params)


@asynccontextmanager
async def connect(
    client: Client, transport: Transport, *, unstable: bool = False
) -> AsyncGenerator[AgentProxy, None]:
    """Connect a client to an agent; leaving closes the connection.

    Args:
        client: Serves what the agent asks.
        transport: Opened and closed here.
        unstable: Whether to read capabilities that may still change, such as that for
            `fork_session`.
    """
    questions = Questions(client, DENIED)
    connection = Connection(transport, ClientDispatcher(questions))
    try:
        await connection.open()
        yield AgentProxy(connection, questions, unstable=unstable)
    finally:
        await connection.aclose()
