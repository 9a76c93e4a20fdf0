"""One agent that floods the hub: the others and the pages get their turn, and memory stays bounded."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from punie.acp.transports.websocket import dial
from punie.http.agents.early import MOST_SIZE
from punie.http.inbox import MOST
from punie.http.sessions.texts import LONGEST
from punie.http.testing import Puppet

PATIENCE = 60.0


@asynccontextmanager
async def dialled(running: Any, session: str) -> AsyncGenerator[Puppet, None]:
    url = running.address.url.replace("http", "ws") + f"/agents?name={session}"
    headers = {"Authorization": f"Bearer {running.address.token}"}
    puppet = Puppet(await dial(url, headers=headers, give_up=0.1))
    await puppet.start(session)
    await asyncio.wait_for(puppet.joined[session].wait(), PATIENCE)
    try:
        yield puppet
    finally:
        await puppet.aclose()


FLOOD = """
import asyncio, sys
from punie.acp.transports.websocket import dial
from punie.http.testing import Puppet

async def main(url, token, size):
    puppet = Puppet(await dial(url, headers={"Authorization": f"Bearer {token}"}))
    await puppet.start("loud")
    await puppet.joined["loud"].wait()
    while True:
        for _ in range(max(1, 200_000 // int(size))):
            puppet.say("loud", "x" * int(size))
        puppet.histories["loud"].clear()
        await puppet.drain()

asyncio.run(main(*sys.argv[1:]))
"""
"""An agent in a process of its own that sends as fast as the hub takes it."""


@asynccontextmanager
async def flooded(running: Any, *, size: int) -> AsyncGenerator[None, None]:
    """While a flood comes in, of updates with so many characters."""
    url = running.address.url.replace("http", "ws") + "/agents?name=loud"
    process = await asyncio.create_subprocess_exec(*(
        sys.executable,
        "-c",
        FLOOD,
        url,
        running.address.token,
        str(size),
    ))
    try:
        await running.until("?session=all&states=0&after=0", lambda one: one.id > 100)
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("size", [1, 100_000])
async def test_a_flooding_agent_starves_nobody(run_hub: Any, size: int) -> None:
    """Counted, not timed: what of the flood is before others, and how much is in memory."""
    async with run_hub() as running, dialled(running, "quiet") as quiet:
        store = running.hub.store
        waits: list[int] = []
        unwritten: list[int] = []
        async with flooded(running, size=size):
            for number in range(10):
                before = store.last_seq
                quiet.say("quiet", f"{number} ", message_id=f"m{number}")
                async for message in running.stream(f"?session=all&states=0&after={before}"):
                    unwritten.append(store.last_seq - store.published_seq)
                    if message.data["body"].get("messageId") == f"m{number}":
                        waits.append(message.id - before)
                        break
            question = asyncio.ensure_future(quiet.ask("quiet"))
            key = next(one.key for one in running.hub.sessions.all() if one.agent == "quiet")
            asked = await running.asked(key)
            await running.post(f"/api/inbox/{asked['id']}/select", {"option_id": "yes"})
            assert (await question)["outcome"] == "selected"
        assert max(waits) < 10_000
        assert max(unwritten) * (size + 200) < 4_000_000


async def test_a_message_without_an_end_is_not_kept_in_memory(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as puppet:
        for _ in range(20):
            puppet.say("s1", "x" * 50_000)
        puppet.say("s1", "end")
        await running.until(
            "", lambda one: one.name == "session" and one.data["snippet"][-3:] == "end"
        )
        (message,) = running.hub.sessions._texts._open.values()
        assert message.size <= LONGEST


async def test_sessions_that_never_open_are_not_kept_without_end(run_hub: Any) -> None:
    content = {"type": "text", "text": "x" * 10_000}
    update = {"sessionUpdate": "agent_message_chunk", "messageId": "m", "content": content}
    async with run_hub() as running, dialled(running, "s1") as puppet:
        for number in range(MOST_SIZE // 10_000 + 100):
            told = {"sessionId": f"never-{number}", "update": update}
            puppet._send(method="session/update", params=told)
        puppet.say("s1", "end")
        await running.until("", lambda one: one.name == "session" and one.data["snippet"] == "end")
        link = running.hub.fleet.link("s1")
        assert 0 < link._early.size <= MOST_SIZE


async def test_an_agent_that_asks_without_end_is_refused_and_others_are_not(run_hub: Any) -> None:
    async with (
        run_hub() as running,
        dialled(running, "s1") as loud,
        dialled(running, "s2") as quiet,
    ):
        asking = [asyncio.ensure_future(loud.ask("s1", f"{n}")) for n in range(MOST)]
        await running.until(
            "", lambda one: one.name == "asked" and one.data["title"] == f"{MOST - 1}"
        )
        with pytest.raises(TypeError):  # an error has no result with an outcome
            await asyncio.wait_for(loud.ask("s1", "one more"), PATIENCE)
        other = asyncio.ensure_future(quiet.ask("s2", "mine"))
        key = next(one.key for one in running.hub.sessions.all() if one.agent == "s2")
        asked = await running.asked(key)
        await running.post(f"/api/inbox/{asked['id']}/select", {"option_id": "yes"})
        assert (await other)["outcome"] == "selected"
        assert len(running.hub.inbox) == MOST
        for one in asking:
            one.cancel()


async def test_questions_of_sessions_that_are_not_there_leave_nothing_behind(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as puppet:
        puppet.say("s1", "here")
        await running.until("", lambda one: one.name == "session" and one.data["snippet"] == "here")
        link = running.hub.fleet.link("s1")
        before = len(link._opening)
        for number in range(20):
            with pytest.raises(TypeError):  # an error has no result with an outcome
                await asyncio.wait_for(puppet.ask(f"never-{number}"), PATIENCE)
        assert len(link._opening) == before
