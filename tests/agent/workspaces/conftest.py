"""A workspace on a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from punie.agent.workspaces.local import LocalWorkspace


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "a project ü"
    folder.mkdir()
    return folder


@pytest.fixture
def workspace(root: Path) -> Iterator[LocalWorkspace]:
    opened = LocalWorkspace(root)
    yield opened
    opened.close()
