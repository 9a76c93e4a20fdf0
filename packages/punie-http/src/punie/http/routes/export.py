"""A session as a file: Markdown, one HTML page, or every event as a line of JSON."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from punie.http.errors import ApiError
from punie.http.hub import Hub
from punie.http.keys import HUB
from punie.http.routes.bodies import session_key
from punie.http.store.base import SessionKey

routes = web.RouteTableDef()

_TYPES = {"md": "text/markdown", "html": "text/html", "jsonl": "application/jsonl"}


@routes.get(r"/api/sessions/{session:\d+}/export")
async def export(request: web.Request) -> web.Response:
    """The session as a file: `format` is `md`, `html` or `jsonl`."""
    hub, key = request.app[HUB], session_key(request)
    form = request.query.get("format", "md")
    if form not in _TYPES:
        raise ApiError(f"format is one of {', '.join(_TYPES)}")
    text = await (_lines(hub, key) if form == "jsonl" else _conversation(hub, key, form))
    return web.Response(
        text=text,
        content_type=_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="session-{key}.{form}"'},
    )


async def _conversation(hub: Hub, key: SessionKey, form: str) -> str:
    from punie.http import render

    transcript = await hub.sessions.transcript(key)
    title = hub.sessions.get(key).title or f"Session {key}"
    write = render.page if form == "html" else render.markdown
    return await asyncio.to_thread(write, title, list(transcript.items.values()))


async def _lines(hub: Hub, key: SessionKey) -> str:
    hub.sessions.get(key)
    lines: list[str] = []
    after = 0
    while events := await hub.store.events(after=after, session=key):
        lines += [msgspec.json.encode(event).decode() for event in events]
        after = events[-1].seq
    return "\n".join(lines) + "\n"
