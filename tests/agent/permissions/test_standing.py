"""Rules about tools that are not there: an error while that can be known, a notice after that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.agent.config import Permissions
from punie.agent.errors import ConfigError
from punie.agent.events import Notice
from punie.agent.permissions.gate import Standing
from punie.agent.permissions.rules import parse_rules
from punie.agent.permissions.standing import standing_in, unmatched
from punie.agent.runtime import Runtime


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def project(folder: Path, rules: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.punie.permissions]\n{rules}\n")


@pytest.mark.parametrize(
    ("key", "rule", "words"),
    [
        ("deny", "edit_flie(src/**)", "there is no tool edit_flie; did you mean edit_file?"),
        ("deny", "run_comand", "did you mean run_command?"),
        ("ask", "Write_File", "did you mean write_file?"),
        ("allow", "run-tests", "did you mean run_tests?"),
        ("allow", "serach", "did you mean search?"),
        ("deny", "run_comand*", "did you mean run_command?"),
        ("deny", "Bash(rm *)", "there is no tool Bash: choose from add_import, "),
    ],
)
def test_a_misspelt_tool_is_an_error_that_names_the_nearest_and_where(
    tmp_path: Path, environ: dict[str, str], key: str, rule: str, words: str
) -> None:
    project(tmp_path, f'{key} = ["{rule}"]')
    with pytest.raises(ConfigError) as refused:
        standing_in(tmp_path, tmp_path, environ)
    said = str(refused.value)
    assert said.startswith(f"permissions.{key} in [tool.punie] of {tmp_path / 'pyproject.toml'}")
    assert repr(rule) in said
    assert words in said


async def test_no_session_begins_with_one(tmp_path: Path, environ: dict[str, str]) -> None:
    config = tmp_path / "home" / ".config" / "punie" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('permissions.deny = ["write_fil(.env)"]\n')
    runtime = Runtime(model="test", environ=environ)
    with pytest.raises(ConfigError, match=r"permissions\.deny in .*config\.toml has the rule"):
        runtime.open_session(tmp_path)
    await runtime.aclose()


@pytest.mark.parametrize(
    "rule",
    ["*", "*_file(.env)", "git_*", "skill", "ask_user", "trust_policies", "execute_python"],
)
def test_tools_that_sessions_add_and_patterns_are_known(
    tmp_path: Path, environ: dict[str, str], rule: str
) -> None:
    project(tmp_path, f'deny = ["{rule}"]')
    assert standing_in(tmp_path, tmp_path, environ).rules.deny[0].text == rule


@pytest.mark.parametrize(
    "rule",
    ["idea_rename_symbol", "idea_*", "git_git_diff_staged", "web_fetch", "idea_reformat_file"],
)
def test_a_rule_may_be_about_a_tool_of_a_server(
    tmp_path: Path, environ: dict[str, str], rule: str
) -> None:
    project(tmp_path, f'deny = ["{rule}"]')
    assert standing_in(tmp_path, tmp_path, environ).rules.deny[0].text == rule


def test_what_no_server_brought_is_named() -> None:
    rules = parse_rules(
        Permissions(
            deny=("idea_close(x)", "edit_file", "web_*"), ask=("idea_open",), allow=("db_x",)
        )
    )
    assert unmatched(rules, {"idea_open"}) == ["idea_close(x)", "db_x"]


async def test_the_person_is_told_once_of_rules_about_no_tool(play: Callable[..., Any]) -> None:
    standing = Standing(rules=parse_rules(Permissions(deny=("idea_close",))))
    scene = play([["hi"], ["again"]], standing=standing)
    await scene.session.prompt("hello")
    await scene.session.prompt("hello")
    (notice,) = scene.heard.of(Notice)
    assert notice.title == "Rules about tools that this session does not have: idea_close"
