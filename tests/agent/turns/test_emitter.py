"""The emitter: first piece at once, the rest coalesced, nothing out of order."""

from __future__ import annotations

from punie.agent.events import AgentMessageChunk, Notice
from punie.agent.testing import Recorder
from punie.agent.turns.emit import FULL, Emitter


async def test_the_first_piece_goes_out_at_once_and_later_ones_together() -> None:
    heard = Recorder()
    async with Emitter(heard, interval=1000) as emitter:
        await emitter.message("m", "one ")
        assert heard.text == "one "
        for word in ("two ", "three "):
            await emitter.message("m", word)
        assert heard.text == "one "
    assert [chunk.text for chunk in heard.of(AgentMessageChunk)] == ["one ", "two three "]


async def test_what_waits_goes_out_before_what_comes_after_it() -> None:
    heard = Recorder()
    async with Emitter(heard, interval=1000) as emitter:
        await emitter.message("m", "a")
        await emitter.message("m", "b")
        await emitter.emit(Notice(severity="info", title="n"))
        await emitter.message("m", "c")
    shown = [event.text if isinstance(event, AgentMessageChunk) else "-" for event in heard.events]
    assert shown == ["a", "b", "-", "c"]


async def test_a_late_piece_goes_out_without_a_next_one() -> None:
    heard = Recorder()
    async with Emitter(heard, interval=0.01) as emitter:
        await emitter.message("m", "a")
        await emitter.message("m", "b")
        await heard.until(lambda: heard.text == "ab")
    assert len(heard.events) == 2


async def test_a_flood_does_not_fill_memory() -> None:
    heard = Recorder()
    async with Emitter(heard, interval=1000) as emitter:
        for _ in range(10):
            await emitter.message("m", "x" * FULL)
            await emitter.message("m", "y")
        assert len(heard.text) >= 9 * FULL


async def test_of_several_with_one_key_only_the_latest_is_told() -> None:
    heard = Recorder()
    async with Emitter(heard, interval=1000) as emitter:
        await emitter.message("m", "now")
        for number in range(5):
            event = Notice(severity="info", title=str(number))
            emitter.latest("k", lambda event=event: event)
    assert [notice.title for notice in heard.of(Notice)] == ["4"]
