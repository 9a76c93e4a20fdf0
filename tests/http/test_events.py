"""The stream of events: resumed without a gap or a repetition, however often it breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


def say(number: int) -> dict[str, Any]:
    content = {"type": "text", "text": str(number)}
    return {"sessionUpdate": "agent_message_chunk", "messageId": "m", "content": content}


async def test_a_stream_that_breaks_again_and_again_misses_nothing(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        sessions = running.hub.sessions

        async def talk() -> None:
            for number in range(300):
                sessions.record(session, "update", say(number))
                await asyncio.sleep(0.001)

        talking = asyncio.ensure_future(talk())
        seen: list[int] = []
        last = 0
        async with asyncio.timeout(60):
            while len(seen) < 300:
                query = f"?session={session}&after=0&states=0"
                headers = {"Last-Event-ID": str(last)} if last else {}
                few = 0
                async for message in running.stream(query, **headers):
                    last = message.id
                    text = message.data["body"].get("content", {}).get("text")
                    seen += [] if text is None else [int(text)]
                    few += 1
                    if few == 17 or len(seen) == 300:  # the connection is lost
                        break
        await talking
        assert seen == list(range(300))


async def test_a_stream_of_one_session_carries_no_other(run_hub: Any) -> None:
    async with run_hub() as running:
        one, other = await running.new_session(), await running.new_session()
        running.hub.sessions.record(other, "update", say(1))
        running.hub.sessions.record(one, "update", say(2))
        seen = await running.until(
            f"?session={one}&after=0&states=0",
            lambda message: message.data["body"].get("messageId") == "m",
        )
        assert {message.data["session"] for message in seen} == {one}


async def test_a_stream_begins_with_how_everything_is(run_hub: Any) -> None:
    async with run_hub() as running:
        await running.ready()
        (first,) = await running.until("", lambda message: True)
        assert first.name == "overview"
        assert first.id is None
        assert [agent["name"] for agent in first.data["agents"]] == ["punie"]


@pytest.mark.parametrize("query", ["?session=x", "?session=-1", "?session=1&after=x"])
async def test_a_query_that_means_nothing_is_refused(run_hub: Any, query: str) -> None:
    async with run_hub() as running, running.http.get(f"/api/events{query}") as response:
        assert response.status == 400


async def test_a_stream_that_was_left_gives_its_place_back(run_hub: Any) -> None:
    async with run_hub() as running:
        closed = asyncio.Event()
        close = running.hub.feed.close

        def closing(stream: Any) -> None:
            close(stream)
            closed.set()

        running.hub.feed.close = closing
        async for _ in running.stream():
            break
        await asyncio.wait_for(closed.wait(), 30)
        assert len(running.hub.feed) == 0
