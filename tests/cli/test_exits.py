"""Every way a command can end, as an exit code and one sentence on stderr."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest

from punie.cli.exits import exit_code_of

RunPunie = Callable[..., CompletedProcess[str]]
Plug = Callable[..., None]

FAIL = """
    import click

    class Refused(Exception):
        exit_code = 4

    @click.command()
    @click.argument("how")
    @click.option("--count", type=int)
    def fail(how, count):
        "End in many ways."
        match how:
            case "refused":
                raise Refused("nobody could give permission")
            case "group":
                raise ExceptionGroup("two", [ValueError("x"), Refused("in a task")])
            case "exit":
                click.get_current_context().exit(3)
            case "returns":
                return 9
            case "bug":
                raise RuntimeError("the unexpected")
            case "interrupt":
                raise KeyboardInterrupt
            case "abort":
                raise click.Abort
"""


@pytest.fixture
def fail(run_punie: RunPunie, plug: Plug) -> RunPunie:
    plug("failing", "failing_module", FAIL, fail="failing_module:fail")

    def run(*arguments: str, **environment: str) -> CompletedProcess[str]:
        return run_punie("fail", *arguments, **environment)

    return run


def test_an_error_with_an_exit_code_is_one_sentence(fail: RunPunie) -> None:
    run = fail("refused")
    assert (run.stdout, run.stderr) == ("", "punie: nobody could give permission\n")
    assert run.returncode == 4


def test_an_error_inside_a_task_group_keeps_its_code(fail: RunPunie) -> None:
    run = fail("group")
    assert (run.stderr, run.returncode) == ("punie: in a task\n", 4)


def test_a_command_may_exit_with_a_code_of_its_own(fail: RunPunie) -> None:
    run = fail("exit")
    assert (run.stderr, run.returncode) == ("", 3)


def test_what_a_command_returns_is_no_exit_code(fail: RunPunie) -> None:
    assert fail("returns").returncode == 0


def test_an_interrupt_exits_130(fail: RunPunie) -> None:
    run = fail("interrupt")
    assert run.stderr.endswith("punie: cancelled\n")
    assert run.returncode == 130


def test_an_aborted_question_exits_130(fail: RunPunie) -> None:
    assert fail("abort").returncode == 130


def test_a_wrong_option_is_a_usage_error_with_a_hint(fail: RunPunie) -> None:
    run = fail("refused", "--count", "many")
    assert run.returncode == 2
    assert run.stderr == (
        "punie: Invalid value for '--count': 'many' is not a valid integer.\n"
        "Try `punie fail --help`.\n"
    )


def test_an_unknown_command_is_a_usage_error(run_punie: RunPunie) -> None:
    run = run_punie("no-such-command")
    assert run.returncode == 2
    assert run.stderr.startswith("punie: No such command 'no-such-command'.")


def test_a_bug_exits_1_and_its_traceback_goes_to_a_file(fail: RunPunie, state: Path) -> None:
    run = fail("bug")
    (kept,) = (state / "punie" / "logs").glob("crash-*.log")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert run.returncode == 1
    assert run.stderr == (
        f"punie: RuntimeError: the unexpected (a bug; the traceback is in {kept}, "
        "PUNIE_DEBUG=1 shows it)\n"
    )
    assert "Traceback (most recent call last)" in kept.read_text()


def test_debugging_shows_the_traceback_of_a_bug(fail: RunPunie, state: Path) -> None:
    run = fail("bug", PUNIE_DEBUG="1")
    assert run.returncode == 1
    assert "Traceback (most recent call last)" in run.stderr
    assert not state.exists()


def test_a_bug_on_a_machine_without_a_state_folder_shows_its_traceback(
    fail: RunPunie, state: Path
) -> None:
    state.write_text("a file where the folder should be")
    run = fail("bug")
    assert run.returncode == 1
    assert "the traceback could not be kept" in run.stderr
    assert "Traceback (most recent call last)" in run.stderr


def test_ctrl_c_during_a_command_exits_130(plug: Plug, site: Path) -> None:
    source = """
        import sys, threading, click

        @click.command()
        def wait():
            print("ready", flush=True)
            threading.Event().wait()
    """
    plug("waiting", "waiting_module", source, wait="waiting_module:wait")
    process = subprocess.Popen(
        [sys.executable, "-m", "punie", "wait"],
        env={"PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert errors.endswith("punie: cancelled\n")


def test_the_message_of_an_error_without_text_is_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class SilentError(Exception):
        exit_code = 5

    assert exit_code_of(SilentError()) == 5
    assert capsys.readouterr().err == "punie: SilentError\n"


def test_clicks_own_exit_codes_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(click.FileError("x.toml", "no such file")) == 1
    assert capsys.readouterr().err == "punie: Could not open file 'x.toml': no such file\n"
