"""run_command."""

from __future__ import annotations

import re

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.results import render
from punie.agent.tools.shell import CommandOutcome, RunCommand, run_command, seconds
from punie.agent.workspaces.local import LocalWorkspace


async def test_exit_code_and_output_are_told(use) -> None:
    result = await use("run_command", command="echo out; echo err >&2; exit 3")
    assert (result.ok, result.exit_code, result.details()) == (False, 3, "out\nerr")
    assert re.fullmatch(r"exit code 3 in \d\.\d\d? s", result.headline())


async def test_only_exit_code_0_is_ok(use) -> None:
    assert (await use("run_command", command="true")).ok


async def test_a_command_runs_in_the_named_folder(use, write) -> None:
    write("src/x.py", "")
    assert (await use("run_command", command="ls", cwd="src")).output == "x.py\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"command": " "}, "the command is empty"),
        ({"command": "ls", "cwd": "nowhere"}, "nowhere does not exist"),
        ({"command": "ls", "cwd": "pyproject.toml"}, "pyproject.toml is not a folder"),
        ({"command": "a\0b"}, ""),
    ],
)
async def test_what_cannot_run_says_why(use, arguments, error) -> None:
    result = await use("run_command", **arguments)
    assert (result.ok, result.error) == (False, error)


async def test_a_null_byte_in_the_command_is_said(use) -> None:
    result = await use("run_command", command="a\0b")
    assert (result.exit_code, result.output) == (126, "cannot start: embedded null byte")


async def test_a_command_that_takes_too_long_is_stopped(call) -> None:
    result = await run_command(call, RunCommand(command="echo began; sleep 300"), timeout=0.3)
    assert (result.ok, result.output) == (False, "began\n")
    assert render(result) == "error: the command did not end within 0.3 s and was stopped\nbegan"


async def test_a_command_ended_by_a_signal_says_which(use) -> None:
    result = await use("run_command", command="kill -KILL $$")
    assert result.headline().startswith("ended by signal 9 (SIGKILL) after ")


async def test_the_end_of_a_long_output_is_shown(use) -> None:
    result = await use("run_command", command="seq 1 20000")
    text = render(result)
    assert text.endswith("19999\n20000")
    assert len(text) < 8000
    assert re.search(r"\n\[\d+ characters left out\]\n", text)


async def test_dropped_output_is_said(use) -> None:
    result = await use("run_command", command="seq 1 1000000")
    assert result.details().endswith("[more output was dropped]")


async def test_output_arrives_while_the_command_runs(root) -> None:
    pieces: list[str] = []
    call = Call(LocalWorkspace(root), on_output=pieces.append)
    await run_command(call, RunCommand(command="echo hello"))
    assert pieces == ["hello\n"]


async def test_the_pager_never_waits(use, git) -> None:
    git("init")
    git("commit", "--allow-empty", "-m", "first")
    assert (await use("run_command", command="git -p log --format=%s")).output == "first\n"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.00 s"), (0.04, "0.04 s"), (0.84, "0.8 s"), (12.345, "12.3 s")]
)
def test_durations_have_the_digits_that_matter(value, text) -> None:
    assert seconds(value) == text


def test_an_unknown_signal_has_its_number() -> None:
    assert CommandOutcome(ok=False, exit_code=-250, seconds=1.0).headline() == (
        "ended by signal 250 after 1.0 s"
    )
