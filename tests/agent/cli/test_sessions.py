"""`punie sessions`, as a person uses it after `punie ask`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Punie = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def asked(punie: Punie) -> Punie:
    """Two sessions: one that wrote a file, one that greeted."""
    assert punie("ask", "--model", "test", "--mode", "edit", "write b.txt text").returncode == 0
    assert punie("ask", "--model", "test", "hello there").returncode == 0
    return punie


def ids(punie: Punie, *options: str) -> list[str]:
    done = punie("sessions", "list", *options)
    assert done.returncode == 0, done.stderr
    return [line.split()[0] for line in done.stdout.splitlines()]


def test_without_sessions_the_list_is_empty(punie: Punie, home: Path) -> None:
    done = punie("sessions", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (home / ".local").exists()


def test_the_latest_session_comes_first_with_its_title(asked: Punie) -> None:
    lines = asked("sessions", "list").stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("  hello there")
    assert lines[1].endswith("  write b.txt text")


def test_a_list_can_be_searched_and_be_of_one_folder(asked: Punie, tmp_path: Path) -> None:
    assert len(ids(asked, "--search", "greeting hello")) == 0
    assert len(ids(asked, "--search", "hello test model")) == 1
    assert len(ids(asked, "--cwd", ".")) == 2
    assert ids(asked, "--cwd", str(tmp_path)) == []


def test_a_session_is_shown_as_markdown(asked: Punie, project: Path) -> None:
    shown = asked("sessions", "show", ids(asked)[1]).stdout
    assert shown.startswith("# write b.txt text\n")
    assert "## You\n\nwrite b.txt text\n" in shown
    assert "### Write b.txt (completed)\n\n```diff\n" in shown
    assert "\n+text\n" in shown
    assert "*Changed b.txt (new)*" in shown
    assert "## Punie\n\nwrite_file: b.txt created, 1 line\n" in shown


def test_the_beginning_of_an_id_is_enough_when_there_is_one(asked: Punie) -> None:
    whole = ids(asked)[0]
    assert asked("sessions", "show", whole[:12]).stdout.startswith("# hello there\n")
    several = asked("sessions", "show", "punie-")
    assert several.returncode == 2
    assert "begins more than one session" in several.stderr


def test_the_export_as_json_holds_events_and_messages(asked: Punie, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    whole = ids(asked)[1]
    done = asked("sessions", "export", whole, "--format", "json", "--output", str(target))
    assert (done.returncode, done.stdout) == (0, "")
    exported = json.loads(target.read_text())
    assert (exported["format"], exported["version"]) == ("punie-session", 1)
    assert exported["session"]["session_id"] == whole
    assert exported["events"][0]["text"] == "write b.txt text"
    assert [message["kind"] for message in exported["messages"]] == [
        "request",
        "response",
        "request",
        "response",
    ]


def test_a_deleted_session_is_gone(asked: Punie) -> None:
    first, second = ids(asked)
    assert asked("sessions", "delete", first).returncode == 0
    assert ids(asked) == [second]
    again = asked("sessions", "delete", first)
    assert again.returncode == 2
    assert "see punie sessions list" in again.stderr


def test_the_doctor_tells_where_sessions_are_and_whether_they_can_be_read(
    asked: Punie, home: Path
) -> None:
    path = home / ".local" / "state" / "punie" / "sessions.db"
    (line,) = [line for line in asked("doctor").stdout.splitlines() if "  sessions  " in line]
    assert line.startswith("ok")
    assert str(path) in line
    path.write_bytes(b"no database" * 1000)
    assert f"move {path} away" in asked("doctor").stdout


def test_a_damaged_file_is_one_sentence_in_every_command(asked: Punie, home: Path) -> None:
    (home / ".local" / "state" / "punie" / "sessions.db").write_bytes(b"no database" * 1000)
    done = asked("sessions", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr
    answered = asked("ask", "--model", "test", "hello")
    assert answered.returncode == 0
    assert answered.stdout == "Hello from Punie's test model.\n"
    assert "is not being saved" in answered.stderr
