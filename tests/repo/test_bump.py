"""`just bump` writes a version everywhere it is named, and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

PROJECTS = (
    "pyproject.toml",
    *(f"packages/punie-{name}/pyproject.toml" for name in ["acp", "agent"]),
)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The project files of the repository, free to change."""
    for name in [*PROJECTS, ".ci/bump.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    return tmp_path


def bump(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(copy / ".ci" / "bump.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def table(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def test_a_new_version_reaches_range_pin_and_changelog(copy: Path) -> None:
    run = bump(copy, "punie-acp", "7.8.9")
    meta = table(copy / "pyproject.toml")
    assert run.returncode == 0, run.stderr
    assert table(copy / "packages/punie-acp/pyproject.toml")["project"]["version"] == "7.8.9"
    agent = table(copy / "packages/punie-agent/pyproject.toml")["project"]
    assert "punie-acp>=7.8,<7.9" in agent["dependencies"]
    assert "punie-acp==7.8.9" in meta["project"]["dependencies"]
    assert "punie-acp 7.8.9" in [
        section["name"] for section in meta["tool"]["towncrier"]["section"]
    ]


def test_the_other_packages_keep_their_versions(root: Path, copy: Path) -> None:
    bump(copy, "punie-acp", "7.8.9")
    before, after = table(root / "pyproject.toml"), table(copy / "pyproject.toml")
    assert after["project"]["version"] == before["project"]["version"]
    changed = set(after["project"]["dependencies"]) - set(before["project"]["dependencies"])
    assert changed == {"punie-acp==7.8.9"}


@pytest.mark.parametrize("arguments", [["punie-acp"], ["punie-acp", "1"], ["punie-nope", "1.2.3"]])
def test_what_cannot_be_bumped_is_refused(copy: Path, arguments: list[str]) -> None:
    before = [(copy / name).read_text() for name in PROJECTS]
    assert bump(copy, *arguments).returncode == 1
    assert [(copy / name).read_text() for name in PROJECTS] == before
