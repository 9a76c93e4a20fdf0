"""Each requirement has a source and a test, and each id and test that is named exists."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

from punie.acp.check import REQUIREMENTS

ROOT = Path(__file__).parents[3]


def read(name: str) -> list[dict[str, Any]]:
    text = Path(__file__).with_name(name).read_text("utf-8")
    return tomllib.loads(text)["requirement"]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """What an agent is held to."""
    return read("requirements.toml")


@pytest.fixture(scope="module")
def client_rows() -> list[dict[str, Any]]:
    """What the client's side and the fan-out hold to."""
    return read("client.toml")


def functions(path: Path) -> set[str]:
    """The names of the test functions in a file."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_the_manifest_and_the_check_know_the_same_requirements(rows: list[dict[str, Any]]) -> None:
    listed = [(row["id"], row["source"]) for row in rows]
    assert listed == [(one.id, one.source) for one in REQUIREMENTS]


def test_each_requirement_has_a_test_that_exists(
    rows: list[dict[str, Any]], client_rows: list[dict[str, Any]]
) -> None:
    named = [row["test"].split("::") for row in rows + client_rows]
    missing = [name for path, name in named if name not in functions(ROOT / path)]
    assert missing == []


def test_ids_are_unique_and_sources_are_pages(
    rows: list[dict[str, Any]], client_rows: list[dict[str, Any]]
) -> None:
    ids = [row["id"] for row in rows + client_rows]
    assert len(ids) == len(set(ids))
    without = [row["id"] for row in rows + client_rows if not row["source"].startswith("https://")]
    assert without == []
