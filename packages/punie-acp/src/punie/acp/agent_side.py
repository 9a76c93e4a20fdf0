"""The agent's side of a connection: serve an `Agent` to one client.

Enforced here, whatever the agent does: nothing but `initialize` before `initialize`; nothing about
a session before the client knows it (what is sent earlier is held back until the answer of
`session/new` is on its way); every update sent before `prompt` returns goes out before its answer;
nothing is asked that the client did not advertise; the connection ends in bounded time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from msgspec import Raw, UnsetType, structs

from punie.acp import jsonrpc
from punie.acp.client_proxy import ClientProxy, TerminalProxy
from punie.acp.connection import Connection, Incoming
from punie.acp.errors import RequestError
from punie.acp.methods import BY_NAME, CANCEL, INITIALIZE, NEW_SESSION, PROMPT, decoder
from punie.acp.schema import v1
from punie.acp.transports.base import Transport
from punie.acp.versions import negotiate

log = logging.getLogger("punie.acp")

__all__ = ["Agent", "ClientProxy", "TerminalProxy", "serve", "serve_stdio"]

_SETTLE_TIMEOUT = 0.15
"""Seconds in which requests may still be answered after the client closed its side."""
_CLOSE_TIMEOUT = 0.2
"""Seconds for `Agent.close`."""
_EXIT_TIMEOUT = 0.45
"""Seconds from the end of stdin, or a signal, to the end of the process."""


class Agent(Protocol):
    """What an agent must implement. It answers with `RequestError` to refuse.

    Further methods are served when the class has them, else they get -32601: `authenticate`,
    `logout`, `load_session`, `resume_session`, `list_sessions`, `close_session`, `delete_session`,
    `set_session_mode`, `set_session_config_option`. Each takes the method's parameters and returns
    its result, as `punie.acp.methods` lists them.
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


class _AgentDispatcher:
    """Routes what a client asks to the agent's methods."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.client: ClientProxy | None = None
        self._initialized = False
        self._initializing: asyncio.Future[None] | None = None

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        if method == INITIALIZE.name:
            return self._initialize(params)
        if not self._initialized and self._initializing is None:
            raise RequestError.invalid_request("initialize comes first")
        known = BY_NAME.get(method)
        if known is None or known.served_by != "agent" or known.kind != "request":
            raise RequestError.method_not_found(method)
        handler = getattr(self.agent, known.attribute, None)
        if handler is None:
            raise RequestError.method_not_found(method)
        decoded = jsonrpc.decode_params(decoder(known.params), params)
        if known is NEW_SESSION:
            return Incoming(lambda: self._new_session(decoded), answered=self._session_opened)
        if known is PROMPT:
            return Incoming(lambda: self._prompt(decoded), cancel=lambda: self._stop_turn(decoded))
        return Incoming(lambda: self._call(handler, decoded))

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        if method != CANCEL.name or not self._initialized:
            return None
        decoded = jsonrpc.decode_params(decoder(CANCEL.params), params)
        return Incoming(lambda: self._stop_turn(decoded))

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


async def serve(make_agent: Callable[[ClientProxy], Agent], transport: Transport) -> None:
    """Serve an agent to one client until the client is gone and everything has stopped.

    At the end requests get a moment to finish, then they are cancelled, then `Agent.close` runs;
    all of it takes less than half a second, even when a handler hangs.

    Args:
        make_agent: Builds the agent for this client.
        transport: Opened and closed here.
    """
    dispatcher = _AgentDispatcher()
    connection = Connection(transport, dispatcher)
    dispatcher.client = ClientProxy(connection)
    agent = dispatcher.agent = make_agent(dispatcher.client)
    try:
        await connection.open()
        await connection.wait_closed()
        await connection.settle(_SETTLE_TIMEOUT)
    finally:
        await connection.stop()
        await _close(agent)
        await connection.aclose()


async def _close(agent: Agent) -> None:
    closing = asyncio.get_running_loop().create_task(agent.close())
    # Not wait_for: it would wait for a `close` that swallows its cancellation.
    await asyncio.wait((closing,), timeout=_CLOSE_TIMEOUT)
    if not closing.done():
        log.error("the agent did not close within %s s", _CLOSE_TIMEOUT)
        closing.cancel()
    elif not closing.cancelled() and (error := closing.exception()) is not None:
        log.error("the agent failed to close", exc_info=error)


def serve_stdio(make_agent: Callable[[ClientProxy], Agent]) -> int:
    """Serve an agent on stdin and stdout, as an editor starts it.

    Takes both for the protocol: whatever prints from now on prints to stderr. Ends at the end of
    stdin, at SIGTERM and at SIGINT; half a second later at most the process is gone, even when
    a thread or a handler hangs, so nothing should be done after this returns.

    Args:
        make_agent: Builds the agent.

    Returns:
        The exit code: 0, or 130 after SIGINT.
    """
    from punie.acp.transports.stdio import StdioTransport, own_stdio

    exit_codes: list[int] = []
    watchdog = threading.Timer(_EXIT_TIMEOUT, lambda: os._exit(exit_codes[-1] if exit_codes else 0))
    watchdog.daemon = True

    class Stdio(StdioTransport):
        def stop_reading(self) -> None:
            if not watchdog.ident:
                watchdog.start()
            super().stop_reading()

    async def run() -> None:
        transport = Stdio(*own_stdio())
        loop = asyncio.get_running_loop()

        def stop(signum: int, _frame: object) -> None:
            exit_codes.append(130 if signum == signal.SIGINT else 0)
            if not watchdog.ident:  # here too: the loop may be what hangs
                watchdog.start()
            loop.call_soon_threadsafe(transport.stop_reading)

        # Not loop.add_signal_handler: that one waits for a loop which may be blocked.
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        await serve(make_agent, transport)

    asyncio.run(run())
    return exit_codes[-1] if exit_codes else 0
