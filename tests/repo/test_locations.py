"""Three packages that may not import each other agree on where the state folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from punie.agent.config import locations
from punie.cli.exits import state_logs
from punie.http.config import person_path, state_path


@pytest.mark.parametrize("named", ["", "relative", "/somewhere/else"])
def test_agent_hub_and_terminal_share_one_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", named)
    folder = locations().state
    assert state_path().parent == folder
    assert state_logs().parent == folder


@pytest.mark.parametrize("named", ["", "relative", "/somewhere/else"])
def test_agent_and_hub_read_the_same_settings_of_the_person(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", named)
    assert person_path() == locations().config_file
