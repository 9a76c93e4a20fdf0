"""The real `punie`, as a person starts it, in a home folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PUNIE = [sys.executable, "-c", "from punie.cli.main import main; main()"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.txt").write_text("hi\n")
    return folder


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUNIE")}
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        kept.pop(name, None)
    return kept | {"HOME": str(home)}


Punie = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def punie(project: Path, environment: dict[str, str]) -> Punie:
    """Run `punie` with arguments, and with no terminal anywhere."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PUNIE, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=50,
            check=False,
            **{"cwd": project, "env": environment} | options,  # type: ignore[arg-type]
        )

    return run
