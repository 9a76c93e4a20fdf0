"""Agents over HTTP, and the socket on which agents dial in."""

from __future__ import annotations

import msgspec
import structlog
from aiohttp import web

from punie.acp.transports.websocket import Endpoint, WebSocketTransport
from punie.http.agents.fleet import Visitor
from punie.http.auth import ForbiddenError
from punie.http.errors import ApiError
from punie.http.hub import Hub
from punie.http.keys import AGENTS, CALLER, DOOR, HUB
from punie.http.routes.bodies import answer

log = structlog.get_logger()

routes = web.RouteTableDef()

MAX_FRAME = 8 * 1024 * 1024
"""Bytes in one message of an agent."""
HOLD = 3.0
"""Seconds for which an agent that lost its socket may come back unnoticed."""


def make_endpoint(hub: Hub) -> Endpoint:
    """Build what accepts agents; the hub is the client on these sockets."""

    async def serve(transport: WebSocketTransport, request: web.Request) -> None:
        try:
            visitor = msgspec.convert(dict(request.query), Visitor)
            await hub.fleet.attach(transport, visitor)
        except ApiError as error:
            log.warning("an agent is not let in", reason=str(error))

    return Endpoint(serve, max_frame=MAX_FRAME, hold=HOLD)


@routes.get("/agents")
async def dial_in(request: web.Request) -> web.StreamResponse:
    """A WebSocket on which the caller is an ACP agent and the hub its client.

    The query says who dials, see `punie.http.agents.fleet.Visitor`.
    """
    try:
        msgspec.convert(dict(request.query), Visitor)
    except msgspec.ValidationError as error:
        raise ApiError(f"the query is not as it should be: {error}") from None
    if request[CALLER].via != "program":
        raise ForbiddenError("an agent dials in with the token, not a page")
    return await request.app[AGENTS].handle(request)


@routes.get("/proof")
async def proof(request: web.Request) -> web.Response:
    """Proves to whoever is about to send the token that this hub knows it."""
    return answer({"proof": request.app[DOOR].prove(request.query.get("nonce", ""))})


@routes.post("/api/agents/{agent}/restart")
async def restart(request: web.Request) -> web.Response:
    """Start an agent now that waits to be started again."""
    request.app[HUB].fleet.restart(request.match_info["agent"])
    return web.Response(status=204)
