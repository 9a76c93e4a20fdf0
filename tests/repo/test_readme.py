"""The README keeps its word: its commands are the ones that CI runs and that exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from punie.cli.commands import punie


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


def shell_lines(markdown: str) -> list[str]:
    """Lines of the fenced shell blocks, without comments."""
    blocks = re.findall(r"^```(?:bash|shell|sh|console)\n(.*?)^```", markdown, re.S | re.M)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


def test_readme_and_ci_run_the_tests_with_the_same_command(root: Path, readme: str) -> None:
    ci = (root / ".ci" / "run").read_text()
    (command,) = re.findall(r"^step_test\(\) \{ (.*); \}$", ci, re.M)
    assert command == "uv run pytest"
    assert command in shell_lines(readme)


def test_readme_shows_the_two_commands_of_a_newcomer(readme: str) -> None:
    lines = shell_lines(readme)
    first = lines.index("pip install uv")
    assert lines[first + 1] == 'uv run punie ask "Run the tests in tests/cli"'
    assert lines[first + 2] == "uv run pytest"


def test_every_command_that_the_readme_names_exists(readme: str) -> None:
    named = {
        match[1]
        for line in shell_lines(readme)
        if (match := re.match(r"(?:uv run )?punie ([a-z]+)", line))
    }
    context = click.Context(punie)
    assert named
    assert named - set(punie.list_commands(context)) == set()


def test_every_file_that_the_readme_links_exists(root: Path, readme: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", readme)
    assert links
    assert [link for link in links if not (root / link).exists()] == []
