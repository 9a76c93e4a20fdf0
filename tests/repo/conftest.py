"""The repository itself as the thing under test: its files, its packages, its promises."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("acp", "agent", "cli", "http", "train")


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tracked(root: Path) -> tuple[Path, ...]:
    """Every file that git tracks and that is still there, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    names = listing.stdout.rstrip("\0").split("\0")
    return tuple(Path(name) for name in names if (root / name).is_file())


@pytest.fixture(scope="session")
def meta(root: Path) -> dict[str, Any]:
    """The root's pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def projects(root: Path) -> dict[str, dict[str, Any]]:
    """`[project]` of each member, by distribution name."""
    files = [root / "packages" / f"punie-{name}" / "pyproject.toml" for name in PACKAGES]
    tables = [tomllib.loads(file.read_text())["project"] for file in files]
    return {table["name"]: table for table in tables}


@pytest.fixture(scope="session")
def uv() -> str:
    """The uv that runs the tests."""
    return os.environ.get("UV", "uv")
