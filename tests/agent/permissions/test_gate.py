"""The gate: where calls reach, what is asked, what is remembered, and that no means no effect."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from punie.agent.permissions.gate import Gate, PermissionAnswer, PermissionAsk, Verdict
from punie.agent.permissions.policy import MODES, decide
from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG
from punie.agent.workspaces.local import LocalWorkspace


async def check(gate: Gate, call: Call, name: str, **arguments: Any) -> Verdict:
    tool = CATALOG[name]
    return await gate.check(tool, tool.parse(arguments), call, "call-1")


def edit(path: str = "x.py") -> dict[str, str]:
    return {"path": path, "old": "a", "new": "b"}


async def test_a_harmless_call_is_not_asked_about(call, person) -> None:
    verdict = await check(Gate("ask", ask=person), call, "read_file", path="x.py")
    assert verdict == Verdict(True, "mode ask allows it", False)
    assert person.questions == []


async def test_a_question_names_the_call_the_reason_and_one_option_of_each_kind(
    call, person
) -> None:
    verdict = await check(Gate("ask", ask=person), call, "edit_file", **edit("src/x.py"))
    assert verdict == Verdict(True, "allowed by the person", True)
    (ask,) = person.questions
    assert (ask.tool_call_id, ask.tool, ask.title, ask.reason) == (
        "call-1",
        "edit_file",
        "Edit src/x.py",
        "it can change files",
    )
    assert [(option.kind, option.name) for option in ask.options] == [
        ("allow_once", "Allow once"),
        ("allow_always", "Always allow edit_file in this session"),
        ("reject_once", "Reject once"),
        ("reject_always", "Always reject edit_file in this session"),
    ]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("reject_once", "rejected by the person"),
        ("reject_always", "rejected by the person"),
        ("cancelled", "the question was cancelled"),
        ("unanswerable", "it can change files, and nobody is there to allow it"),
    ],
)
async def test_everything_but_an_allowance_is_a_no(call, person, kind, reason) -> None:
    person.kind = kind
    verdict = await check(Gate("ask", ask=person), call, "edit_file", **edit())
    assert verdict == Verdict(False, reason, True)


async def test_when_nobody_can_answer_the_answer_is_no(call) -> None:
    verdict = await check(Gate("ask", ask=None), call, "run_command", command="ls")
    assert verdict == Verdict(False, "it can run commands, and nobody is there to allow it", False)


@pytest.mark.parametrize(
    "answer",
    [
        PermissionAnswer("allowed", "no-such-option"),
        PermissionAnswer("allowed", "reject_once"),
        PermissionAnswer("allowed", "reject_always"),
        PermissionAnswer("rejected", "allow_once"),
        PermissionAnswer("rejected", "allow_always"),
        PermissionAnswer("cancelled", "allow_always"),
        PermissionAnswer("unanswerable", "allow_always"),
    ],
)
async def test_an_answer_that_contradicts_itself_is_a_no_and_is_never_remembered_as_yes(
    call, answer
) -> None:
    async def confused(ask: PermissionAsk) -> PermissionAnswer:
        return answer

    gate = Gate("ask", ask=confused)
    assert not (await check(gate, call, "edit_file", **edit())).allowed
    assert not (await check(gate, call, "edit_file", **edit())).allowed


async def test_allowed_once_is_asked_again(call, person) -> None:
    gate = Gate("ask", ask=person)
    await check(gate, call, "edit_file", **edit())
    await check(gate, call, "edit_file", **edit())
    assert len(person.questions) == 2


async def test_always_covers_the_tool_and_nothing_else(call, person) -> None:
    person.kind = "allow_always"
    gate = Gate("ask", ask=person)
    await check(gate, call, "edit_file", **edit())
    person.kind = "reject_once"
    again = await check(gate, call, "edit_file", **edit("other.py"))
    other = await check(gate, call, "write_file", path="x.py", content="")
    assert again == Verdict(True, "edit_file was allowed for this session", False)
    assert not other.allowed


async def test_always_does_not_reach_outside_the_project(call, person) -> None:
    person.kind = "allow_always"
    gate = Gate("ask", ask=person)
    await check(gate, call, "edit_file", **edit())
    await check(gate, call, "edit_file", **edit("../x.py"))
    await check(gate, call, "edit_file", **edit("../y.py"))
    await check(gate, call, "edit_file", **edit("../x.py"))
    assert [ask.title for ask in person.questions] == [
        "Edit x.py",
        "Edit ../x.py",
        "Edit ../y.py",
    ]
    outside = call.workspace.root.parent / "x.py"
    assert person.questions[1].reason == "it reaches outside the project"
    name = person.questions[1].options[1].name
    assert name.startswith(f"Always allow edit_file of {str(outside)[:20]}")
    assert name.endswith("/x.py in this session")


async def test_always_covers_one_command_in_one_folder_word_by_word(call, person) -> None:
    (call.workspace.root / "sub").mkdir()
    person.kind = "allow_always"
    gate = Gate("ask", ask=person)
    await check(gate, call, "run_command", command="uv sync")
    await check(gate, call, "run_command", command="uv sync", cwd=".")
    await check(gate, call, "run_command", command="uv  sync")
    await check(gate, call, "run_command", command="uv sync", cwd="sub")
    assert [ask.options[1].name for ask in person.questions] == [
        "Always allow `uv sync` in this session",
        "Always allow `uv sync` in this session",
        "Always allow `uv sync` in sub in this session",
    ]


async def test_always_rejected_is_not_asked_again(call, person) -> None:
    person.kind = "reject_always"
    gate = Gate("ask", ask=person)
    await check(gate, call, "edit_file", **edit())
    person.kind = "allow_once"
    again = await check(gate, call, "edit_file", **edit())
    outside = await check(gate, call, "edit_file", **edit("../x.py"))
    assert again == Verdict(False, "edit_file was rejected for this session", False)
    assert not outside.allowed
    assert len(person.questions) == 1


async def test_a_rejection_holds_when_the_mode_becomes_more_permissive_except_in_bypass(
    call, person
) -> None:
    person.kind = "reject_always"
    gate = Gate("ask", ask=person)
    await check(gate, call, "edit_file", **edit())
    gate.mode = "edit"
    assert not (await check(gate, call, "edit_file", **edit())).allowed
    gate.mode = "bypass"
    assert (await check(gate, call, "edit_file", **edit())).allowed


async def test_an_allowance_ends_where_the_mode_denies(call, person) -> None:
    person.kind = "allow_always"
    gate = Gate("ask", ask=person)
    await check(gate, call, "edit_file", **edit())
    gate.mode = "plan"
    verdict = await check(gate, call, "edit_file", **edit())
    assert verdict == Verdict(False, "mode plan does not allow a call that can change files", False)


async def test_a_mode_that_denies_meanwhile_wins_over_the_answer(call) -> None:
    async def ask(question: PermissionAsk) -> PermissionAnswer:
        gate.mode = "read-only"
        return PermissionAnswer("allowed", "allow_once")

    gate = Gate("ask", ask=ask)
    verdict = await check(gate, call, "edit_file", **edit())
    assert (verdict.allowed, verdict.asked) == (False, True)


async def test_questions_come_one_at_a_time_and_an_always_settles_the_next(call) -> None:
    open_questions = 0
    asked: list[str] = []
    began, answer = asyncio.Event(), asyncio.Event()

    async def ask(question: PermissionAsk) -> PermissionAnswer:
        nonlocal open_questions
        open_questions += 1
        assert open_questions == 1
        asked.append(question.title)
        began.set()
        await answer.wait()
        open_questions -= 1
        return PermissionAnswer("allowed", "allow_always")

    gate = Gate("ask", ask=ask)
    both = asyncio.gather(
        check(gate, call, "edit_file", **edit("a.py")),
        check(gate, call, "edit_file", **edit("b.py")),
    )
    await began.wait()
    answer.set()
    assert [verdict.asked for verdict in await both] == [True, False]
    assert asked == ["Edit a.py"]


async def test_a_cancelled_question_leaves_the_gate_usable(call, person) -> None:
    never = asyncio.Event()
    began = asyncio.Event()

    async def ask(question: PermissionAsk) -> PermissionAnswer:
        if not began.is_set():
            began.set()
            await never.wait()
        return await person(question)

    gate = Gate("ask", ask=ask)
    waiting = asyncio.ensure_future(check(gate, call, "edit_file", **edit()))
    await began.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await check(gate, call, "edit_file", **edit())).allowed


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read_file", {"path": "../x"}),
        ("read_file", {"path": "/etc/hosts"}),
        ("read_file", {"path": "link/x"}),
        ("read_file", {"path": "link"}),
        ("list_files", {"path": "a/../.."}),
        ("search", {"query": "x", "path": "link"}),
        ("edit_file", {"path": "link/x", "old": "a", "new": "b"}),
        ("write_file", {"path": "link/new", "content": ""}),
        ("run_command", {"command": "ls", "cwd": "link"}),
        ("run_tests", {"path": "test_link.py::test_a"}),
        ("run_tests", {"path": "../test_x.py::test_a"}),
        ("lint", {"path": "link"}),
        ("typecheck", {"path": ".."}),
        ("git_diff", {"path": "link"}),
    ],
)
async def test_what_leads_outside_is_seen_through_links_and_dots(
    call, person, name, arguments
) -> None:
    root = call.workspace.root
    (root.parent / "test_target.py").write_text("")
    (root / "link").symlink_to(root.parent)
    (root / "test_link.py").symlink_to(root.parent / "test_target.py")
    person.kind = "reject_once"
    verdict = await check(Gate("ask", ask=person), call, name, **arguments)
    assert verdict == Verdict(False, "rejected by the person", True)
    assert person.questions[0].reason == "it reaches outside the project"


async def test_a_long_command_is_shortened_in_the_option(call, person) -> None:
    await check(Gate("ask", ask=person), call, "run_command", command="echo\n" + "x" * 500)
    name = person.questions[0].options[1].name
    assert name == f"Always allow `echo {'x' * 25}…{'x' * 29}` in this session"


# Property: whatever is not allowed has no effect. Calls that would change something if they ran.

HARMFUL = st.sampled_from([
    ("edit_file", {"path": "x.txt", "old": "one", "new": "1"}),
    ("edit_file", {"path": "../outside.txt", "old": "one", "new": "1"}),
    ("write_file", {"path": "new/file.txt", "content": "x"}),
    ("write_file", {"path": "link.txt", "content": "x"}),
    ("write_file", {"path": "../outside.txt", "content": "x"}),
    ("run_command", {"command": "touch made; rm -f x.txt"}),
    ("run_command", {"command": "touch made", "cwd": ".."}),
    ("run_tests", {"path": "test_touch.py"}),
])
ANSWERS = st.sampled_from([
    PermissionAnswer("allowed", "allow_once"),
    PermissionAnswer("allowed", "allow_always"),
    PermissionAnswer("rejected", "reject_once"),
    PermissionAnswer("rejected", "reject_always"),
    PermissionAnswer("rejected", None),
    PermissionAnswer("cancelled", None),
    PermissionAnswer("unanswerable", None),
    None,  # nobody can be asked at all
])


def tree(folder: Path) -> dict[str, object]:
    """Everything in a folder: names, kinds, modes, times and bytes."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found[str(path)] = (about.st_mode, about.st_mtime_ns, content)
    return found


def make_project(folder: Path) -> LocalWorkspace:
    root = folder / "project"
    root.mkdir()
    (folder / "outside.txt").write_text("one")
    (root / "x.txt").write_text("one")
    (root / "link.txt").symlink_to(folder / "outside.txt")
    (root / "test_touch.py").write_text(
        "from pathlib import Path\ndef test_a(): Path(__file__).with_name('made').touch()\n"
    )
    return LocalWorkspace(root)


async def execute(call: Call, gate: Gate, name: str, arguments: dict[str, str]) -> Verdict:
    """Show, check, run: as the turn layer does."""
    tool = CATALOG[name]
    args = tool.parse(arguments)
    if tool.preview is not None:
        await tool.preview(call, args)
    verdict = await gate.check(tool, args, call, "call-1")
    if verdict.allowed:
        await tool.run(call, args)
    return verdict


@given(mode=st.sampled_from(MODES), harmful=HARMFUL, answer=ANSWERS)
@settings(max_examples=40, deadline=None)
def test_what_is_denied_rejected_cancelled_or_unanswered_has_no_effect(
    mode, harmful, answer
) -> None:
    asked: list[PermissionAsk] = []

    async def ask(question: PermissionAsk) -> PermissionAnswer:
        asked.append(question)
        assert answer is not None
        return answer

    name, arguments = harmful
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_project(Path(folder))
        before = tree(Path(folder))
        gate = Gate(mode, ask=None if answer is None else ask)
        verdict = asyncio.run(execute(Call(workspace), gate, name, arguments))
        after = tree(Path(folder))
    if not verdict.allowed:
        assert after == before
    else:
        assert after != before, "the call would have had no effect anyway: it proves nothing"
    said_yes = bool(asked) and answer is not None and answer.outcome == "allowed"
    outside = "outside" in str(arguments) or "link" in str(arguments) or "cwd" in arguments
    decision = decide(mode, CATALOG[name].risk, outside=outside)
    assert verdict.allowed == (decision.verdict == "allow" or said_yes)
    assert bool(asked) == (decision.verdict == "ask" and answer is not None)


@given(
    mode=st.sampled_from([mode for mode in MODES if mode != "bypass"]),
    parts=st.lists(st.sampled_from(["..", ".", "out", "sub", "x", "/", "~"]), max_size=6),
    name=st.sampled_from([name for name, tool in CATALOG.items() if tool.path_arguments]),
)
@settings(max_examples=150, deadline=None)
def test_no_call_leaves_the_project_unasked(mode, parts, name) -> None:
    """Compares with what the operating system says about the path."""
    tool = CATALOG[name]
    (argument,) = tool.path_arguments
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "project")
        (root / "sub").mkdir(parents=True)
        (root / "out").symlink_to(folder)
        path = "/".join(parts)
        example = {
            field: [] if schema["type"] == "array" else "x"
            for field, schema in tool.schema["properties"].items()
            if schema["type"] != "integer"
        }
        args = tool.parse({**example, argument: path})
        call = Call(LocalWorkspace(root))
        verdict = asyncio.run(Gate(mode, ask=None).check(tool, args, call, "call-1"))
        leads_to = os.path.realpath(f"{root}/{path}" if not path.startswith("/") else path)
        inside = os.path.commonpath([leads_to, os.path.realpath(root)]) == os.path.realpath(root)
    assert inside or not verdict.allowed
