"""Agents over HTTP, and the socket on which agents dial in."""

from __future__ import annotations

from aiohttp import web

from punie.http.keys import HUB

routes = web.RouteTableDef()


@routes.post("/api/agents/{agent}/restart")
async def restart(request: web.Request) -> web.Response:
    """Start an agent now that waits to be started again."""
    request.app[HUB].fleet.restart(request.match_info["agent"])
    return web.Response(status=204)
