"""The WebSocket `/acp`, on which ACP clients of any make drive the hub's agents."""

from __future__ import annotations

from aiohttp import web

from punie.acp.agent_side import serve_dual
from punie.acp.transports.websocket import Endpoint, WebSocketTransport
from punie.acp.transports.websocket.transport import CONNECTION_ID
from punie.http.acp_socket.agent import HubAgent
from punie.http.auth import Bucket, ForbiddenError
from punie.http.errors import TooManyError
from punie.http.hub import Hub
from punie.http.keys import CALLER, CLIENTS

routes = web.RouteTableDef()

MAX_FRAME = 8 * 1024 * 1024
"""Bytes in one message of a client; a prompt may hold a picture."""
HOLD = 10.0
"""Seconds for which a client that lost its socket may come back unnoticed."""
MAX_CLIENTS = 64
"""Clients at the same time."""


class Clients:
    """Accepts ACP clients. One per server.

    Args:
        hub: What they drive.
        changes: How often the hub may be changed, by whomever.
    """

    def __init__(self, hub: Hub, *, changes: Bucket) -> None:
        self._hub = hub
        self._changes = changes
        self._count = 0
        self._endpoint = Endpoint(self._serve, max_frame=MAX_FRAME, hold=HOLD)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Accept a socket; returns when it is gone.

        Raises:
            TooManyError: There are too many clients.
        """
        if CONNECTION_ID not in request.headers and self._count >= MAX_CLIENTS:
            raise TooManyError(f"{MAX_CLIENTS} clients are connected already")
        return await self._endpoint.handle(request)

    async def aclose(self) -> None:
        """End every connection."""
        await self._endpoint.aclose()

    async def _serve(self, transport: WebSocketTransport, request: web.Request) -> None:
        self._count += 1
        try:
            named = request.query.get("agent")
            await serve_dual(
                lambda client: HubAgent(client, self._hub, agent=named, changes=self._changes),
                transport,
            )
        finally:
            self._count -= 1


@routes.get("/acp")
async def acp(request: web.Request) -> web.StreamResponse:
    """A WebSocket on which the caller is an ACP client and the hub its agent.

    Args of the query: `agent` names the agent of new sessions.
    """
    if request[CALLER].via == "page" and "Origin" not in request.headers:
        raise ForbiddenError("a page that opens a socket tells its origin")
    return await request.app[CLIENTS].handle(request)
