"""Checks of changes in turns: after an edit, before the end, and with a project's own rules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelRequest, ToolReturnPart, UserPromptPart

from punie.agent.config import CheckSettings, Permissions
from punie.agent.events import Notice, ToolCallUpdate
from punie.agent.permissions.gate import Standing
from punie.agent.permissions.remembered import Answers as Remembered
from punie.agent.permissions.rules import parse_rules
from punie.agent.policies.base import Change, Finding, policy, subtract
from punie.agent.policies.builtin import affected_tests, syntax
from punie.agent.policies.checks import Checks
from punie.agent.policies.load import Loaded, load_installed
from punie.agent.policies.project import find_own
from punie.agent.sessions.session import Session
from punie.agent.testing import Answers, Call, Recorder, Requests, brain_opener
from punie.agent.tools.base import Call as ToolCall
from punie.agent.workspaces.local import LocalWorkspace

OWN = """\
from punie.agent.policies import Change, Finding, policy


@policy("no-print")
def no_print(change: Change):
    for node in change.calls("print"):
        yield Finding(line=node.lineno, message="print is left over", suggestion="log it")
"""


def write(path: str, content: str) -> Call:
    return Call("write_file", {"path": path, "content": content})


def put(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def told(requests: Requests) -> list[str]:
    """What the model read: results of tools and prompts, in order."""
    texts: list[str] = []
    for message in requests[-1][0]:
        if isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, ToolReturnPart):
                    texts.append(part.model_response_str())
                elif isinstance(part, UserPromptPart):
                    texts.append(str(part.content))
    return texts


async def test_the_model_reads_what_an_edit_broke_below_its_result(
    play: Callable[..., Any],
) -> None:
    broken, mended = write("a.py", "def f(:\n"), write("a.py", "def f(): ...\n")
    scene = play([[broken], [mended], ["done"]], mode="edit")
    outcome = await scene.session.prompt("write f")
    assert outcome.text == "done"
    assert told(scene.requests)[1:] == [
        "a.py created, 1 line\nchecks found:\na.py:1: syntax invalid syntax",
        "a.py replaced, 1 line",
    ]


async def test_a_turn_that_would_end_broken_goes_back_to_the_model(
    play: Callable[..., Any],
) -> None:
    broken, mended = write("a.py", "def f(:\n"), write("a.py", "def f(): ...\n")
    scene = play([[broken], ["all done!"], [mended], ["mended"]], mode="edit")
    outcome = await scene.session.prompt("write f")
    assert (outcome.stop_reason, outcome.text) == ("end_turn", "mended")
    assert outcome.usage.requests == 4
    assert told(scene.requests)[2] == (
        "Before you end: what you changed does not pass these checks. Mend it, or say why it must "
        "stay.\na.py:1: syntax invalid syntax"
    )
    assert scene.heard.of(Notice) == []


async def test_after_the_last_round_the_person_is_told(play: Callable[..., Any]) -> None:
    script = [[write("a.py", "def f(:\n")], ["done"], ["really done"], ["cannot be mended"]]
    scene = play(script, mode="edit")
    outcome = await scene.session.prompt("write f")
    assert outcome.text == "cannot be mended"
    (notice,) = scene.heard.of(Notice)
    assert notice.title == "Ended with 1 finding that the model did not mend"
    assert notice.description == "a.py:1: syntax invalid syntax"


async def test_the_checks_before_the_end_are_shown(play: Callable[..., Any]) -> None:
    scene = play([[write("a.py", "x = 1\n")], ["done"]], mode="edit")
    await scene.session.prompt("write x")
    shown = [update for update in scene.heard.of(ToolCallUpdate) if update.name == "checks"]
    assert [update.title for update in shown] == ["Check 1 changed file"]
    assert scene.heard.statuses[-2:] == ["in_progress", "completed"]


async def test_a_turn_that_changed_no_code_is_not_checked(play: Callable[..., Any]) -> None:
    scene = play([[write("a.txt", "x")], ["done"]], mode="edit")
    await scene.session.prompt("write x")
    assert [update for update in scene.heard.of(ToolCallUpdate) if update.name == "checks"] == []


async def test_lint_counts_where_the_project_uses_ruff_and_only_what_is_new(
    play: Callable[..., Any],
) -> None:
    script = [
        [write("a.py", "import os\nimport sys\n")],
        ["done"],
        [write("a.py", "import os\n")],
        ["done"],
    ]
    scene = play(script, mode="edit")
    put(scene.root, "pyproject.toml", '[tool.ruff.lint]\nselect = ["F"]\n')
    put(scene.root, "a.py", "import os\n")
    outcome = await scene.session.prompt("import sys")
    assert outcome.stop_reason == "end_turn"
    assert told(scene.requests)[2].splitlines()[1:] == [
        "a.py:2: ruff/F401 `sys` imported but unused"
    ]


async def test_types_count_where_the_project_checks_them(play: Callable[..., Any]) -> None:
    script = [
        [write("a.py", "x: int = 1\ny: int = 'a'\n")],
        ["done"],
        [write("a.py", "x: int = 1\ny: int = 2\n")],
        ["done"],
    ]
    scene = play(script, mode="edit")
    put(scene.root, "pyproject.toml", "[tool.ty]\n")
    await scene.session.prompt("set y")
    (line,) = told(scene.requests)[2].splitlines()[1:]
    assert line.startswith("a.py:2: types/invalid-assignment ")


async def test_the_tests_of_what_was_changed_are_run(play: Callable[..., Any]) -> None:
    wrong, right = "def double(x): return x\n", "def double(x): return 2 * x\n"
    scene = play(
        [[write("maths.py", wrong)], ["done"], [write("maths.py", right)], ["done"]], mode="edit"
    )
    put(scene.root, "test_maths.py", "import maths\ndef test_a(): assert maths.double(2) == 4\n")
    put(scene.root, "test_other.py", "def test_b(): assert False\n")
    outcome = await scene.session.prompt("write double")
    assert outcome.text == "done"
    again = told(scene.requests)[2]
    assert "test_maths.py:1: tests " in again
    assert "assert 2 == 4" in again
    assert "test_other" not in again
    assert scene.heard.of(Notice) == []


async def test_no_tests_are_run_that_a_rule_denies(tmp_path: Path) -> None:
    """What the model may not run by a call is not run by ending its turn either."""
    rules = parse_rules(Permissions(deny=("run_tests(tests/**)",)))
    session = Session(
        "s",
        workspace=LocalWorkspace(tmp_path),
        mode="edit",
        open_brain=brain_opener([[write("maths.py", "x = 1\n")], ["done"]]),
        standing=Standing(rules=rules),
    )
    session.attach(Recorder())
    put(tmp_path, "tests/test_maths.py", "open('denied', 'w')\ndef test_a(): ...\n")
    put(tmp_path, "test_maths.py", "open('allowed', 'w')\ndef test_a(): ...\n")
    await session.prompt("write")
    await session.aclose()
    assert (tmp_path / "allowed").exists()
    assert not (tmp_path / "denied").exists()


def test_affected_tests_are_found_by_name_and_by_import(tmp_path: Path) -> None:
    put(tmp_path, "src/pkg/mod.py", "")
    put(tmp_path, "tests/test_mod.py", "")
    put(tmp_path, "tests/test_a.py", "from pkg.mod import f\n")
    put(tmp_path, "tests/test_b.py", "from pkg import mod\n")
    put(tmp_path, "tests/test_c.py", "import pkg.module\nfrom pkg import other\n")
    change = Change(path="src/pkg/mod.py", old="", new="x = 1\n")
    assert affected_tests(tmp_path, [change]) == [
        "tests/test_a.py",
        "tests/test_b.py",
        "tests/test_mod.py",
    ]
    assert affected_tests(tmp_path, [Change(path="a.md", old=None, new="")]) == []


async def test_the_projects_own_rules_run_only_when_somebody_trusts_them(
    play: Callable[..., Any],
) -> None:
    scene = play([[write("a.py", "print(1)\n")], ["done"]], mode="edit")
    put(scene.root, ".punie/policies/own.py", OWN + "open('ran', 'w')\n")
    await scene.session.prompt("print")
    assert not (scene.root / "ran").exists()
    assert told(scene.requests)[-1] == "a.py created, 1 line"


async def test_trusted_rules_find_what_they_are_for(play: Callable[..., Any]) -> None:
    script = [[write("a.py", "print(1)\n")], [write("a.py", "x = 1\n")], ["done"]]
    person = Answers("allow_once")
    scene = play(script, mode="edit", person=person)
    put(scene.root, ".punie/policies/own.py", OWN)
    await scene.session.prompt("print")
    assert told(scene.requests)[1] == (
        "a.py created, 1 line\nchecks found:\na.py:1: no-print print is left over; log it"
    )
    assert [ask.title for ask in person.asked] == [
        "Run this project's own checks, .punie/policies: own.py"
    ]


async def test_rules_that_changed_are_another_question(play: Callable[..., Any]) -> None:
    """Else a model that may edit files could have its own code run."""
    more = write(".punie/policies/own.py", OWN + "\nx = 1\n")
    person = Answers("allow_once")
    scene = play([[write("a.py", "x = 1\n")], [more], ["done"]], mode="edit", person=person)
    put(scene.root, ".punie/policies/own.py", OWN)
    await scene.session.prompt("write")
    assert len(person.asked) == 2


async def test_rules_that_change_while_the_person_thinks_are_not_run(tmp_path: Path) -> None:
    put(tmp_path, ".punie/policies/own.py", OWN)
    call = ToolCall(LocalWorkspace(tmp_path))
    change = Change(path="a.py", old=None, new="x = 1\n")

    async def trust_too_late(_own: object) -> bool:
        put(tmp_path, ".punie/policies/own.py", OWN + "open('ran', 'w')\n")
        return True

    assert await Checks().after_edit(call, [change], trust_too_late) == []
    assert not (tmp_path / "ran").exists()


async def test_trust_that_was_given_for_good_is_remembered_for_exactly_these_files(
    tmp_path: Path,
) -> None:
    root, file = tmp_path / "project", tmp_path / "permissions.jsonl"
    put(root, ".punie/policies/own.py", OWN)
    people = [Answers("allow_always"), Answers("reject_once"), Answers("reject_once")]
    for number, person in enumerate(people):
        if number == 2:
            put(root, ".punie/policies/own.py", OWN + "\n")
        session = Session(
            "s",
            workspace=LocalWorkspace(root),
            mode="edit",
            open_brain=brain_opener([[write("a.txt", f"{number}")], ["done"]]),
            standing=Standing(answers=Remembered(file, root)),
        )
        session.attach(Recorder(), asker=person)
        await session.prompt("write")
        await session.aclose()
    assert [len(person.asked) for person in people] == [1, 0, 1]
    name = people[0].asked[0].options[1].name
    assert name.startswith("Always allow `Run this project's own checks")
    assert name.endswith(" in this project")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("x = 1", "it holds no policy"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError: "),
        ("import os; os._exit(3)", "ended early: "),
    ],
)
async def test_a_broken_rule_is_told_once_and_takes_nothing_down(
    play: Callable[..., Any], code: str, reason: str
) -> None:
    script = [[write("a.py", "print(1)\n")], [write("a.py", "x = 1\n")], ["done"]]
    scene = play(script, mode="edit", person=Answers("allow_once"))
    put(scene.root, ".punie/policies/bad.py", code)
    put(scene.root, ".punie/policies/own.py", OWN)
    outcome = await scene.session.prompt("print")
    assert outcome.stop_reason == "end_turn"
    (notice,) = scene.heard.of(Notice)
    assert notice.title.startswith("The check ")
    assert notice.description.startswith(reason)
    if "_exit" not in code:
        assert "no-print" in told(scene.requests)[1]


async def test_a_rule_that_hangs_is_stopped(
    play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("punie.agent.policies.project.TIMEOUT", 1.0)
    settings = [[write("a.py", "x = 1\n")], ["done"]]
    scene = play(settings, mode="edit", person=Answers("allow_once"))
    put(scene.root, ".punie/policies/own.py", "while True: pass\n")
    outcome = await scene.session.prompt("write")
    assert outcome.stop_reason == "end_turn"
    assert scene.heard.of(Notice)[0].description == "did not end within 1 s"


async def test_what_a_rule_prints_is_not_its_report(play: Callable[..., Any]) -> None:
    scene = play(
        [[write("a.py", "print(1)\n")], ["done"], ["done"], ["done"]],
        mode="edit",
        person=Answers("allow_once"),
    )
    put(scene.root, ".punie/policies/own.py", "print('{}')\n" + OWN)
    await scene.session.prompt("print")
    assert "no-print" in told(scene.requests)[1]


def test_a_linked_policy_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere.py", OWN)
    (tmp_path / "p/.punie/policies").mkdir(parents=True)
    (tmp_path / "p/.punie/policies/own.py").symlink_to(tmp_path / "elsewhere.py")
    assert find_own(tmp_path / "p") is None


async def nobody(_own: object) -> bool:
    return False


async def test_a_broken_installed_policy_is_listed_with_its_reason(tmp_path: Path) -> None:
    points = [
        EntryPoint("gone", "no_such_module", "punie.policies"),
        EntryPoint("empty", "json", "punie.policies"),
        EntryPoint("pytest", "punie.agent.policies.packs.pytest", "punie.policies"),
    ]
    loaded = load_installed(points)
    assert loaded.broken == {
        "gone": "ModuleNotFoundError: No module named 'no_such_module'",
        "empty": "it holds no policy",
    }
    assert "pytest/skipped" in {one.name for one in loaded.policies}


async def test_an_installed_policy_that_raises_leaves_the_others_at_work(tmp_path: Path) -> None:
    @policy("bad")
    def bad(change: Change) -> list[Finding]:
        raise ZeroDivisionError("oh")

    @policy("good")
    def good(change: Change) -> list[Finding]:
        return [Finding(line=1, message="seen")]

    checks = Checks(loaded=Loaded((bad, good), {}))
    call = ToolCall(LocalWorkspace(tmp_path))
    change = Change(path="a.py", old=None, new="x = 1\n")
    found = await checks.after_edit(call, [change], nobody)
    assert [one.rule for one in found] == ["good"]
    assert checks.broken == {"bad": "ZeroDivisionError: oh"}


async def test_a_rule_can_be_switched_off(tmp_path: Path) -> None:
    settings = CheckSettings(off=("pytest/*",))
    call = ToolCall(LocalWorkspace(tmp_path))
    change = Change(path="test_a.py", old=None, new="def test_a():\n    assert True\n")
    assert await Checks(settings).after_edit(call, [change], nobody) == []
    assert len(await Checks().after_edit(call, [change], nobody)) == 1


async def test_syntax_that_only_the_projects_python_knows_is_accepted(tmp_path: Path) -> None:
    """A stand-in for a newer Python: it accepts everything."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").write_text("#!/bin/sh\ncat > /dev/null\nexit 0\n")
    (programs / "python").chmod(0o755)
    newer = ToolCall(LocalWorkspace(tmp_path, programs=[programs]))
    own = ToolCall(LocalWorkspace(tmp_path, programs=[Path(sys.executable).parent]))
    change = Change(path="a.py", old=None, new="type type = type type\n")
    assert await syntax(newer, change) == []
    assert len(await syntax(own, change)) == 1
    template = Change(path="a.py", old=None, new='x = t"<b>{name}</b>"\n')
    assert await syntax(own, template) == []


def test_a_finding_is_new_when_it_stands_once_more_than_before() -> None:
    def at(*lines: int) -> list[Finding]:
        return [Finding(line=line, message="m", rule="r") for line in lines]

    assert subtract(at(1, 2), "a\na\n", at(1), "a\n") == at(2)
    assert subtract(at(3), "x\ny\na\n", at(1), "a\n") == []
    assert subtract(at(1), "b\n", at(1), "a\n") == at(1)


def test_the_settings_of_checks_are_read(tmp_path: Path) -> None:
    from punie.agent.config import load

    put(tmp_path, "pyproject.toml", '[tool.punie.checks]\nrounds = 0\noff = ["tests"]\n')
    settings = load(tmp_path, {"HOME": str(tmp_path)}).checks
    assert settings == CheckSettings(rounds=0, off=("tests",))
