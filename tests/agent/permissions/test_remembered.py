"""Answers for a project: kept with the person, found by the next session, lost by no crash."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from punie.agent.permissions.gate import Gate, Standing
from punie.agent.permissions.remembered import Answers
from punie.agent.runtime import Runtime
from punie.agent.testing import Answers as Always
from punie.agent.testing import Recorder
from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "permissions.jsonl"


def gate_of(call: Call, person: object, file: Path) -> Gate:
    standing = Standing(answers=Answers(file, call.workspace.root))
    return Gate("ask", ask=person, standing=standing)  # type: ignore[arg-type]


async def run(gate: Gate, call: Call, command: str, **more: str):
    tool = CATALOG["run_command"]
    return await gate.check(tool, tool.parse({"command": command, **more}), call, "call-1")


async def test_a_command_that_was_always_allowed_is_not_asked_about_in_the_next_session(
    call, person, file
) -> None:
    person.kind = "allow_always"
    await run(gate_of(call, person, file), call, "make")
    again = await run(gate_of(call, person, file), call, "make")
    assert (again.allowed, again.asked) == (True, False)
    assert again.reason == "`make` was allowed for this project"
    assert [option.name for option in person.questions[0].options] == [
        "Allow once",
        "Always allow `make` in this project",
        "Reject once",
        "Always reject `make` in this project",
    ]


async def test_it_covers_the_command_word_by_word_in_its_folder_and_project(
    call, person, file, tmp_path
) -> None:
    person.kind = "allow_always"
    (call.workspace.root / "sub").mkdir()
    await run(gate_of(call, person, file), call, "make")
    for command, cwd in (("make all", "."), ("make", "sub")):
        assert (await run(gate_of(call, person, file), call, command, cwd=cwd)).asked
    assert Answers(file, tmp_path).recall() == {}


async def test_an_always_rejected_command_stays_rejected_and_the_last_answer_wins(
    call, person, file
) -> None:
    person.kind = "reject_always"
    await run(gate_of(call, person, file), call, "make")
    again = await run(gate_of(call, person, file), call, "make")
    assert (again.allowed, again.asked) == (False, False)
    (key,) = Answers(file, call.workspace.root).recall()
    Answers(file, call.workspace.root).remember(key, allowed=True)
    assert (await run(gate_of(call, person, file), call, "make")).allowed


async def test_an_edit_is_remembered_for_the_session_alone(call, person, file) -> None:
    person.kind = "allow_always"
    tool = CATALOG["edit_file"]
    args = tool.parse({"path": "x", "old": "a", "new": "b"})
    for _ in range(2):
        await gate_of(call, person, file).check(tool, args, call, "call-1")
    assert len(person.questions) == 2
    assert not file.exists()


def test_only_the_person_can_read_the_file(file: Path, tmp_path: Path) -> None:
    Answers(file, tmp_path).remember(("run_command", "make"), allowed=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_line_that_a_crash_cut_off_costs_no_other(file: Path, tmp_path: Path) -> None:
    answers = Answers(file, tmp_path)
    answers.remember(("run_command", "one"), allowed=True)
    whole = file.read_bytes()
    answers.remember(("run_command", "two"), allowed=True)
    for cut in range(len(whole), file.stat().st_size):
        os.truncate(file, cut)
        answers.remember(("run_command", "three"), allowed=False)
        recalled = answers.recall()
        assert recalled[("run_command", "one")]
        assert recalled[("run_command", "three")] is False
        file.write_bytes(whole)
        answers.remember(("run_command", "two"), allowed=True)


async def test_where_nothing_can_be_kept_the_answer_holds_for_the_session(
    call, person, tmp_path, caplog
) -> None:
    person.kind = "allow_always"
    (tmp_path / "state").write_text("not a folder")
    gate = gate_of(call, person, tmp_path / "state" / "permissions.jsonl")
    with caplog.at_level(logging.WARNING):
        await run(gate, call, "make")
        assert (await run(gate, call, "make")).allowed
    assert len(person.questions) == 1
    assert "cannot be kept beyond this session" in caplog.text
    assert "cannot be read" in caplog.text


async def test_an_answer_can_be_taken_back_here_and_for_later_sessions(call, person, file) -> None:
    person.kind = "allow_always"
    gate = gate_of(call, person, file)
    await run(gate, call, "make")
    await run(gate, call, "ls")
    (make, ls) = await gate.remembered()
    assert (make.scope, make.call[:2], make.allowed) == ("project", ("run_command", "make"), True)
    assert await gate.forget(make)
    assert await gate.remembered() == [ls]
    assert await gate_of(call, person, file).remembered() == [ls]
    assert (await run(gate, call, "make")).asked
    assert await gate.remembered() == [ls, make]


async def test_an_answer_for_the_session_can_be_taken_back(call, person) -> None:
    person.kind = "reject_always"
    kept: list[int] = []
    gate = Gate("ask", ask=person, keep=lambda: kept.append(len(gate.answers)))
    tool = CATALOG["edit_file"]
    args = tool.parse({"path": "x", "old": "a", "new": "b"})
    await gate.check(tool, args, call, "call-1")
    (answer,) = await gate.remembered()
    assert (answer.scope, answer.call, answer.allowed) == ("session", ("edit_file",), False)
    assert await gate.forget(answer)
    assert kept == [1, 0]
    assert (await gate.check(tool, args, call, "call-1")).asked


async def test_what_cannot_be_taken_back_is_not_called_forgotten(call, person, file) -> None:
    person.kind = "allow_always"
    gate = gate_of(call, person, file)
    await run(gate, call, "make")
    (answer,) = await gate.remembered()
    file.chmod(0o400)
    if os.access(file, os.W_OK):  # root may write everything
        file.unlink()
        file.mkdir()
    assert not await gate.forget(answer)


async def test_a_later_answer_that_cannot_be_kept_still_wins_here(call, person, file) -> None:
    person.kind = "allow_always"
    gate = gate_of(call, person, file)
    await run(gate, call, "make")
    (key,) = Answers(file, call.workspace.root).recall()
    gate._not_kept[key] = False  # as after a write that failed
    assert not (await run(gate, call, "make")).allowed


@pytest.mark.parametrize(("moved", "done"), [(False, True), (True, False)])
async def test_a_session_that_goes_on_in_another_folder_was_allowed_nothing_there(
    tmp_path: Path, moved: bool, done: bool
) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    environ = {"HOME": str(tmp_path / "home")}
    first = Runtime(model="test", environ=environ)
    session = first.open_session(folders[0])
    session.attach(Recorder(), asker=Always("allow_always"))
    await session.prompt("write a.txt x")
    await first.aclose()
    second = Runtime(model="test", environ=environ)
    session = await second.load_session(session.id, cwd=folders[moved])
    await session.prompt("write b.txt x")
    await second.aclose()
    assert (folders[moved] / "b.txt").exists() == done
