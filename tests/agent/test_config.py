"""Settings: where they are looked for, which win, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from punie.agent import config
from punie.agent.errors import ConfigError
from punie.agent.models.registry import named
from punie.agent.permissions.policy import MODES


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_hubs_table_of_agents_is_no_unknown_setting(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    write(tmp_path / "pyproject.toml", '[tool.punie.agents]\ngemini = "gemini --acp"\n')
    assert config.load(tmp_path, environ) == config.Config()


def test_nothing_anywhere_says_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    assert config.load(tmp_path, environ) == config.Config()


def test_the_project_wins_over_the_person(tmp_path: Path, environ: dict[str, str]) -> None:
    write(config.locations(environ).config_file, 'model = "local"\nmode = "plan"\n')
    write(tmp_path / "pyproject.toml", '[tool.punie]\nmodel = "embedded"\n')
    assert config.load(tmp_path, environ) == config.Config(model="embedded", mode="plan")


@pytest.mark.parametrize(
    ("model", "holds"),
    [
        ("local:http://127.0.0.1:1234/v1/a", True),
        ("local:https://localhost/v1/a", True),
        ("local:http://[::1]:80/v1", True),
        ("local:http://elsewhere.example/v1/a", False),
        ("LOCAL:HTTP://elsewhere.example/v1/a", False),
        ("local:http://127.0.0.1.elsewhere.example/v1/a", False),
        ("local:http://127.0.0.1@elsewhere.example/v1/a", False),
        ("local:http://127.0.0.1:1@elsewhere.example/v1/a", False),
    ],
)
def test_a_project_sends_the_conversation_elsewhere_only_where_it_is_trusted(
    tmp_path: Path, environ: dict[str, str], model: str, holds: bool
) -> None:
    write(tmp_path / "pyproject.toml", f'[tool.punie]\nmodel = "{model}"\n')
    person = config.locations(environ).config_file
    write(person, 'model = "embedded"\n')
    assert config.load(tmp_path, environ).model == (model if holds else "embedded")
    assert next(named(None, tmp_path, environ)).name == (model if holds else "embedded")
    write(person, f'model = "embedded"\npermissions.trust = ["{tmp_path}"]\n')
    assert config.load(tmp_path, environ).model == model
    assert next(named(None, tmp_path, environ)).name == model


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


PERMISSIONS = "[tool.punie.permissions]\n"


def test_the_rules_of_a_project_tighten_and_its_allowances_are_left_out(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    rules = 'allow = ["run_command({0})"]\nask = ["{0}"]\ndeny = ["edit_file({0})"]\n'
    write(config.locations(environ).config_file, "[permissions]\n" + rules.format("mine"))
    write(tmp_path / "pyproject.toml", PERMISSIONS + rules.format("its"))
    held = config.load(tmp_path, environ).permissions
    assert held.allow == ("run_command(mine)",)
    assert held.ask == ("mine", "its")
    assert held.deny == ("edit_file(mine)", "edit_file(its)")


@pytest.mark.parametrize(
    ("trust", "counts"),
    [
        ("~/work", True),
        ("~/work/project", True),
        ("work", True),
        ("{home}/work", True),
        ("~/work/project/inner", False),
        ("~/wor", False),
        ("~/other", False),
        ("", False),
    ],
)
def test_a_project_may_allow_something_where_the_person_trusts_it(
    tmp_path: Path, environ: dict[str, str], trust: str, counts: bool
) -> None:
    home = Path(environ["HOME"])
    project = home / "work" / "project"
    trusted = trust.format(home=home)
    write(config.locations(environ).config_file, f'permissions.trust = ["{trusted}"]\n')
    write(project / "pyproject.toml", PERMISSIONS + 'allow = ["run_command(make)"]\n')
    inner = project / "inner"
    inner.mkdir()
    assert (config.load(inner, environ).permissions.allow != ()) == counts


def test_a_project_cannot_trust_itself(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", PERMISSIONS + 'trust = ["~"]\n')
    with pytest.raises(ConfigError, match="cannot trust itself"):
        config.load_project(tmp_path)


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
        ('[tool.punie.permissions]\nallow = ["rm -rf"]\n', "'rm -rf' in [tool.punie]"),
        ('[tool.punie.permissions]\nallow = "x"\n', "Expected `array`"),
        ("[tool.punie.permissions]\nalow = []\n", "unknown field `alow`"),
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
