"""The inbox over HTTP: what waits for a person, answers to it, and who answered what."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from punie.http.errors import ApiError
from punie.http.keys import CALLER, HUB
from punie.http.routes.bodies import Form, Selection, answer, number, read

routes = web.RouteTableDef()


@routes.get("/api/inbox")
async def inbox(request: web.Request) -> web.Response:
    """All approvals and questions that wait, the oldest first."""
    return answer({"inbox": request.app[HUB].inbox.views()})


@routes.post(r"/api/inbox/{asked:\w+}/select")
async def select(request: web.Request) -> web.Response:
    """Answer an approval, and others by the same option; each answer is told on its own."""
    hub, by = request.app[HUB], request[CALLER].via
    body = await read(request, Selection)
    first = await hub.inbox.select(request.match_info["asked"], body.option_id, by=by)
    answers: list[dict[str, Any]] = [first.logged()]
    for asked_id in body.also:
        try:
            other = await hub.inbox.select(asked_id, body.option_id, by=by)
            answers.append(other.logged())
        except ApiError as error:
            answers.append({"id": asked_id, "error": str(error)})
    return answer({"answers": answers})


@routes.post(r"/api/inbox/{asked:\w+}/submit")
async def submit(request: web.Request) -> web.Response:
    """Answer a question with a form's fields, or decline it."""
    hub = request.app[HUB]
    body = await read(request, Form)
    asked_id, by = request.match_info["asked"], request[CALLER].via
    answered = await hub.inbox.submit(asked_id, body.content, by=by)
    return answer({"answers": [answered.logged()]})


@routes.get("/api/audit")
async def audit(request: web.Request) -> web.Response:
    """Who answered what, the newest first."""
    hub = request.app[HUB]
    limit = number(request, "limit", default=100, most=1000)
    found = await hub.store.latest(["answered"], limit=limit)
    return answer({
        "answers": [
            {
                "seq": event.seq,
                "at": event.at,
                "session": event.session,
                **msgspec.json.decode(event.body),
            }
            for event in found
        ]
    })
