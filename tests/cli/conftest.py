"""Runs the real `punie` in real processes, with plugins that are real distributions on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import dedent

import pytest

RunPunie = Callable[..., CompletedProcess[str]]
Plug = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that every `punie` of the test has on its import path."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of the person who runs `punie` in the test."""
    return tmp_path / "state"


@pytest.fixture
def run_punie(site: Path, state: Path) -> RunPunie:
    def run(
        *arguments: str,
        python: tuple[str, ...] = (),
        stdin: int = subprocess.DEVNULL,
        **environment: str,
    ) -> CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *python, "-m", "punie", *arguments],
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={
                **os.environ,
                "PYTHONPATH": str(site),
                "XDG_STATE_HOME": str(state),
                "COLUMNS": "100",
                **environment,
            },
        )

    return run


@pytest.fixture
def plug(site: Path) -> Plug:
    """Installs a distribution with one module and its entry points."""

    def install(distribution: str, module: str, source: str, **entries: str) -> None:
        (site / f"{module}.py").write_text(dedent(source))
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        )
        lines = [f"{name} = {target}" for name, target in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[punie.commands]", *lines, ""]))

    return install
