"""Server-sent events over HTTP: one stream per page, resumed where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
from aiohttp import web

from punie.http.errors import ApiError
from punie.http.keys import HUB
from punie.http.routes.bodies import number
from punie.http.sse import Stream, replay, state_frame
from punie.http.store.base import SessionKey

routes = web.RouteTableDef()

BEAT = 15.0
"""Seconds of silence after which a sign of life is sent."""
WRITING = 20.0
"""Seconds in which a page must take what is written to it."""
RETRY = b"retry: 1000\n\n"


@routes.get("/api/events")
async def events(request: web.Request) -> web.StreamResponse:
    """What happens, as it happens.

    Args of the query: `session`, a number or `all`, asks for the log of that session or of all;
    `after` is the last event that the caller has (or the header `Last-Event-ID`; now by default);
    `states=0` leaves out how sessions, agents and the inbox are.
    """
    hub = request.app[HUB]
    wanted = _wanted(request)
    states = request.query.get("states", "1") != "0"
    after = _after(request, default=hub.store.published_seq)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    stream = hub.feed.open(wanted, states=states)
    # From here on whatever is published waits in the stream; what came before is in the store.
    until = hub.store.published_seq
    try:
        await response.prepare(request)
        write = _writer(request, response)
        await write(RETRY)
        if states:
            await write(state_frame("overview", msgspec.json.encode(hub.overview())))
        if wanted is not None:
            session = None if wanted == "all" else wanted
            await replay(hub.store, write, after=after, until=until, session=session)
        await _follow(stream, write)
    except (ConnectionError, TimeoutError):
        pass  # the page is gone or too slow; it comes back and resumes
    finally:
        hub.feed.close(stream)
        if stream.dropped and request.transport is not None:
            request.transport.abort()
    return response


async def _follow(stream: Stream, write: Callable[[bytes], Awaitable[None]]) -> None:
    while not stream.dropped:
        taken = await stream.take(BEAT)
        if taken:
            await write(taken)


def _writer(
    request: web.Request, response: web.StreamResponse
) -> Callable[[bytes], Awaitable[None]]:
    async def write(data: bytes) -> None:
        try:
            async with asyncio.timeout(WRITING):
                await response.write(data)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise

    return write


def _wanted(request: web.Request) -> SessionKey | Literal["all"] | None:
    text = request.query.get("session")
    if text is None:
        return None
    if text == "all":
        return "all"
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return SessionKey(int(text))
    raise ApiError("session is a number, or `all`")


def _after(request: web.Request, *, default: int) -> int:
    last = request.headers.get("Last-Event-ID", "")
    if last.isascii() and last.isdecimal() and len(last) <= 15:
        return int(last)
    return number(request, "after", default=default)
