"""Runs the catalog's tools in real projects and records what they return.

Projects are built in a temporary folder by `projects`; every result is a real run. What is recorded
depends on the machine (durations, versions), so it is kept and read again instead of repeated.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from punie.agent.workspaces.local import LocalWorkspace
from punie.train.data.generators import projects, repositories, slots
from punie.train.data.generators.projects import Project
from punie.train.data.generators.results import Recorded, record


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is run."""

    built: int = 12
    """Projects built on the fly, with tests."""
    packages: tuple[str, ...] = projects.PACKAGES
    """Installed packages copied as repositories; those that are missing are left out."""
    fetched: tuple[str, ...] = ()
    """Published packages, `name==version`, unpacked as repositories."""
    suffixes: tuple[str, ...] = ()
    """Endings of files besides `.py` that are read and searched in them."""
    each: int = 8
    """Most runs of one tool in one project."""


async def harvest(
    plan: Plan, *, seed: int, limit: int, told: Callable[[str, int], None]
) -> list[Recorded]:
    """Record results.

    Args:
        plan: How much.
        seed: Decides projects, faults and what is asked.
        limit: Length of a rendered result, characters.
        told: Called after each project with its name and the results so far.
    """
    rng = random.Random(seed)
    recorded: list[Recorded] = []
    with tempfile.TemporaryDirectory(prefix="punie-projects-") as folder:
        for project in _projects(plan, Path(folder), rng):
            recorded.extend([
                msgspec.structs.replace(one, paths=_some(project, rng))
                async for one in _runs(project, plan.each, rng, limit)
            ])
            told(project.name, len(recorded))
    return recorded


def _projects(plan: Plan, folder: Path, rng: random.Random) -> Iterator[Project]:
    for number in range(plan.built):
        yield projects.build(folder / f"built{number}", rng)
    for name in plan.packages:
        copied = projects.copy_package(name, folder / f"copied-{name}")
        if copied is not None:
            yield copied
    for requirement in plan.fetched:
        yield repositories.fetch(requirement, folder / requirement, suffixes=plan.suffixes)


def _some(project: Project, rng: random.Random) -> tuple[str, ...]:
    known = [*project.modules, *project.tests, *project.folders]
    return tuple(rng.sample(known, min(len(known), 3)))


async def _runs(
    project: Project, each: int, rng: random.Random, limit: int
) -> AsyncIterator[Recorded]:
    workspace = LocalWorkspace(project.root)
    for tool, arguments in _calls(project, each, rng):
        if tool == "git_status":
            projects.dirty(project, rng)
        yield await record(workspace, tool, arguments, repository=project.name, limit=limit)


def _calls(project: Project, each: int, rng: random.Random) -> list[tuple[str, dict[str, str]]]:
    code = [*project.modules, *project.tests]
    readable = [*code, *rng.sample(project.others, min(len(project.others), len(code)))]
    checked = [".", *project.folders, *code]
    tested = [".", *project.tests, *(f for f in project.folders if f.startswith("tests"))]
    wanted: dict[str, list[str]] = {
        "read_file": [*readable, "README.md", "pyproject.toml"] if project.tests else readable,
        "lint": checked,
        "typecheck": checked,
        "run_tests": tested if project.tests else [],
    }
    calls = [
        (tool, {"path": path})
        for tool, paths in wanted.items()
        for path in rng.sample(paths, min(len(paths), each))
    ]
    # A path that is not there: the error must be reported as one.
    shape: slots.Shape = rng.choice(("code", "test", "dir"))
    calls.append((rng.choice(tuple(wanted)), {"path": slots.path(shape, rng)}))
    calls += [("search", {"query": query}) for query in _queries(project, each, rng)]
    calls += [("git_status", {})] * each
    return calls


def _sample(project: Project, rng: random.Random) -> list[str]:
    """Pick files to take words from: some in each language there is."""
    return [
        path
        for files in (project.modules, project.others)
        for path in rng.sample(files, min(len(files), 6))
    ]


def _queries(project: Project, each: int, rng: random.Random) -> list[str]:
    """Take names and pieces of lines out of the project, and some that it does not have."""
    lines = [
        line.strip()
        for path in _sample(project, rng)
        for line in (project.root / path).read_text(encoding="utf-8", errors="replace").splitlines()
        if 8 < len(line.strip()) < 60 and line.isascii() and '"' not in line and "\\" not in line
    ]
    words = sorted({w for line in lines for w in line.split() if w.isidentifier() and len(w) > 3})
    found = rng.sample(words, min(len(words), each - each // 3))
    found += rng.sample(lines, min(len(lines), each // 3))
    return [*found, slots.name(rng)]
