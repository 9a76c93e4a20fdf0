"""How a client's messages find the agent's methods, whatever version is spoken.

Kept here: nothing but `initialize` before `initialize`, one version for the whole connection, what
was advertised and nothing else, and which sessions the client knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from msgspec import Raw, UnsetType, structs

from punie.acp import jsonrpc
from punie.acp.agent_side.outgoing import Outgoing
from punie.acp.connection import Incoming
from punie.acp.errors import RequestError
from punie.acp.methods import (
    CANCEL,
    INITIALIZE,
    NEW_SESSION,
    PROMPT,
    TABLE,
    Method,
    decoder,
    is_advertised,
    is_extension,
)
from punie.acp.schema import v1
from punie.acp.versions.negotiation import negotiate, read_initialize, requested_version


class Served(NamedTuple):
    """An agent in the shape of one protocol version."""

    agent: Any
    """Its methods are those that `punie.acp.methods` names for the version."""
    client: Outgoing


class AgentDispatcher:
    """Routes what a client asks to the agent's methods.

    Args:
        offers: For each version that is spoken, what makes the agent in its shape; called when the
            version is first selected.
    """

    def __init__(self, offers: dict[int, Callable[[], Served]]) -> None:
        self._offers = offers
        self._served: dict[int, Served] = {}
        self._version: int | None = None
        self._handshake: Any = None
        """The answer of the last `initialize` that went well."""
        self._initializing: asyncio.Future[None] | None = None

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        """Prepare a request (see `punie.acp.connection.Dispatcher`)."""
        if method == INITIALIZE.name:
            return self._initialize(params)
        if self._version is None:
            raise RequestError.invalid_request("initialize comes first")
        if is_extension(method):
            return self._extension(method, params)
        known = TABLE.get((self._version, method, "request"))
        if known is None or known.served_by != "agent":
            raise RequestError.method_not_found(method)
        handler = self._handler(known.attribute, method)
        if self._handshake is not None:
            self._refuse_unadvertised(known)
        decoded = jsonrpc.decode_params(decoder(known.params), params)
        if self._version == 1 and known is PROMPT:
            return Incoming(lambda: self._prompt(decoded), cancel=lambda: self._stop_turn(decoded))
        if known.name in _OPENING:
            run = self._opening(known, handler, decoded)
            return Incoming(run, answered=self._session_opened)
        return Incoming(lambda: self._call(known, handler, decoded))

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        """Prepare a notification: `session/cancel`, or an extension's."""
        if self._version is None or self._handshake is None:
            return None
        if is_extension(method):
            return self._extension_notification(method, params)
        known = TABLE.get((self._version, method, "notification"))
        if known is None or known.served_by != "agent":
            return None
        handler = getattr(self._now.agent, known.attribute, None)
        if handler is None:
            return None
        decoded = jsonrpc.decode_params(decoder(known.params), params)
        return Incoming(lambda: handler(decoded))

    @property
    def _now(self) -> Served:
        return self._served[self._version or 0]

    def _handler(self, attribute: str, method: str) -> Callable[..., Any]:
        handler = getattr(self._now.agent, attribute, None)
        if handler is None:
            raise RequestError.method_not_found(method)
        return handler

    def _refuse_unadvertised(self, method: Method) -> None:
        if not is_advertised(method, self._handshake):
            raise RequestError.method_not_found(method.name)

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
        handler = getattr(self._now.agent, "ext_notification", None)
        if handler is None:
            return None
        decoded = jsonrpc.decode_params(decoder(dict[str, Any]), params)
        return Incoming(lambda: handler(method, decoded), ordered=True)

    def _initialize(self, raw: Raw | UnsetType) -> Incoming:
        requested = requested_version(raw)
        version = self._select(requested)
        params = read_initialize(raw, requested=requested, selected=version)
        if version not in self._served:
            self._served[version] = self._offers[version]()
        self._version = version
        barrier = self._initializing = asyncio.get_running_loop().create_future()

        async def run() -> Any:
            served = self._served[version]
            served.client.greet(params)
            try:
                response = await served.agent.initialize(params)
                self._handshake = structs.replace(response, protocol_version=version)
            finally:
                if self._initializing is barrier:
                    self._initializing = None
                    if self._handshake is None:
                        self._version = None
                barrier.set_result(None)
            return self._handshake

        # Requests that came behind it wait for it, so it must run.
        return Incoming(run, cancel=_ignore)

    def _select(self, requested: int) -> int:
        """Choose the version; once chosen it stays, and only version 1 lets the handshake repeat."""
        if self._version is None:
            return negotiate(requested, tuple(sorted(self._offers)))
        if self._version > 1:
            raise RequestError.invalid_request("initialize was answered already")
        return self._version

    async def _ready(self) -> None:
        """Wait for an `initialize` that came just before."""
        if self._handshake is None and self._initializing is not None:
            await asyncio.shield(self._initializing)
        if self._handshake is None:
            raise RequestError.invalid_request("initialize comes first")

    async def _call(self, method: Method, handler: Callable[[Any], Any], params: Any) -> Any:
        await self._ready()
        self._refuse_unadvertised(method)
        self._mention(params)
        return await handler(params)

    def _opening(
        self, method: Method, handler: Callable[[Any], Any], params: Any
    ) -> Callable[[], Any]:
        async def run() -> Any:
            self._now.client.mark_opening()
            return await self._call(method, handler, params)

        return run

    def _session_opened(self, response: Any) -> None:
        self._now.client.mark_open(response.session_id)

    async def _prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        await self._ready()
        self._mention(params)
        try:
            return await self._now.agent.prompt(params)
        except asyncio.CancelledError:
            # A cancelled turn is an answer, never an error.
            return v1.PromptResponse(stop_reason="cancelled")

    async def _stop_turn(self, params: v1.PromptRequest) -> None:
        await self._now.agent.cancel(CANCEL.params(session_id=params.session_id))

    def _mention(self, params: Any) -> None:
        """A session that the client names is one that it knows."""
        if isinstance(params, dict):  # an extension's
            session_id: Any = cast("dict[str, Any]", params).get("sessionId")
        else:
            session_id = getattr(params, "session_id", None)
        if isinstance(session_id, str):
            self._now.client.mark_open(session_id)


_OPENING = frozenset({NEW_SESSION.name, "session/fork"})
"""What is answered with a session that the client does not know before."""


async def _ignore() -> None:
    pass
