"""Sessions that are kept: the same file, opened by one process after another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.gate import Standing
from punie.agent.permissions.policy import Mode
from punie.agent.permissions.remembered import of_session
from punie.agent.sessions.journal import Journal
from punie.agent.sessions.manager import Parts, Sessions
from punie.agent.sessions.store import Stored
from punie.agent.testing import Requests, brain_opener
from punie.agent.testing.scripts import Script
from punie.agent.workspaces.local import LocalWorkspace


class Process(NamedTuple):
    """The sessions of what stands for one process, whose model follows a script."""

    sessions: Sessions
    journal: Journal
    requests: Requests
    parts: Callable[[Stored], Parts]

    def open(self, session_id: str = "s") -> Any:
        fresh = Stored(session_id=session_id, cwd="", created=0, updated=0)
        return self.sessions.open(session_id, **self.parts(fresh)._asdict())

    async def load(self, session_id: str = "s") -> Any:
        return await self.sessions.load(session_id, self.parts)


Start = Callable[..., AbstractAsyncContextManager[Process]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def process(state: Path, root: Path) -> Start:
    """Begin a process: `async with process(script) as p`. It ends as a killed one does."""

    @asynccontextmanager
    async def begin(
        script: Script = (),
        *,
        mode: Mode = "ask",
        folder: Path | None = None,
        spec: ModelSpec | None = None,
    ) -> AsyncIterator[Process]:
        requests = Requests()
        opener = brain_opener(script, spec=spec, requests=requests)

        def parts(stored: Stored) -> Parts:
            answers = msgspec.json.decode(stored.settings).get("answers", [])
            standing = Standing(earlier=of_session(answers))
            workspace = LocalWorkspace(root)
            return Parts(workspace=workspace, mode=mode, open_brain=opener, standing=standing)

        journal = Journal(folder or state)
        sessions = Sessions(journal)
        yield Process(sessions, journal, requests, parts)
        # What is on disk stays as it is, and the lock goes, as after `kill -9`.
        await journal.aclose()
        await sessions.aclose()

    return begin
