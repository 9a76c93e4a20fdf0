"""Versions agree: siblings accept a compatible range, the meta package pins the tested set."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

REQUIREMENT = re.compile(r"(?P<name>punie-\w+)(?:\[[\w,]+\])?(?P<range>.*)")


def siblings(requirements: list[str]) -> dict[str, str]:
    """Which siblings a list of requirements names, and what versions it accepts."""
    matches = [REQUIREMENT.fullmatch(text) for text in requirements]
    return {match["name"]: match["range"] for match in matches if match}


def compatible(version: str) -> str:
    """The range that a sibling of this version is required with: its minor series."""
    major, minor, _ = (int(part) for part in version.split("."))
    return f">={major}.{minor},<{major}.{minor + 1}"


def test_a_sibling_is_required_with_its_minor_series(projects: dict[str, Any]) -> None:
    actual = {
        (name, sibling): accepted
        for name, project in projects.items()
        for sibling, accepted in siblings(project["dependencies"]).items()
    }
    expected = {pair: compatible(projects[pair[1]]["version"]) for pair in actual}
    assert actual  # punie-agent needs punie-acp at least
    assert actual == expected


def test_the_meta_package_pins_every_member(meta: dict[str, Any], projects: dict[str, Any]) -> None:
    expected = {name: f"=={project['version']}" for name, project in projects.items()}
    assert siblings(meta["project"]["dependencies"]) == expected


def test_the_changelog_names_the_version_of_each_member(
    meta: dict[str, Any], projects: dict[str, Any]
) -> None:
    names = {section["name"] for section in meta["tool"]["towncrier"]["section"]}
    assert names - {"punie, the whole"} == {
        f"{name} {project['version']}" for name, project in projects.items()
    }


def test_fragments_lie_where_the_changelog_looks_for_them(
    meta: dict[str, Any], tracked: tuple[Path, ...]
) -> None:
    towncrier = meta["tool"]["towncrier"]
    folders = {section["path"] for section in towncrier["section"]}
    kinds = {kind["directory"] for kind in towncrier["type"]}
    fragments = [path for path in tracked if path.parts[0] == "changelog.d" and len(path.parts) > 2]
    strays = [
        str(path)
        for path in fragments
        if path.parts[1] not in folders
        or path.suffixes[-2:] not in [[f".{k}", ".md"] for k in kinds]
    ]
    assert strays == []


def test_every_member_supports_the_same_python(
    meta: dict[str, Any], projects: dict[str, Any]
) -> None:
    supported = {project["requires-python"] for project in [meta["project"], *projects.values()]}
    assert supported == {">=3.11"}


@pytest.mark.network
@pytest.mark.parametrize("package", ["acp", "agent", "cli", "http", "train"])
def test_every_package_resolves_alone(root: Path, uv: str, package: str, tmp_path: Path) -> None:
    project = f"packages/punie-{package}/pyproject.toml"
    run = subprocess.run(
        [
            uv,
            *("pip", "compile", "--quiet", "--universal", "--all-extras"),
            *("--output-file", str(tmp_path / "locked.txt"), project),
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
