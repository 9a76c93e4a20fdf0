"""The client's side of a connection: drive an agent, serve what it asks.

Updates reach the `Client` one by one, in order, and all updates of a turn before `prompt` returns.
What the client did not advertise in `initialize` is answered with -32601.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

from msgspec import Raw, UnsetType

from punie.acp import jsonrpc
from punie.acp.connection import Connection, Incoming
from punie.acp.errors import RequestError
from punie.acp.methods import (
    BY_NAME,
    CANCEL,
    INITIALIZE,
    NEW_SESSION,
    PROMPT,
    extension,
    is_extension,
)
from punie.acp.methods import decoder as decoder_of
from punie.acp.schema import v1
from punie.acp.transports.base import Transport


class Client(Protocol):
    """What a client must implement. It answers with `RequestError` to refuse.

    Methods of `fs/*`, `terminal/*` and `elicitation/*` are served when the class has them, else they
    get -32601: `read_text_file`, `write_text_file`, `create_terminal`, `terminal_output`,
    `wait_for_terminal_exit`, `kill_terminal`, `release_terminal`, `create_elicitation`. Each takes
    the method's parameters and returns its result, as `punie.acp.methods` lists them. The
    notification `complete_elicitation` is ignored without one.

    `async def ext_method(method: str, params: dict[str, Any]) -> Any` serves the requests whose
    names begin with `_` (it raises `RequestError.method_not_found` for those it does not know), and
    `async def ext_notification(method: str, params: dict[str, Any]) -> None` sees such
    notifications; without it they are ignored.
    """

    async def session_update(self, params: v1.SessionNotification) -> None:
        """See what happens. Requests made here on the same connection must not be awaited long."""
        ...

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        """Let a person decide."""
        ...


class AgentProxy:
    """The agent, as the client sees it.

    Attributes:
        capabilities: What the agent advertised; nothing before `initialize`.
        info: The agent's name and version, when it told.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
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
        response = cast("v1.InitializeResponse", await self._connection.request(INITIALIZE, params))
        self.capabilities, self.info = response.agent_capabilities, response.agent_info
        return response

    async def authenticate(self, params: v1.AuthenticateRequest) -> v1.AuthenticateResponse:
        """Log in with one of the agent's own methods."""
        return await self._ask("authenticate", params)

    async def logout(self, params: v1.LogoutRequest) -> v1.LogoutResponse:
        """Log out."""
        return await self._ask("logout", params)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session."""
        return await self._connection.request(NEW_SESSION, params)

    async def load_session(self, params: v1.LoadSessionRequest) -> v1.LoadSessionResponse:
        """Open an old session; its history comes as updates before this returns."""
        return await self._ask("session/load", params)

    async def resume_session(self, params: v1.ResumeSessionRequest) -> v1.ResumeSessionResponse:
        """Open an old session without its history."""
        return await self._ask("session/resume", params)

    async def list_sessions(self, params: v1.ListSessionsRequest) -> v1.ListSessionsResponse:
        """Read one page of the list of sessions."""
        return await self._ask("session/list", params)

    async def close_session(self, params: v1.CloseSessionRequest) -> v1.CloseSessionResponse:
        """Stop a session and free what it holds."""
        return await self._ask("session/close", params)

    async def delete_session(self, params: v1.DeleteSessionRequest) -> v1.DeleteSessionResponse:
        """Forget a session."""
        return await self._ask("session/delete", params)

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
        return await self._connection.request(PROMPT, params)

    async def cancel(self, session_id: str) -> None:
        """Stop a session's turn: its `prompt` then answers `cancelled`."""
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

    async def _ask(self, name: str, params: Any) -> Any:
        return await self._connection.request(BY_NAME[name], params)


class _ClientDispatcher:
    """Routes what an agent asks to the client's methods."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        if is_extension(method):
            return self._extension(method, params)
        known = BY_NAME.get(method)
        if known is None or known.served_by != "client" or known.kind != "request":
            raise RequestError.method_not_found(method)
        handler = getattr(self._client, known.attribute, None)
        if handler is None:
            raise RequestError.method_not_found(method)
        decoded = jsonrpc.decode_params(decoder_of(known.params), params)
        return Incoming(lambda: handler(decoded))

    def _extension(self, method: str, params: Raw | UnsetType) -> Incoming:
        handler = getattr(self._client, "ext_method", None)
        if handler is None:
            raise RequestError.method_not_found(method)
        decoded = jsonrpc.decode_params(decoder_of(dict[str, Any]), params)
        return Incoming(lambda: handler(method, decoded))

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        if is_extension(method):
            return self._extension_notification(method, params)
        known = BY_NAME.get(method)
        if known is None or known.served_by != "client" or known.kind != "notification":
            return None
        handler = getattr(self._client, known.attribute, None)
        if handler is None:
            return None
        decoded = jsonrpc.decode_params(decoder_of(known.params), params)
        return Incoming(lambda: handler(decoded), ordered=known.ordered)

    def _extension_notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        handler = getattr(self._client, "ext_notification", None)
        if handler is None:
            return None
        decoded = jsonrpc.decode_params(decoder_of(dict[str, Any]), params)
        return Incoming(lambda: handler(method, decoded), ordered=True)


@asynccontextmanager
async def connect(client: Client, transport: Transport) -> AsyncGenerator[AgentProxy, None]:
    """Connect a client to an agent; leaving closes the connection.

    Args:
        client: Serves what the agent asks.
        transport: Opened and closed here.
    """
    connection = Connection(transport, _ClientDispatcher(client))
    try:
        await connection.open()
        yield AgentProxy(connection)
    finally:
        await connection.aclose()
