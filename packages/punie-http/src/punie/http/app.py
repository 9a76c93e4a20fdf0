"""The hub's server: who may come in, what they may send, and what answers them.

`serving` runs it. Every request passes `_guard` before a route sees it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
from aiohttp import web

from punie.http.acp_socket import socket as clients
from punie.http.acp_socket.socket import Clients
from punie.http.auth import SAFE_METHODS, Bucket, Caller, Door, new_token
from punie.http.config import HubState, last_token, remove_state, write_state
from punie.http.errors import ApiError, HubError, ListenError, TooManyError
from punie.http.hub import Hub
from punie.http.keys import AGENTS, CALLER, CHANGES, CLIENTS, CONNECTIONS, DOOR, HUB
from punie.http.limits import Connections
from punie.http.routes import agents, events, export, inbox, openapi, pages, panels, sessions
from punie.http.routes.bodies import answer

log = structlog.get_logger()

MAX_BODY = 1024 * 1024
"""Bytes in a request's body."""
CHANGES_A_SECOND = 20.0
CHANGES_AT_ONCE = 200
KEEPALIVE = 30.0
"""Seconds for which a connection without a request is kept."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer. No script but the hub's own files, and no text can become one."""

_OPEN = ("/static/", "/proof")
"""What anybody may read who got past the host."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Address(NamedTuple):
    """Where a hub listens."""

    url: str
    token: str

    @property
    def link(self) -> str:
        """What a person opens once."""
        return f"{self.url}/?token={self.token}"


def make_app(hub: Hub, door: Door) -> web.Application:
    """Build the server's application."""
    app = web.Application(middlewares=[_errors, _guard], client_max_size=MAX_BODY)
    app[HUB], app[DOOR] = hub, door
    app[AGENTS] = agents.make_endpoint(hub)
    app[CONNECTIONS] = Connections()
    app[CHANGES] = changes = Bucket(rate=CHANGES_A_SECOND, burst=CHANGES_AT_ONCE)
    app[CLIENTS] = Clients(hub, changes=changes)
    for module in (agents, events, export, inbox, openapi, pages, panels, sessions, clients):
        app.add_routes(module.routes)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_hang_up)
    return app


@asynccontextmanager
async def serving(hub: Hub) -> AsyncGenerator[Address, None]:
    """Serve the page and the API; announce it in the state file meanwhile.

    Args:
        hub: Its settings say where to listen.

    Raises:
        ListenError: The port is taken, or the host is none of this machine's.
    """
    settings = hub.settings
    listening = _listen(settings.host, settings.port)
    port: int = listening.getsockname()[1]
    token = last_token(settings.state) or new_token()
    door = Door(token, host=settings.host, port=port)
    app = make_app(hub, door)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEPALIVE,
        shutdown_timeout=1.0,
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        state = HubState(url=door.url, token=token, pid=os.getpid())
        await asyncio.to_thread(write_state, state, settings.state)
        assert runner.server is not None
        watching = asyncio.create_task(app[CONNECTIONS].watch(runner.server))
        try:
            yield Address(door.url, token)
        finally:
            watching.cancel()
    finally:
        hub.feed.drop_all()
        await runner.cleanup()
        await asyncio.to_thread(remove_state, settings.state, pid=os.getpid())


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(256)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise ListenError(
            host, port, "something else listens there" if taken else str(error)
        ) from error
    return listening


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what was raised into an answer; a bug becomes 500 without its details."""
    try:
        return await handler(request)
    except ApiError as error:
        return answer({"error": str(error)}, status=error.status)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return answer({"error": error.reason}, status=error.status)
    except HubError as error:
        return answer({"error": str(error)}, status=503)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("a request failed", method=request.method, route=_route(request))
        return answer({"error": "a bug of the hub: its log tells more"}, status=500)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let nobody in who may not; see `punie.http.auth`."""
    door = request.app[DOOR]
    request.app[CONNECTIONS].asked(request)
    door.check_host(request.headers.get("Host", ""))
    if request.path == "/" or request.path.startswith(_OPEN):
        caller = Caller("page")  # the page logs in; the rest is public
    else:
        caller = door.identify(request.headers, request.cookies)
        door.check_origin(request.headers, method=request.method, via=caller.via)
    if request.method not in SAFE_METHODS and not request.app[CHANGES].take():
        raise TooManyError("too many changes at once: wait a second")
    request[CALLER] = caller
    return await handler(request)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.pop("Server", None)


async def _hang_up(app: web.Application) -> None:
    await asyncio.gather(app[AGENTS].aclose(), app[CLIENTS].aclose())


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""
