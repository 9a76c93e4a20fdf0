"""The hub's state file: private, whole, and not believed when its process is gone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from punie.agent.acp.attach import find_hub
from punie.http.config import (
    HubState,
    Settings,
    read_state,
    remove_state,
    state_path,
    write_state,
)
from punie.http.errors import HubStateError

STATE = HubState(url="http://127.0.0.1:8765", token="s3cret", pid=os.getpid())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "hub.json"


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_was_written_is_read(file: Path) -> None:
    write_state(STATE, file)
    assert read_state(file) == STATE


def test_only_the_owner_may_read_it_and_no_draft_stays(file: Path) -> None:
    write_state(STATE, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_second_hub_replaces_the_first(file: Path) -> None:
    write_state(STATE, file)
    second = HubState(url="http://127.0.0.1:9999", token="t", pid=os.getpid())
    write_state(second, file)
    assert read_state(file) == second


def test_a_write_that_fails_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "hub.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_state(STATE, tmp_path / "hub.json")
    assert [path.name for path in tmp_path.iterdir()] == ["hub.json"]


def test_without_a_file_there_is_no_hub(file: Path) -> None:
    assert read_state(file) is None


def test_a_hub_whose_process_is_gone_is_no_hub(file: Path, dead_pid: int) -> None:
    write_state(HubState(url="http://127.0.0.1:8765", token="t", pid=dead_pid), file)
    assert read_state(file) is None


def test_a_number_that_went_to_another_users_process_is_no_hub(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the port by now would be sent the token. As root nobody is refused, hence the patch."""

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    write_state(STATE, file)
    monkeypatch.setattr(os, "kill", refuse)
    assert read_state(file) is None
    assert find_hub(file) is None


@pytest.mark.parametrize("pid", [0, -1, 2**80])
def test_a_number_that_is_no_process_is_damage(file: Path, pid: int) -> None:
    write_state(STATE, file)
    file.write_text(f'{{"url": "http://127.0.0.1:1", "token": "t", "pid": {pid}}}')
    with pytest.raises(HubStateError, match="is damaged"):
        read_state(file)


def test_a_file_that_others_may_read_is_refused(file: Path) -> None:
    write_state(STATE, file)
    file.chmod(0o644)
    with pytest.raises(HubStateError, match="has mode 644 instead of 600"):
        read_state(file)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"url": "http://127.0.0.1:1"}'])
def test_a_damaged_file_is_an_error_that_says_so(file: Path, content: str) -> None:
    write_state(STATE, file)
    file.write_text(content)
    with pytest.raises(HubStateError, match="is damaged"):
        read_state(file)


def test_fields_of_a_newer_hub_are_ignored(file: Path) -> None:
    write_state(STATE, file)
    file.write_text(f'{{"url": "u", "token": "t", "pid": {os.getpid()}, "since": 1}}')
    assert read_state(file) == HubState(url="u", token="t", pid=os.getpid())


def test_a_hub_that_stops_takes_its_file_away(file: Path) -> None:
    write_state(STATE, file)
    remove_state(file, pid=STATE.pid)
    assert not file.exists()


def test_a_hub_that_stops_leaves_the_file_of_its_successor(file: Path) -> None:
    write_state(STATE, file)
    remove_state(file, pid=STATE.pid + 1)
    assert read_state(file) == STATE


def test_taking_away_what_is_not_there_is_fine(file: Path) -> None:
    remove_state(file, pid=1)
    assert not file.exists()


def test_the_token_does_not_stand_in_its_repr() -> None:
    assert "s3cret" not in repr(STATE)


def test_the_file_stands_in_the_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_path() == tmp_path / "punie" / "hub.json"


def test_a_relative_state_folder_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_path() == tmp_path / ".local" / "state" / "punie" / "hub.json"


def test_listening_on_this_machine_needs_no_warning(tmp_path: Path) -> None:
    settings = Settings(folder=tmp_path, database=tmp_path / "hub.db", state=tmp_path / "hub.json")
    assert settings.host == "127.0.0.1"
    assert settings.warning == ""


def test_listening_elsewhere_says_what_it_means(tmp_path: Path) -> None:
    settings = Settings(
        host="0.0.0.0",
        folder=tmp_path,
        database=tmp_path / "hub.db",
        state=tmp_path / "hub.json",
    )
    assert "can run commands on this machine" in settings.warning
    assert "not encrypted" in settings.warning
