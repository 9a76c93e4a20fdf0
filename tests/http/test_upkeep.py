"""The store stays small, and nobody sees a difference."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from punie.http.sessions.upkeep import KEEP, QUIET, Upkeep
from punie.http.transcript import Transcript


async def shown(running: Any, session: int) -> list[dict[str, Any]]:
    return (await running.get(f"/api/sessions/{session}"))["items"]


def later(running: Any, seconds: float) -> Upkeep:
    """An upkeep to which so much time has passed."""
    hub = running.hub
    return Upkeep(hub.store, hub.sessions, clock=lambda: time.time() + seconds)


async def test_a_quiet_session_is_put_together_and_looks_the_same(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "count slowly to 20")
        await running.idle(session)
        before = await shown(running, session)
        many = len(await running.hub.store.events(session=session))
        await later(running, QUIET + 60).round()
        assert len(await running.hub.store.events(session=session)) < many - 10
        assert await shown(running, session) == before


async def test_a_page_that_saw_half_of_it_ends_with_the_same_text(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "count slowly to 20")
        await running.idle(session)
        store = running.hub.store
        page = Transcript()
        events = await store.events(session=session)
        for event in events[: len(events) - 8]:
            page.apply(event)
        await later(running, QUIET + 60).round()
        for event in await store.events(session=session, after=page.seq):
            page.apply(event)
        whole = await running.hub.sessions.transcript(session)
        texts = [[item.get("content") for item in one.items.values()] for one in (page, whole)]
        assert texts[0] == texts[1]


async def test_a_session_that_works_is_left_alone(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "count slowly to 90")
        await running.until(
            f"?session={session}&after=0",
            lambda one: one.name == "log" and "chunk" in str(one.data["body"]),
        )
        before = await running.hub.store.events(session=session)
        await later(running, KEEP * 2).round()
        after = await running.hub.store.events(session=session)
        assert after[: len(before)] == before
        await running.post(f"/api/sessions/{session}/stop", status=204)


async def test_an_old_session_is_forgotten_but_not_who_answered(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "write notes.txt hello")
        asked = await running.asked(session)
        await running.post(f"/api/inbox/{asked['id']}/select", {"option_id": "allow_once"})
        await running.idle(session)
        await later(running, KEEP + 60).round()
        async with running.http.get(f"/api/sessions/{session}") as response:
            assert response.status == 404
        assert len((await running.get("/api/audit"))["answers"]) == 1
    async with run_hub() as again:
        assert [one["key"] for one in (await again.get("/api/overview"))["sessions"]] == []
        assert len((await again.get("/api/audit"))["answers"]) == 1


async def test_what_others_tell_while_a_session_is_forgotten_is_shown(run_hub: Any) -> None:
    """An event of the forgotten one may stand in the same group, unwritten yet."""
    async with run_hub() as running:
        gone, other = await running.new_session(), await running.new_session()
        sessions = running.hub.sessions
        text = {"type": "text", "text": "still here"}
        told = {"sessionUpdate": "agent_message", "messageId": "m", "content": [text]}
        forgetting = asyncio.ensure_future(sessions.forget(gone))
        while gone in {one.key for one in sessions.all()}:
            sessions.record(gone, "update", told)
            sessions.record(other, "update", told)
            await asyncio.sleep(0)
        await forgetting
        await running.hub.store.flush()
        assert sessions.get(other).snippet == "still here"
