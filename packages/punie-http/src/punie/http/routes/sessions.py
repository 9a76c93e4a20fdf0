"""Sessions over HTTP: open, see, prompt, stop, configure, close, replay, find."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from punie.http.errors import ApiError
from punie.http.keys import HUB
from punie.http.routes.bodies import (
    Choice,
    NewPrompt,
    NewSession,
    answer,
    number,
    read,
    session_key,
)

routes = web.RouteTableDef()

PAGE = 500
"""Items of a conversation, or events of a replay, that are sent at once at most."""
WALKED = 20_000
"""Files that are looked at for one completion."""
SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})


@routes.get("/api/overview")
async def overview(request: web.Request) -> web.Response:
    """Everything that the overview shows: agents, sessions by need, what waits for a person."""
    return answer(request.app[HUB].overview())


@routes.post("/api/sessions")
async def open_session(request: web.Request) -> web.Response:
    """Open a session in a folder."""
    hub = request.app[HUB]
    body = await read(request, NewSession)
    key = await hub.fleet.new_session(body.agent, body.cwd or str(hub.settings.folder))
    return answer(hub.sessions.get(key).view(), status=201)


@routes.get(r"/api/sessions/{session:\d+}")
async def see_session(request: web.Request) -> web.Response:
    """One session and the end of its conversation; `before` pages back, `until` goes back in time.

    Live events continue at `seq`: open `/api/events?session=KEY&after=SEQ`.
    """
    hub, key = request.app[HUB], session_key(request)
    summary = hub.sessions.get(key)
    until = number(request, "until", default=0) or None
    transcript = await hub.sessions.transcript(key, until=until)
    items = list(transcript.items.values())
    end = number(request, "before", default=len(items), most=len(items))
    begin = max(0, end - number(request, "limit", default=200, most=PAGE))
    return answer({
        "session": summary.view(),
        "items": items[begin:end],
        "first": begin,
        "total": len(items),
        "facts": transcript.facts,
        "waiting": hub.prompts.of(key),
        "seq": transcript.seq,
    })


@routes.post(r"/api/sessions/{session:\d+}/prompts")
async def prompt(request: web.Request) -> web.Response:
    """Give a session work, after what runs or in place of it."""
    hub, key = request.app[HUB], session_key(request)
    body = await read(request, NewPrompt)
    root = Path(hub.sessions.get(key).cwd)
    files = await asyncio.to_thread(_inside, root, body.files)
    waiting = await hub.prompts.add(key, body.text, files=files, when=body.when)
    return answer(waiting, status=202)


@routes.delete(r"/api/sessions/{session:\d+}/prompts/{prompt:\w+}")
async def drop_prompt(request: web.Request) -> web.Response:
    """Take back a prompt that waits."""
    request.app[HUB].prompts.drop(session_key(request), request.match_info["prompt"])
    return web.Response(status=204)


@routes.post(r"/api/sessions/{session:\d+}/stop")
async def stop(request: web.Request) -> web.Response:
    """Stop what a session does, and drop the prompts that wait."""
    await request.app[HUB].prompts.stop(session_key(request))
    return web.Response(status=204)


@routes.post(r"/api/sessions/{session:\d+}/config")
async def configure(request: web.Request) -> web.Response:
    """Choose the value of a config option, such as the mode or the model."""
    hub, key = request.app[HUB], session_key(request)
    body = await read(request, Choice)
    driver = hub.sessions.driver(key)
    await driver.configure(hub.sessions.get(key).session_id, body.config_id, body.value)
    return web.Response(status=204)


@routes.delete(r"/api/sessions/{session:\d+}")
async def close(request: web.Request) -> web.Response:
    """Close a session; its history stays."""
    await request.app[HUB].sessions.close(session_key(request))
    return web.Response(status=204)


@routes.get(r"/api/sessions/{session:\d+}/events")
async def events(request: web.Request) -> web.Response:
    """Events of a session as they came, in order: to replay it in time."""
    hub, key = request.app[HUB], session_key(request)
    hub.sessions.get(key)
    found = await hub.store.events(
        after=number(request, "after", default=0),
        session=key,
        limit=number(request, "limit", default=PAGE, most=PAGE),
    )
    return answer({"events": found})


@routes.get(r"/api/sessions/{session:\d+}/files")
async def files(request: web.Request) -> web.Response:
    """Files of a session's folder whose path holds `q`, to complete a mention."""
    hub = request.app[HUB]
    root = Path(hub.sessions.get(session_key(request)).cwd)
    query = request.query.get("q", "")[:200].lower()
    found = await asyncio.to_thread(_matching, root, query)
    return answer({"files": found})


@routes.get("/api/search")
async def search(request: web.Request) -> web.Response:
    """Find what was said in any session."""
    hub = request.app[HUB]
    hits = await hub.store.search(request.query.get("q", "")[:200])
    return answer({"hits": hits})


def _inside(root: Path, paths: Sequence[str]) -> list[str]:
    """Resolve mentioned files; nothing outside of the session's folder can be mentioned."""
    real = root.resolve()
    found: list[str] = []
    for path in paths:
        absolute = (real / path).resolve()
        if not absolute.is_relative_to(real) or not absolute.exists():
            raise ApiError(f"{path!r} is no file of the session's folder")
        found.append(str(absolute))
    return found


def _matching(root: Path, query: str) -> list[str]:
    found: list[str] = []
    looked = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in SKIPPED
        )
        for name in sorted(names):
            looked += 1
            path = (Path(folder) / name).relative_to(root).as_posix()
            if query in path.lower():
                found.append(path)
        if looked > WALKED or len(found) >= 50:
            break
    return sorted(found, key=lambda path: (query not in path.rsplit("/", 1)[-1].lower(), path))[:50]
