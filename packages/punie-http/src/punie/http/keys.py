"""What the routes find in the application and in a request."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from punie.acp.transports.websocket import Endpoint
from punie.http.auth import Bucket, Caller, Door
from punie.http.hub import Hub
from punie.http.limits import Connections


class Accepts(Protocol):
    """What takes the sockets of ACP clients."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Accept a socket; returns when it is gone."""
        ...

    async def aclose(self) -> None:
        """End every connection."""
        ...


HUB: web.AppKey[Hub] = web.AppKey("hub", Hub)
DOOR: web.AppKey[Door] = web.AppKey("door", Door)
AGENTS: web.AppKey[Endpoint] = web.AppKey("agents", Endpoint)
"""Accepts agents that dial in."""
CLIENTS: web.AppKey[Accepts] = web.AppKey("clients", Accepts)
"""Accepts ACP clients."""
CONNECTIONS: web.AppKey[Connections] = web.AppKey("connections", Connections)
CHANGES: web.AppKey[Bucket] = web.AppKey("changes", Bucket)
"""How often something may be changed."""
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
"""Who sends the request; set before a route runs."""
