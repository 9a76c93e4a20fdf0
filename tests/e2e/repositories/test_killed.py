"""A process that was killed in the middle of a turn: the next one goes on where it was."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from punie.acp.errors import ConnectionClosedError
from punie.agent.testing import Call, Wait

from .conftest import SHOP, Editor, Model, Repository, Sit, Way  # type: ignore[import-not-found]

WRONG = "    return sum(item.price for item in items) - 1\n"
RIGHT = "    return sum(item.price for item in items)\n"
EDIT = Call("edit_file", {"path": "shop/prices.py", "old": WRONG, "new": RIGHT})
MENDED = {name: text.replace(WRONG, RIGHT).encode() for name, text in SHOP.items()}


def told(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What was said, without the instructions; calls by the name of their tool."""
    return [
        (message["role"], " ".join(c["function"]["name"] for c in message.get("tool_calls", ())))
        if message.get("tool_calls")
        else (message["role"], message["content"].split("\n")[0])
        for message in messages
        if message["role"] != "system"
    ]


def assert_no_orphans(messages: list[dict[str, Any]]) -> None:
    calls = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert calls == results
    assert len(set(calls)) == len(calls)


async def test_a_turn_killed_while_the_model_spoke_is_read_by_the_next_one(
    shop: Repository, model: Model, sit: Sit, tmp_path: Path
) -> None:
    model.follow([[EDIT], ["It was one ", Wait()]])
    pid = tmp_path / "pid"
    editor = Editor()
    async with sit(shop, editor, pid=pid) as seat:

        async def kill() -> None:
            await editor.until(lambda: editor.text == "It was one ")
            os.kill(int(pid.read_text()), signal.SIGKILL)

        with pytest.raises(ConnectionClosedError):
            await _both(seat.ask("mend it"), kill())
    assert shop.files == MENDED
    model.follow([[Call("run_tests", {})], ["Mended."]])
    later = Editor()
    async with sit(shop, later, inside=True, load=True) as seat:
        assert "It was one " in later.text  # the history is replayed
        assert (await seat.ask("and now?")).stop_reason == "end_turn"
    assert told(model.read)[:5] == [
        ("user", "mend it"),
        ("assistant", "edit_file"),
        ("tool", "shop/prices.py edited at line 11: 1 line added, 1 removed"),
        ("assistant", "It was one "),
        ("user", "and now?"),
    ]
    assert_no_orphans(model.read)
    assert (shop.status, shop.files) == ([" M shop/prices.py"], MENDED)
    assert shop.tested() == (2, 0)


async def _both(one: Any, other: Any) -> None:
    import asyncio

    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    await second
    await first


@pytest.mark.parametrize("way", ["headless"], indirect=True)
async def test_a_command_that_was_running_at_the_kill_is_not_said_to_have_worked(
    way: Way, shop: Repository, model: Model, sit: Sit
) -> None:
    # The command itself kills the process that runs it: no moment is left to chance.
    model.follow([[Call("run_command", {"command": "touch begun; kill -9 $PPID"})]])
    done = await way(shop, "begin")
    assert done.code == -signal.SIGKILL
    model.follow([["I shall look first."]])
    async with sit(shop, Editor(), inside=True, load=True) as seat:
        assert (await seat.ask("go on")).stop_reason == "end_turn"
    assert told(model.read) == [
        ("user", "begin"),
        ("assistant", "run_command"),
        (
            "tool",
            "Interrupted: it had begun and did not end. Look at what is there before trying again.",
        ),
        ("user", "go on"),
    ]
    assert_no_orphans(model.read)
    assert shop.status == ["?? begun"]


@pytest.mark.parametrize("way", ["terminal", "ide_alone"], indirect=True)
@pytest.mark.parametrize("allow", [True, False])
async def test_a_question_that_was_open_at_the_kill_is_asked_again_in_the_editor(
    way: Way, allow: bool, shop: Repository, model: Model, sit: Sit
) -> None:
    model.follow([[EDIT]])
    done = await way(shop, "mend it", allow=None)
    assert done.asked == ["Edit shop/prices.py"]
    assert shop.status == []
    model.follow([["So be it."]])
    editor = Editor(allow=allow)
    async with sit(shop, editor, inside=True, load=True):
        await editor.until(lambda: "So be it." in editor.text)
    assert editor.asked == ["Edit shop/prices.py"]
    assert [role for role, _ in told(model.read)] == ["user", "assistant", "tool"]
    assert_no_orphans(model.read)
    before = {name: text.encode() for name, text in SHOP.items()}
    assert shop.files == (MENDED if allow else before)
    assert shop.status == ([" M shop/prices.py"] if allow else [])
