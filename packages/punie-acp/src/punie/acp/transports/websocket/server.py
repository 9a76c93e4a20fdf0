"""The accepting end: an endpoint that an aiohttp application mounts.

It keeps a connection whose socket was lost until its client comes back or the time is up. Who may
connect is decided before `handle` is called, by the application; a connection's name is a secret of
122 random bits, and a client that comes back must pass the same door.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import web

from punie.acp.transports.base import MAX_FRAME
from punie.acp.transports.websocket.transport import (
    CLOSE_TIMEOUT,
    CONNECTION_ID,
    RESUME,
    Ending,
    Keepalive,
    WebSocketTransport,
)

log: logging.Logger = logging.getLogger("punie.acp")

Serve: TypeAlias = Callable[[WebSocketTransport, web.Request], Awaitable[None]]
"""Serves one connection to its end: opens and closes the transport. Gets the first request, too."""


class Endpoint:
    """Accepts sockets and gives each new connection to `serve`, in a task of its own.

    Args:
        serve: Opens the transport, as an agent (`agent_side.serve`) or as a client
            (`client_side.connect`); the connection is over when it returns.
        max_frame: Bytes in the longest frame that is accepted.
        keepalive: How to notice that a peer is gone.
        hold: Seconds for which a connection without a socket is kept.

    Example:
        Agents served to remote clients, where `make_agent` builds an agent for a client:

            endpoint = Endpoint(lambda transport, request: serve(make_agent, transport))
            app.router.add_get("/acp", endpoint.handle)
            app.on_shutdown.append(lambda app: endpoint.aclose())
    """

    def __init__(
        self,
        serve: Serve,
        *,
        max_frame: int = MAX_FRAME,
        keepalive: Keepalive = Keepalive(),  # noqa: B008  # immutable
        hold: float = 60.0,
    ) -> None:
        self._serve = serve
        self._max_frame = max_frame
        self._keepalive = keepalive
        self._hold = hold
        self._transports: dict[str, WebSocketTransport] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Accept a socket; returns when it is gone (a request handler of aiohttp)."""
        socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=self._max_frame + 1, timeout=CLOSE_TIMEOUT
        )
        if not socket.can_prepare(request):
            text = "ACP is spoken here over WebSocket: ask for an upgrade\n"
            return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})
        known, taken = request.headers.get(CONNECTION_ID), _count(request)
        if known is None:
            transport = self._new(request, resumable=taken is not None)
            turn = await transport.release()
        else:
            transport = self._transports.get(known)
            if transport is None or taken is None:
                return _unknown()
            turn = await transport.release()
            if not transport.rewind(taken):
                transport.end()
                return _unknown()
        socket.headers[CONNECTION_ID] = transport.connection_id
        if transport.resumable:
            socket.headers[RESUME] = str(transport.received)
        return await self._carry(transport, turn, socket, request)

    async def aclose(self) -> None:
        """End every connection."""
        transports = list(self._transports.values())
        await asyncio.gather(*(transport.aclose() for transport in transports))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _new(self, request: web.Request, *, resumable: bool) -> WebSocketTransport:
        transport = WebSocketTransport(
            str(uuid.uuid4()),
            resumable=resumable,
            max_frame=self._max_frame,
            keepalive=self._keepalive,
        )
        self._transports[transport.connection_id] = transport
        task = asyncio.get_running_loop().create_task(self._run(transport, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return transport

    async def _run(self, transport: WebSocketTransport, request: web.Request) -> None:
        try:
            await self._serve(transport, request)
        except Exception:
            log.exception("a connection over WebSocket failed")
        finally:
            await transport.aclose()
            del self._transports[transport.connection_id]

    async def _carry(
        self,
        transport: WebSocketTransport,
        turn: int,
        socket: web.WebSocketResponse[Any],
        request: web.Request,
    ) -> web.StreamResponse:
        """Use a socket to its end, then leave the connection to the next one for a while."""
        ending: Ending = "lost"
        try:
            await socket.prepare(request)
            ending = await transport.carry(socket, turn)
        finally:
            if ending == "over" or not transport.resumable:
                transport.end()
            else:
                asyncio.get_running_loop().call_later(self._hold, transport.expire, turn)
            if ending == "lost" and request.transport is not None:  # pragma: no cover - a race
                request.transport.abort()  # what it still holds would be sent to nobody
        return socket


def _count(request: web.Request) -> int | None:
    value = request.headers.get(RESUME, "")
    return int(value) if value.isdecimal() and value.isascii() and len(value) < 20 else None


def _unknown() -> web.Response:
    return web.Response(status=404, text=f"unknown {CONNECTION_ID}\n")
