"""Published packages as repositories: what is unpacked, and what is refused."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from punie.train.data.generators import harvest, repositories
from punie.train.errors import DataError


@pytest.mark.network
def test_a_pinned_package_becomes_a_repository(tmp_path: Path) -> None:
    project = repositories.fetch("iniconfig==2.1.0", tmp_path / "repo", suffixes=(".typed",))
    assert "src/iniconfig/__init__.py" in project.modules
    assert project.others == ("src/iniconfig/py.typed",)
    assert project.tests == ()
    log = subprocess.run(
        ["git", "log", "--format=%s"], cwd=project.root, capture_output=True, text=True, check=True
    )
    assert log.stdout == "Import iniconfig==2.1.0\n"
    assert [p.name for p in (tmp_path / "repo/src").iterdir()] == ["iniconfig"]


@pytest.mark.network
def test_its_tools_are_run_for_real(tmp_path: Path) -> None:
    plan = harvest.Plan(
        built=0, packages=(), fetched=("iniconfig==2.1.0",), suffixes=(".typed",), each=2
    )
    recorded = asyncio.run(harvest.harvest(plan, seed=1, limit=600, told=lambda *_: None))
    assert {one.repository for one in recorded} == {"iniconfig"}
    assert {one.tool for one in recorded} >= {"read_file", "search", "lint", "git_status"}


@pytest.mark.parametrize("requirement", ["iniconfig", "iniconfig>=2", "-r x", "a==1; b"])
def test_what_is_not_pinned_is_refused(tmp_path: Path, requirement: str) -> None:
    with pytest.raises(DataError, match="not pinned"):
        repositories.fetch(requirement, tmp_path / "repo", suffixes=())


@pytest.mark.network
def test_a_version_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"iniconfig==0\.0\.0\.1 cannot be fetched"):
        repositories.fetch("iniconfig==0.0.0.1", tmp_path / "repo", suffixes=())
