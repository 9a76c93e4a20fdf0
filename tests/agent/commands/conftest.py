"""A session with a scripted model, and what commands need besides."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from punie.agent.commands import COMMANDS, Desk, prompt
from punie.agent.runtime import Runtime
from punie.agent.testing import Recorder


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Commands:
    """A person who types."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.session = runtime.open_session(folder)
        self.desk = Desk(self.session, runtime)
        self.heard = Recorder()
        self.session.attach(self.heard)

    async def __call__(self, text: str) -> str:
        return (await prompt(self.desk, text, COMMANDS)).text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def typing() -> type[Commands]:
    return Commands


@pytest.fixture
async def typed(folder: Path, tmp_path: Path) -> AsyncIterator[Commands]:
    environ = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
    runtime = Runtime(model="test", environ=environ)
    yield Commands(runtime, folder)
    await runtime.aclose()
