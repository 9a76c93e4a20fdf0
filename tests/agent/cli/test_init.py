"""`punie init`: merged, never rewritten; refused rather than destroyed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Punie = Callable[..., "subprocess.CompletedProcess[str]"]

OTHERS = {
    "default_mcp_settings": {"use_idea_mcp": True},
    "agent_servers": {
        "Other": {"command": "/opt/other", "args": ["--acp"]},
        "Punie": {"command": "old", "args": ["old"], "env": {"A": "1"}, "use_idea_mcp": True},
    },
    "model": "local",
    "ünknown": ["kept"],
}


@pytest.fixture
def file(home: Path) -> Path:
    return home / ".jetbrains" / "acp.json"


def test_a_new_file_lists_punie_by_an_absolute_path(punie: Punie, file: Path) -> None:
    done = punie("init")
    entry = json.loads(file.read_text())["agent_servers"]["Punie"]
    assert done.returncode == 0
    assert Path(entry["command"]).is_absolute()
    assert entry["args"][-1] == "acp"
    assert subprocess.run([entry["command"], *entry["args"], "--help"], check=False).returncode == 0


def test_other_agents_and_unknown_keys_are_kept(punie: Punie, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(json.dumps(OTHERS, ensure_ascii=False), encoding="utf-8")
    assert punie("init", "--model", "embedded").returncode == 0
    after = json.loads(file.read_text(encoding="utf-8"))
    mine = after["agent_servers"].pop("Punie")
    before = json.loads(json.dumps(OTHERS))
    del before["agent_servers"]["Punie"]
    assert after == before
    assert mine["args"][-3:] == ["acp", "--model", "embedded"]
    assert (mine["env"], mine["use_idea_mcp"]) == ({"A": "1"}, True)


def test_a_second_time_changes_nothing_and_keeps_the_model(punie: Punie, file: Path) -> None:
    punie("init", "--model", "embedded")
    before = file.read_bytes(), file.stat().st_mtime_ns
    done = punie("init")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert "nothing to do" in done.stdout


def test_a_dry_run_prints_the_diff_and_writes_nothing(punie: Punie, file: Path) -> None:
    done = punie("init", "--dry-run")
    assert not file.parent.exists()
    assert done.stdout.startswith(f"--- {file}\n+++ {file}\n@@ ")
    assert '+    "Punie": {' in done.stdout


@pytest.mark.parametrize(
    "content", ["{ not json", "[]", '{"agent_servers": []}', '{"a": 1, // mine\n "b": 2}']
)
def test_a_file_that_is_not_understood_is_left_alone(
    punie: Punie, file: Path, content: str
) -> None:
    file.parent.mkdir()
    file.write_text(content)
    done = punie("init")
    assert done.returncode == 2
    assert "is left alone" in done.stderr
    assert file.read_text() == content
    assert [path.name for path in file.parent.iterdir()] == ["acp.json"]


def test_zed_has_its_own_file_and_form(punie: Punie, home: Path) -> None:
    assert punie("init", "--zed").returncode == 0
    settings = json.loads((home / ".config" / "zed" / "settings.json").read_text())
    assert settings["agent_servers"]["Punie"]["type"] == "custom"


def test_comments_in_zeds_settings_are_not_destroyed(punie: Punie, home: Path) -> None:
    file = home / ".config" / "zed" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_text('// Zed settings\n{"theme": "One"}\n')
    done = punie("init", "--zed")
    assert done.returncode == 2
    assert file.read_text().startswith("// Zed settings")
    assert '"Punie": {"type": "custom"' in done.stderr


def test_another_file_can_be_named(punie: Punie, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "agents.json"
    assert punie("init", "--output", str(target)).returncode == 0
    assert "Punie" in json.loads(target.read_text())["agent_servers"]


def test_what_cannot_be_written_is_one_sentence(punie: Punie, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = punie("init", "--output", str(tmp_path / "file" / "agents.json"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
