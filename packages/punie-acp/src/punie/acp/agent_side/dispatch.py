"""What an agent implements, and how a client's messages find it.

Kept here: nothing but `initialize` before `initialize`, and which sessions the client knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

import msgspec
from msgspec import Raw, UnsetType, structs

from punie.acp import jsonrpc
from punie.acp.agent_side.client_proxy import ClientProxy
from punie.acp.connection import Incoming
from punie.acp.errors import RequestError
from punie.acp.methods import (
    BY_NAME,
    CANCEL,
    INITIALIZE,
    NEW_SESSION,
    PROMPT,
    decoder,
    is_extension,
)
from punie.acp.schema import v1
from punie.acp.versions import negotiate


class Agent(Protocol):
    """What an agent must implement. It answers with `RequestError` to refuse.

    Further methods are served when the class has them, else they get -32601: `authenticate`,
    `logout`, `load_session`, `resume_session`, `list_sessions`, `close_session`, `delete_session`,
    `set_session_mode`, `set_session_config_option`. Each takes the method's parameters and returns
    its result, as `punie.acp.methods` lists them.

    `async def ext_method(method: str, params: dict[str, Any]) -> Any` serves the requests whose
    names begin with `_` (it raises `RequestError.method_not_found` for those it does not know), and
    `async def ext_notification(method: str, params: dict[str, Any]) -> None` sees such
    notifications; without it they are ignored.
    """

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        """Say what the agent can do. May come more than once."""
        ...

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session. Updates for it may be sent already; they arrive after the answer."""
        ...

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        """Run a turn to its end."""
        ...

    async def cancel(self, params: v1.CancelNotification) -> None:
        """Stop the session's turn; its `prompt` then answers `cancelled`."""
        ...

    async def close(self) -> None:
        """Called once when the connection ends: free everything, end every child process."""
        ...


class AgentDispatcher:
    """Routes what a client asks to the agent's methods."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.client: ClientProxy | None = None
        self._initialized = False
        self._initializing: asyncio.Future[None] | None = None

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        """Prepare a request (see `punie.acp.connection.Dispatcher`)."""
        if method == INITIALIZE.name:
            return self._initialize(params)
        if not self._initialized and self._initializing is None:
            raise RequestError.invalid_request("initialize comes first")
        if is_extension(method):
            return self._extension(method, params)
        known = BY_NAME.get(method)
        if known is None or known.served_by != "agent" or known.kind != "request":
            raise RequestError.method_not_found(method)
        handler = self._handler(known.attribute, method)
        decoded = jsonrpc.decode_params(decoder(known.params), params)
        if known is NEW_SESSION:
            return Incoming(lambda: self._new_session(decoded), answered=self._session_opened)
        if known is PROMPT:
            return Incoming(lambda: self._prompt(decoded), cancel=lambda: self._stop_turn(decoded))
        return Incoming(lambda: self._call(handler, decoded))

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        """Prepare a notification: `session/cancel`, or an extension's."""
        if not self._initialized:
            return None
        if is_extension(method):
            return self._extension_notification(method, params)
        if method != CANCEL.name:
            return None
        decoded = jsonrpc.decode_params(decoder(CANCEL.params), params)
        return Incoming(lambda: self._stop_turn(decoded))

    def _handler(self, attribute: str, method: str) -> Callable[..., Any]:
        handler = getattr(self.agent, attribute, None)
        if handler is None:
            raise RequestError.method_not_found(method)
        return handler

    def _extension(self, method: str, raw: Raw | UnsetType) -> Incoming:
        """See https://agentclientprotocol.com/protocol/extensibility."""
        handler = self._handler("ext_method", method)
        params = jsonrpc.decode_params(decoder(dict[str, Any]), raw)

        async def run() -> Any:
            await self._ready()
            self._mention(params)
            return await handler(method, params)

        return Incoming(run)

    def _extension_notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        handler = getattr(self.agent, "ext_notification", None)
        if handler is None:
            return None
        decoded = jsonrpc.decode_params(decoder(dict[str, Any]), params)
        return Incoming(lambda: handler(method, decoded), ordered=True)

    def _initialize(self, raw: Raw | UnsetType) -> Incoming:
        params = _initialize_params(raw)
        barrier = self._initializing = asyncio.get_running_loop().create_future()

        async def run() -> v1.InitializeResponse:
            agent, client = self._both()
            client.capabilities, client.info = params.client_capabilities, params.client_info
            try:
                response = await agent.initialize(params)
                self._initialized = True
            finally:
                if self._initializing is barrier:
                    self._initializing = None
                barrier.set_result(None)
            version = negotiate(params.protocol_version)
            return structs.replace(response, protocol_version=version)

        # Requests that came behind it wait for it, so it must run.
        return Incoming(run, cancel=_ignore)

    async def _ready(self) -> None:
        """Wait for an `initialize` that came just before."""
        if not self._initialized and self._initializing is not None:
            await asyncio.shield(self._initializing)
        if not self._initialized:
            raise RequestError.invalid_request("initialize comes first")

    async def _call(self, handler: Callable[[Any], Any], params: Any) -> Any:
        await self._ready()
        self._mention(params)
        return await handler(params)

    async def _new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        await self._ready()
        agent, client = self._both()
        task = asyncio.current_task()
        if task is not None:
            client.mark_opening(task)
        return await agent.new_session(params)

    def _session_opened(self, response: v1.NewSessionResponse) -> None:
        self._both()[1].mark_open(response.session_id)

    async def _prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        await self._ready()
        self._mention(params)
        try:
            return await self._both()[0].prompt(params)
        except asyncio.CancelledError:
            # A cancelled turn is an answer, never an error.
            return v1.PromptResponse(stop_reason="cancelled")

    async def _stop_turn(self, params: v1.PromptRequest | v1.CancelNotification) -> None:
        await self._both()[0].cancel(v1.CancelNotification(session_id=params.session_id))

    def _mention(self, params: Any) -> None:
        """A session that the client names is one that it knows."""
        if isinstance(params, dict):  # an extension's
            session_id: Any = cast("dict[str, Any]", params).get("sessionId")
        else:
            session_id = getattr(params, "session_id", None)
        if isinstance(session_id, str):
            self._both()[1].mark_open(session_id)

    def _both(self) -> tuple[Agent, ClientProxy]:
        if self.agent is None or self.client is None:
            raise RuntimeError("the connection serves no agent yet")
        return self.agent, self.client


async def _ignore() -> None:
    pass


class _VersionOnly(msgspec.Struct, rename="camel"):
    protocol_version: v1.ProtocolVersion


def _initialize_params(raw: Raw | UnsetType) -> v1.InitializeRequest:
    """Read `initialize`; a newer client's parameters that do not fit version 1 are dropped."""
    try:
        return jsonrpc.decode_params(decoder(INITIALIZE.params, strict=False), raw)
    except RequestError:
        asked = jsonrpc.decode_params(decoder(_VersionOnly, strict=False), raw)
        if asked.protocol_version == negotiate(asked.protocol_version):
            raise
        return v1.InitializeRequest(protocol_version=asked.protocol_version)
