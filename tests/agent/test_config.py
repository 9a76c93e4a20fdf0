"""Settings: where they are looked for, which win, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from punie.agent import config
from punie.agent.errors import ConfigError
from punie.agent.permissions.policy import MODES


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_anywhere_says_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    assert config.load(tmp_path, environ) == config.Config()


def test_the_project_wins_over_the_person(tmp_path: Path, environ: dict[str, str]) -> None:
    write(config.locations(environ).config_file, 'model = "local"\nmode = "plan"\n')
    write(tmp_path / "pyproject.toml", '[tool.punie]\nmodel = "embedded"\n')
    assert config.load(tmp_path, environ) == config.Config(model="embedded", mode="plan")


@pytest.mark.parametrize(
    ("person", "project", "holds"),
    [
        ("", "bypass", "ask"),
        ("", "edit", "ask"),
        ("", "read-only", "read-only"),
        ("edit", "bypass", "edit"),
        ("bypass", "plan", "plan"),
        ("plan", "", "plan"),
    ],
)
def test_a_project_can_only_tighten_the_mode(
    tmp_path: Path, environ: dict[str, str], person: str, project: str, holds: str
) -> None:
    write(config.locations(environ).config_file, f'mode = "{person}"\n')
    write(tmp_path / "pyproject.toml", f'[tool.punie]\nmode = "{project}"\n')
    assert config.load(tmp_path, environ).mode == holds


def test_every_mode_has_its_place() -> None:
    assert sorted(config.STRICTEST_FIRST) == sorted(MODES)


def test_the_nearest_project_above_counts(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[tool.punie]\nmodel = "embedded"\n')
    inner = tmp_path / "packages" / "one"
    write(inner / "pyproject.toml", '[project]\nname = "one"\n')
    assert config.load_project(inner).model == "embedded"


@pytest.mark.parametrize("variable", ["", "relative/path"])
def test_the_xdg_variables_count_only_when_absolute(variable: str) -> None:
    environ = {"HOME": "/home/p", "XDG_CONFIG_HOME": variable}
    assert config.locations(environ).config_file == Path("/home/p/.config/punie/config.toml")
    absolute = {"HOME": "/home/p", "XDG_CONFIG_HOME": "/etc/p"}
    assert config.locations(absolute).config_file == Path("/etc/p/punie/config.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.punie]\nmodle = 1\nmoed = 2\n", "unknown setting modle, moed in [tool.punie]"),
        ("[tool.punie]\nmodel = 1\n", "Expected `str`, got `int`"),
        ("[tool]\npunie = 3\n", "Expected `object`"),
        ('[tool.punie]\nmode = "yolo"\n', "unknown mode 'yolo'"),
        ("[tool.punie\n", "is not valid TOML"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path / "pyproject.toml", text)
    with pytest.raises(ConfigError) as refused:
        config.load_project(tmp_path)
    assert words in str(refused.value)
    assert str(tmp_path / "pyproject.toml") in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load_project(tmp_path)
