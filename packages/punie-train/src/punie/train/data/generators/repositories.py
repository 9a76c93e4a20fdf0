"""Published packages as repositories: fetched at a pinned version, unpacked, committed.

What an index serves under `name==version` never changes, so the pin says what the tools will see.
Wheels hold a package's code without its tests; nothing of it is run.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from punie.train.data.generators.projects import Project, commit_all, project_of
from punie.train.errors import DataError

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==[\w.!+]+")
_LONGEST = 400
"""Characters of an installer's complaint that are shown."""


def fetch(requirement: str, root: Path, *, suffixes: tuple[str, ...]) -> Project:
    """Unpack a published package and commit it.

    Args:
        requirement: `name==version`.
        root: Made; must not exist.
        suffixes: Endings of the files that are asked about besides `.py`, such as `.html`.

    Raises:
        DataError: The requirement is not pinned, or cannot be fetched.
    """
    pin = _PIN.fullmatch(requirement)
    if pin is None:
        raise DataError(f"{requirement!r} is not pinned: write `name==version`")
    target = root / "src"
    target.mkdir(parents=True)
    done = subprocess.run(
        [*_installer(), "--no-deps", "--quiet", "--target", str(target), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"{requirement} cannot be fetched: {done.stderr.strip()[-_LONGEST:]}")
    for unwanted in [*target.glob("*.dist-info"), *target.rglob("__pycache__"), target / "bin"]:
        shutil.rmtree(unwanted, ignore_errors=True)
    for lock in target.glob(".*"):
        lock.unlink()
    for binary in [*target.rglob("*.so"), *target.rglob("*.pyd")]:
        binary.unlink()
    commit_all(root, f"Import {requirement}")
    return project_of(root, pin["name"], suffixes=suffixes)


def _installer() -> list[str]:
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install"]
    raise DataError("neither uv nor pip is here to fetch repositories: pip install uv")
