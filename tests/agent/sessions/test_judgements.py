"""What a person made of an agent's calls is in the trace: who decided, what was changed, what was corrected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.agent.runtime import Runtime
from punie.agent.sessions.judgements import Edit, corrected, digest
from punie.agent.testing import Answers, Recorder
from punie.agent.tools.replace import Edited, replace_once

Act = Callable[[Path], object]


def nothing(_project: Path) -> None:
    """Leave all as it is."""


async def traced(
    tmp_path: Path, *steps: tuple[str, Act], answer: str = "allow_once", mode: Any = "ask"
) -> list[dict[str, Any]]:
    """Give prompts to a session, with what the person does after each, and read its trace."""
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    project.mkdir(parents=True)
    (project / "a.txt").write_text("one\ntwo\n")
    (home / ".config" / "punie").mkdir(parents=True)
    (home / ".config" / "punie" / "config.toml").write_text("traces = true")
    runtime = Runtime(model="test", environ={"HOME": str(home)})
    session = runtime.open_session(project, session_id="s", mode=mode)
    session.attach(Recorder(), asker=Answers(answer))
    for prompt, act in steps:
        if prompt == "/undo":
            await session.undo()
        else:
            await session.prompt(prompt)
        act(project)
    await runtime.aclose()
    trace = home / ".local" / "state" / "punie" / "traces" / "s.jsonl"
    return [msgspec.json.decode(line) for line in trace.read_bytes().splitlines()]


async def test_the_trace_says_who_decided_about_each_call(tmp_path: Path) -> None:
    lines = await traced(tmp_path, ("read a.txt", nothing), ("write b.txt x", nothing))
    assert [line["calls"][0]["decided_by"] for line in lines] == ["rules", "person"]
    assert [line["calls"][0]["message"] for line in lines] == [1, 1]


async def test_a_refused_call_is_told_from_one_that_nobody_could_allow(tmp_path: Path) -> None:
    (refused,) = await traced(tmp_path, ("write b.txt x", nothing), answer="reject_once")
    assert (refused["calls"][0]["status"], refused["calls"][0]["decided_by"]) == (
        "denied",
        "person",
    )


async def test_what_a_call_changed_is_there_as_hashes(tmp_path: Path) -> None:
    (line,) = await traced(tmp_path, ("write a.txt new", nothing))
    (changed,) = line["calls"][0]["changed"]
    assert changed["path"].endswith("a.txt")
    assert (changed["before"], changed["after"]) == (digest("one\ntwo\n"), digest("new"))


def rewrites(text: str) -> Act:
    return lambda project: (project / "b.txt").write_text(text)


async def test_what_a_person_made_of_an_edit_is_a_line_of_its_own(tmp_path: Path) -> None:
    turn, correction, _ = await traced(
        tmp_path, ("write b.txt new", rewrites("better\n")), ("hello", nothing)
    )
    assert correction["type"] == "Correction"
    assert (correction["of"], correction["message"]) == (turn["id"], 1)
    assert correction["arguments"] == {"path": "b.txt", "content": "better\n"}
    assert correction["after"] == digest("better\n")


async def test_a_correction_before_the_end_of_the_session_is_seen(tmp_path: Path) -> None:
    _, correction = await traced(tmp_path, ("write b.txt new", rewrites("token=abcdefgh12")))
    assert correction["arguments"]["content"] == "token=[redacted]"


async def test_what_was_left_as_it_is_makes_no_line(tmp_path: Path) -> None:
    assert len(await traced(tmp_path, ("write b.txt new", nothing), ("hello", nothing))) == 2


@pytest.mark.parametrize("undo", ["/undo", "by hand"])
async def test_an_edit_that_was_undone_is_said_to_be(tmp_path: Path, undo: str) -> None:
    def deletes(project: Path) -> None:
        (project / "b.txt").unlink()

    steps = [("write b.txt new", nothing), ("/undo", nothing)]
    if undo == "by hand":
        steps = [("write b.txt new", deletes)]
    _, correction = await traced(tmp_path, *steps)
    assert correction["verdict"] == "undone"
    assert "arguments" not in correction


BEFORE = "def wait():\n    timeout = 5\n    return timeout\n\n\ndef go():\n    return 1\n"


@pytest.mark.parametrize(
    "wanted",
    [
        BEFORE.replace("= 5", "= 15"),
        BEFORE.replace("    timeout = 5\n", ""),
        BEFORE.replace("wait", "pause"),
        "x = 1\n",
    ],
)
def test_the_corrected_call_makes_what_the_person_made(wanted: str) -> None:
    edit = Edit(
        tool_call_id="1",
        tool="edit_file",
        arguments={"path": "a.py", "old": "    timeout = 5\n", "new": "    timeout = 10\n"},
        path="/a.py",
        before=BEFORE,
        after=BEFORE.replace("= 5", "= 10"),
    )
    arguments = corrected(edit, wanted)
    assert arguments is not None
    done = replace_once(BEFORE, arguments["old"], arguments["new"])
    assert isinstance(done, Edited)
    assert done.text == wanted


class Edits:
    """One edit, on disk."""

    def __init__(self, folder: Path, *, more: str = "") -> None:
        from punie.agent.events import DiffContent, ToolCallUpdate
        from punie.agent.sessions.judgements import Judgements

        self.file = folder / "a.py"
        before = BEFORE + more
        after = before.replace("= 5", "= 10")
        self.file.write_text(after)
        self.judgements = Judgements()
        diff = DiffContent(path=str(self.file), old_text=before, new_text=after)
        arguments = {"path": "a.py", "old": "    timeout = 5\n", "new": "    timeout = 10\n"}
        self.judgements.see(
            ToolCallUpdate(tool_call_id="1", name="edit_file", raw_input=arguments, content=(diff,))
        )
        self.judgements.see(ToolCallUpdate(tool_call_id="1", status="completed"))
        self.judgements.end_turn()


def test_work_elsewhere_in_the_file_is_no_correction(tmp_path: Path) -> None:
    edits = Edits(tmp_path)
    edits.file.write_text(edits.file.read_text() + "\n\ndef more():\n    return 2\n")
    assert edits.judgements.corrections() == []


def test_a_correction_leaves_out_work_elsewhere_in_the_file(tmp_path: Path) -> None:
    edits = Edits(tmp_path)
    edits.file.write_text(BEFORE.replace("= 5", "= 15") + "\n\ndef more():\n    return 2\n")
    (one,) = edits.judgements.corrections()
    assert one.arguments == {
        "path": "a.py",
        "old": "    timeout = 5\n",
        "new": "    timeout = 15\n",
    }
    assert edits.judgements.corrections() == []


def test_a_file_that_is_full_of_equal_lines_is_not_compared(tmp_path: Path) -> None:
    corrected = BEFORE.replace("= 5", "= 15")
    for lines, found in ((10, 1), (1_500, 0)):  # the pairs of equal lines are what it costs
        edits = Edits(tmp_path, more="0\n" * lines)
        edits.file.write_text(corrected + "0\n" * lines)
        assert len(edits.judgements.corrections()) == found
