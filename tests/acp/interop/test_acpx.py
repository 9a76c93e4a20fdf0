"""acpx, a client of the terminal, with the real `punie acp --model test` as its agent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Acpx = Callable[..., subprocess.CompletedProcess[str]]


def frames(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def stop_reason(done: subprocess.CompletedProcess[str]) -> str:
    answers = [one["result"] for one in frames(done) if "stopReason" in one.get("result", {})]
    return answers[-1]["stopReason"]


def test_exec_runs_one_turn(acpx: Acpx, project: Path) -> None:
    done = acpx("--format", "json", "--approve-all", "exec", "write note.txt kept")
    assert done.returncode == 0, done.stderr
    assert stop_reason(done) == "end_turn"
    assert (project / "note.txt").read_text("utf-8") == "kept"


def test_exec_without_approval_changes_nothing(acpx: Acpx, project: Path) -> None:
    done = acpx("--format", "json", "--deny-all", "exec", "write note.txt no")
    assert stop_reason(done) == "end_turn"
    assert not (project / "note.txt").exists()


def test_exec_reads_through_its_files_and_runs_through_its_terminal(
    acpx: Acpx, project: Path
) -> None:
    (project / "there.txt").write_text("content", encoding="utf-8")
    done = acpx("--format", "json", "--approve-all", "exec", "read there.txt")
    assert "fs/read_text_file" in [one.get("method") for one in frames(done)]
    assert "content" in done.stdout
    done = acpx("--format", "json", "--approve-all", "exec", "run echo from-terminal")
    asked = [one.get("method") for one in frames(done)]
    assert "from-terminal" in done.stdout
    assert ("terminal/create" in asked) == ("terminal/release" in asked)


def test_a_session_is_made_used_listed_and_closed(acpx: Acpx, project: Path) -> None:
    made = acpx("sessions", "ensure")
    assert made.returncode == 0, made.stderr
    session_id = made.stdout.split()[0]
    mode = acpx("set-mode", "edit")
    assert mode.returncode == 0, mode.stderr
    turn = acpx("--approve-all", "--format", "json", "prompt", "write note.txt kept")
    assert turn.returncode == 0, turn.stderr
    assert (project / "note.txt").read_text("utf-8") == "kept"
    assert session_id in acpx("sessions", "list").stdout
    assert "write note.txt kept" in acpx("sessions", "history").stdout
    closed = acpx("sessions", "close")
    assert closed.returncode == 0, closed.stderr


def test_it_asks_again_itself_before_it_writes(acpx: Acpx, project: Path) -> None:
    """Punie may edit freely in this mode, and tells the model that the editor refused."""
    assert acpx("sessions", "ensure").returncode == 0
    assert acpx("set-mode", "edit").returncode == 0
    turn = acpx("--format", "json", "prompt", "write note.txt no")
    assert "the editor refused to write it" in turn.stdout
    assert not (project / "note.txt").exists()
    assert acpx("sessions", "close").returncode == 0


def test_a_turn_is_cancelled_from_another_process(acpx: Any) -> None:
    assert acpx("sessions", "ensure").returncode == 0
    with acpx.begin("prompt", "count slowly to 900") as turn:
        lines: list[str] = []
        for line in turn.stdout:
            lines.append(line)
            if "agent_message_chunk" in line:
                break
        assert "cancel requested" in acpx("cancel").stdout
        lines += turn.stdout
    assert '"stopReason":"cancelled"' in lines[-1]
    assert acpx("sessions", "close").returncode == 0
