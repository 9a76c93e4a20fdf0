"""Slash commands: each answers with text, in its place in the queue, unseen by the model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from punie.agent.commands import COMMANDS, find
from punie.agent.events import (
    AgentMessageChunk,
    Notice,
    PlanEntry,
    PlanUpdate,
    SettingsUpdate,
    StateUpdate,
    ToolCallUpdate,
    UserMessage,
)
from punie.agent.runtime import Runtime
from punie.agent.testing import Answers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/help", ("help", "")),
        ("  /mode  edit ", ("mode", "edit")),
        ("/undo src/a b.py", ("undo", "src/a b.py")),
        ("/nothing", None),
        ("/etc/hosts says what?", None),
        ("help", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_prompt_is_a_command_when_it_begins_with_one(text, found) -> None:
    command = find(text, COMMANDS)
    assert (command and (command[0].name, command[1])) == found


@pytest.mark.parametrize("name", list(COMMANDS))
async def test_every_command_answers_with_text(typed, name: str) -> None:
    assert (await typed(f"/{name}")).strip()
    assert typed.heard.text.strip()
    assert typed.heard.of(UserMessage)
    assert typed.heard.of(StateUpdate)[-1].stop_reason == "end_turn"


async def test_help_names_every_command(typed) -> None:
    text = await typed("/help")
    assert all(f"/{name}" in text for name in COMMANDS)


async def test_a_command_gives_the_session_no_title_and_the_model_no_history(typed) -> None:
    await typed("/help")
    assert typed.session.title == ""
    await typed("hello")
    assert typed.session.title == "hello"


async def test_mode_shows_and_changes_the_mode(typed) -> None:
    assert "`ask` " in await typed("/mode")
    assert (await typed("/mode edit")).startswith("Mode `edit`: Edits files")
    assert typed.session.mode == "edit"
    assert "There is no mode `yolo`" in await typed("/mode yolo")
    assert typed.session.mode == "edit"


async def test_model_shows_and_changes_the_model(typed) -> None:
    assert "`default`" in await typed("/model")
    assert "answered by `mlx:x`" in await typed("/model mlx:x")
    assert typed.session.model == "mlx:x"
    assert "There is no model `gtp`" in await typed("/model gtp")
    await typed("/model default")
    assert typed.session.model == ""


async def test_usage_counts_the_calls_and_their_tokens(typed) -> None:
    assert await typed("/usage") == "The model has not been called yet."
    await typed("hello")
    text = await typed("/usage")
    assert text.startswith("Context: ")
    assert "1 model call: " in text


async def test_undo_takes_back_what_a_turn_changed_and_the_undo_too(typed, folder: Path) -> None:
    await typed("/mode edit")
    await typed("write x.txt hello")
    assert (folder / "x.txt").read_text() == "hello"
    assert "x.txt" in await typed("/undo")
    assert not (folder / "x.txt").exists()
    await typed("/undo x.txt")
    assert (folder / "x.txt").read_text() == "hello"


async def test_undo_says_when_there_is_nothing(typed) -> None:
    assert "nothing to undo" in await typed("/undo")


async def test_compact_says_when_there_is_nothing(typed) -> None:
    assert await typed("/compact") == "There is nothing to take out yet."


async def test_test_runs_the_tests_through_the_gate(typed, folder: Path) -> None:
    (folder / "test_x.py").write_text("def test_a(): assert 1 == 2\n")
    assert (await typed("/test test_x.py")).startswith("0 passed, 1 failed")
    calls = typed.heard.of(ToolCallUpdate)
    assert calls[0].name == "run_tests"
    await typed("/mode read-only")
    assert "Permission denied" in await typed("/test")
    assert len({call.tool_call_id for call in typed.heard.of(ToolCallUpdate)}) == 2


async def test_plan_shows_the_latest_plan(typed) -> None:
    assert "There is no plan yet" in await typed("/plan")
    steps = (PlanEntry(content="one", status="completed"), PlanEntry(content="two"))
    typed.session.events.append(PlanUpdate(entries=steps))
    assert await typed("/plan") == "[x] one\n[ ] two"


async def test_plan_with_a_task_is_a_turn_in_mode_plan(typed, folder: Path) -> None:
    await typed("/mode edit")
    heard = typed.heard.of(SettingsUpdate)
    text = await typed("/plan write x.txt hello")
    assert "change nothing yet" in typed.heard.of(UserMessage)[-1].text
    assert text
    modes = [event.mode for event in typed.heard.of(SettingsUpdate)[len(heard) :]]
    assert modes == ["plan", "edit"]
    assert [notice.title for notice in typed.heard.of(Notice)] == ["Mode plan for this turn"]
    assert typed.session.mode == "edit"


async def test_changes_lists_what_a_turn_changed_and_shows_the_diff(typed, folder: Path) -> None:
    assert "Nothing was changed" in await typed("/changes")
    (folder / "old.txt").write_text("one\ntwo\n")
    await typed("/mode bypass")
    await typed("run printf '1\\n```\\n' > new.txt; rm old.txt; printf '\\377' > blob")
    assert await typed("/changes") == (
        "Changed last:\n\n"
        "- `blob` added, not compared: `/undo blob` takes it back\n"
        "- `new.txt` added (+2 -0): `/undo new.txt` takes it back\n"
        "- `old.txt` deleted (+0 -2): `/undo old.txt` takes it back"
    )
    assert await typed("/changes new.txt") == (
        "`new.txt` added (+2 -0): `/undo new.txt` takes it back\n\n"
        "````diff\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,2 @@\n+1\n+```\n````"
    )
    assert "was not changed in this session" in await typed("/changes a.txt")
    await typed("/undo old.txt")
    assert (folder / "old.txt").read_text() == "one\ntwo\n"
    assert (folder / "new.txt").exists()
    assert "`old.txt` added (+2 -0)" in await typed("/changes")


async def test_skills_are_listed_and_broken_ones_with_their_reason(typed, folder: Path) -> None:
    assert "There are no skills" in await typed("/skills")
    for name, text in {
        "release": "---\nname: release\ndescription: Writes release notes.\n---\nDo it.\n",
        "broken": "nothing\n",
    }.items():
        skill = folder / ".punie" / "skills" / name
        skill.mkdir(parents=True)
        (skill / "SKILL.md").write_text(text)
    text = await typed("/skills")
    assert "- `release` Writes release notes." in text
    assert "broken cannot be used: " in text


@pytest.mark.parametrize("text", ["/plan a parser", "/review the parser"])
async def test_what_needs_the_model_becomes_a_prompt(typed, text: str) -> None:
    await typed(text)
    assert typed.heard.of(UserMessage)[-1].text.endswith("parser")
    assert typed.heard.of(AgentMessageChunk)


async def test_a_command_waits_for_the_turn_before_it_and_is_cancelled_with_it(typed) -> None:
    turn = asyncio.ensure_future(typed("count slowly"))
    await typed.heard.first(AgentMessageChunk)
    waiting = asyncio.ensure_future(typed("/help"))
    await asyncio.sleep(0)
    typed.session.cancel()
    await asyncio.gather(turn, waiting)
    assert [message.text for message in typed.heard.of(UserMessage)] == ["count slowly"]


async def test_a_running_command_is_cancelled(typed, folder: Path) -> None:
    (folder / "test_x.py").write_text("def test_a():\n    import time; time.sleep(60)\n")
    running = asyncio.ensure_future(typed("/test"))
    await typed.heard.status("in_progress")
    typed.session.cancel()
    assert await running == ""
    assert typed.heard.of(StateUpdate)[-1].stop_reason == "cancelled"
    assert typed.heard.statuses[-1] == "cancelled"


async def test_permissions_lists_what_was_answered_and_forgets_it(typed, folder: Path) -> None:
    assert "No answer is remembered." in await typed("/permissions")
    detach = typed.session.attach(typed.heard, asker=Answers("allow_always"))
    await typed("write x.txt hello")
    await typed("run echo  hi")
    detach()
    text = await typed("/permissions")
    assert text.startswith("Mode `ask`: Reads and checks freely")
    assert "\n1. allowed `write_file`, for this session\n" in text
    assert text.endswith("\n2. allowed `run_command`: `echo hi`, for this project")
    assert "`/permissions forget NUMBER` forgets" in await typed("/permissions forget 3")
    said = await typed("/permissions forget 1")
    assert said == "Forgotten: allowed `write_file`, for this session"
    await typed("/permissions forget all")
    assert await typed("/permissions forget all") == "No answer is remembered."
    await typed("write x.txt again")
    assert (folder / "x.txt").read_text() == "hello"


async def test_permissions_shows_the_rules(typing, folder: Path, tmp_path: Path) -> None:
    rules = 'deny = ["*(.env)"]\nask = ["git_log"]\n'
    (folder / "pyproject.toml").write_text(f"[tool.punie.permissions]\n{rules}")
    runtime = Runtime(model="test", environ={"HOME": str(tmp_path / "home")})
    text = await typing(runtime, folder)("/permissions")
    assert "Rules:\n\n- deny `*(.env)`\n- ask `git_log`\n" in text
    await runtime.aclose()
