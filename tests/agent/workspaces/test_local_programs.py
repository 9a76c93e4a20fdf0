"""Programs: captured and capped, and their whole group gone when their time is over."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from punie.agent.workspaces import local
from punie.agent.workspaces.base import CommandResult, ProcessResult, ProgramMissingError
from punie.agent.workspaces.local import LocalWorkspace
from punie.agent.workspaces.processes import run_group

PY = sys.executable


def alive(pid: int) -> bool:
    """Tell whether a process runs; on Linux a zombie that nobody collected does not."""
    try:
        os.kill(pid, 0)
        if not Path("/proc/self/stat").exists():
            return True
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    """Give the kernel a moment to finish a kill."""
    end = time.monotonic() + 5
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_streams_and_exit_code_are_told_apart(workspace: LocalWorkspace) -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    result = await workspace.run([PY, "-c", script])
    assert result == ProcessResult(exit_code=3, stdout="out\n", stderr="err\n")


async def test_a_program_runs_in_the_root_and_with_the_given_variables(
    workspace: LocalWorkspace,
) -> None:
    script = "import os; print(os.getcwd(), os.environ['PUNIE_X'])"
    result = await workspace.run([PY, "-c", script], env={"PUNIE_X": "1"})
    assert result.stdout == f"{workspace.root} 1\n"


async def test_standard_input_is_empty(workspace: LocalWorkspace) -> None:
    result = await workspace.run([PY, "-c", "import sys; print(repr(sys.stdin.read()))"])
    assert result.stdout == "''\n"


async def test_arguments_reach_the_program_without_a_shell(workspace: LocalWorkspace) -> None:
    result = await workspace.run([PY, "-c", "import sys; print(sys.argv[1])", "$HOME; *"])
    assert result.stdout == "$HOME; *\n"


async def test_invalid_utf8_is_replaced(workspace: LocalWorkspace) -> None:
    script = "import sys; sys.stdout.buffer.write(b'a\\xffb')"
    assert (await workspace.run([PY, "-c", script])).stdout == "a\ufffdb"


async def test_output_beyond_the_limit_is_read_and_dropped(
    workspace: LocalWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "RUN_LIMIT", 1000)
    script = "import sys; sys.stdout.write('x' * 5_000_000); sys.exit(7)"
    result = await workspace.run([PY, "-c", script])
    assert (len(result.stdout), result.exit_code, result.truncated) == (1000, 7, True)


async def test_a_command_keeps_one_mebibyte(workspace: LocalWorkspace) -> None:
    result = await workspace.run_command(f"'{PY}' -c \"print('x' * 3_000_000)\"")
    assert (len(result.output), result.exit_code, result.truncated) == (1024 * 1024, 0, True)


async def test_a_command_merges_both_streams_in_order(workspace: LocalWorkspace) -> None:
    result = await workspace.run_command("echo one; echo two >&2; echo three; exit 4")
    assert result == CommandResult(exit_code=4, output="one\ntwo\nthree\n")


async def test_output_is_passed_on_while_the_command_runs(
    workspace: LocalWorkspace,
) -> None:
    """The command waits for a file that only the receiver of its first words makes."""

    def on_output(text: str) -> None:
        pieces.append(text)
        (workspace.root / "go").touch()

    pieces: list[str] = []
    result = await workspace.run_command(
        "echo first; while [ ! -e go ]; do sleep 0.01; done; echo second",
        timeout=20,
        on_output=on_output,
    )
    assert (result.exit_code, pieces[0], "".join(pieces)) == (0, "first\n", "first\nsecond\n")


async def test_a_letter_cut_in_two_arrives_whole(workspace: LocalWorkspace) -> None:
    pieces: list[str] = []
    script = (
        "import sys, time; out = sys.stdout.buffer; out.write(b'\\xc3'); out.flush();"
        "time.sleep(0.05); out.write(b'\\xbc'); out.flush()"
    )
    await workspace.run_command(f"'{PY}' -c \"{script}\"", on_output=pieces.append)
    assert "".join(pieces) == "ü"


async def test_a_time_out_ends_the_whole_group(workspace: LocalWorkspace) -> None:
    result = await workspace.run_command("sleep 300 & echo $!; sleep 300", timeout=0.5)
    assert (result.exit_code, result.timed_out) == (None, True)
    assert gone(int(result.output))


async def test_a_group_that_ignores_the_polite_signal_is_killed(workspace: LocalWorkspace) -> None:
    result = await workspace.run_command(
        "trap '' TERM; (trap '' TERM; sleep 300) & echo $!; while :; do sleep 300; done",
        timeout=0.5,
    )
    assert result.timed_out
    assert gone(int(result.output))


async def test_cancelling_ends_the_whole_group(workspace: LocalWorkspace) -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()
    running = asyncio.ensure_future(
        workspace.run_command(
            "sleep 300 & echo $!; sleep 300", on_output=lambda text: pids.put_nowait(int(text))
        )
    )
    pid = await pids.get()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gone(pid)


@pytest.mark.parametrize("moments", range(8))
async def test_cancelling_a_command_that_just_starts_ends_it(tmp_path: Path, moments: int) -> None:
    running = asyncio.ensure_future(
        run_group(
            "sleep 300",
            cwd=tmp_path,
            env=dict(os.environ),
            timeout=300,
            limit=100,
            started=lambda _: None,
            ended=lambda _: None,
        )
    )
    for _ in range(moments):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running], timeout=20)
    assert running.cancelled()


async def test_cancelling_twice_still_ends_the_group(workspace: LocalWorkspace) -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()
    running = asyncio.ensure_future(
        workspace.run_command(
            "trap '' TERM; (trap '' TERM; sleep 300) & echo $!; wait",
            on_output=lambda text: pids.put_nowait(int(text)),
        )
    )
    pid = await pids.get()
    running.cancel()
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gone(pid)


async def test_what_a_command_leaves_in_the_background_ends_with_it(
    workspace: LocalWorkspace,
) -> None:
    result = await workspace.run_command("sleep 300 & echo $!", timeout=20)
    assert (result.exit_code, result.timed_out) == (0, False)
    assert gone(int(result.output))


async def test_closing_kills_what_still_runs(workspace: LocalWorkspace) -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()
    running = asyncio.ensure_future(
        workspace.run_command(
            "sleep 300 & echo $!; wait", on_output=lambda text: pids.put_nowait(int(text))
        )
    )
    pid = await pids.get()
    workspace.close()
    result = await running
    assert result.exit_code == -9
    assert gone(pid)


async def test_nothing_starts_after_closing(workspace: LocalWorkspace) -> None:
    workspace.close()
    assert (await workspace.run_command("sleep 300", timeout=20)).exit_code == -9


async def test_a_missing_program_is_named(workspace: LocalWorkspace) -> None:
    with pytest.raises(ProgramMissingError) as raised:
        await workspace.run(["no-such-program"])
    assert raised.value.program == "no-such-program"


async def test_a_deleted_folder_is_said_not_raised(workspace: LocalWorkspace) -> None:
    workspace.root.rmdir()
    result = await workspace.run([PY, "-c", ""])
    command = await workspace.run_command("true")
    why = f"the folder {workspace.root} does not exist"
    assert (result.exit_code, result.stderr) == (126, why)
    assert (command.exit_code, command.output) == (126, why)


async def test_an_argument_that_no_program_can_take_is_said_not_raised(
    workspace: LocalWorkspace,
) -> None:
    result = await workspace.run([PY, "-c", "a\0b"])
    assert (result.exit_code, result.stderr) == (126, "cannot start: embedded null byte")
    result = await workspace.run([PY, "-c", "x" * 10_000_000])
    assert (result.exit_code, result.stderr) == (126, "cannot start: Argument list too long")


def program(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\necho here\n")
    path.chmod(0o755)
    return path


def test_programs_are_looked_up_in_the_project_first(
    workspace: LocalWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = program(tmp_path / "path", "checker")
    active = program(tmp_path / "active/bin", "checker")
    own = program(workspace.root / ".venv/bin", "checker")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("VIRTUAL_ENV", str(active.parent.parent))
    found: list[str | None] = []
    for path in (own, active, on_path):
        found.append(workspace.find_program("checker"))
        path.unlink()
    assert found == [str(own), str(active), str(on_path)]
    assert workspace.find_program("checker") is None


def test_the_interpreters_own_folder_comes_before_the_path(
    workspace: LocalWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "python")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert workspace.find_program("python") == str(Path(sys.prefix, "bin", "python"))


@pytest.mark.parametrize("name", ["git", "rg"])
def test_a_project_cannot_bring_its_own_git_or_ripgrep(
    workspace: LocalWorkspace, name: str
) -> None:
    own = program(workspace.root / ".venv/bin", name)
    assert workspace.find_program(name) != str(own)


async def test_commands_see_the_projects_environment(workspace: LocalWorkspace) -> None:
    program(workspace.root / ".venv/bin", "checker")
    result = await workspace.run_command('checker && echo "$VIRTUAL_ENV"')
    assert result.output == f"here\n{workspace.root}/.venv\n"


async def test_a_git_hooks_variables_do_not_reach_programs(
    workspace: LocalWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    result = await workspace.run([PY, "-c", "import os; print(os.environ.get('GIT_DIR'))"])
    assert result.stdout == "None\n"


async def test_no_descriptor_is_left_open(workspace: LocalWorkspace) -> None:
    await workspace.run(["sh", "-c", "true"])
    before = open_descriptors()
    for _ in range(5):
        await workspace.run(["sh", "-c", "sleep 300 & exit 0"])
    assert open_descriptors() == before
