"""A session over a real folder, whose model follows a script."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.gate import Standing
from punie.agent.permissions.policy import Mode
from punie.agent.sessions.session import Session
from punie.agent.testing import Answers, Recorder, Requests, brain_opener
from punie.agent.testing.scripts import Script
from punie.agent.workspaces.local import LocalWorkspace


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def largest_file() -> Callable[[int], AbstractContextManager[None]]:
    """Make the kernel refuse longer files, as a full disk does; works as root and in children too."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)

    return limit


class Scene(NamedTuple):
    session: Session
    heard: Recorder
    requests: Requests
    root: Path


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Scene]:
    """Begin a session: `play(script, mode="ask", person=Answers("allow_once"), spec=...)`."""

    def begin(
        script: Script,
        *,
        mode: Mode = "ask",
        person: Answers | None = None,
        spec: ModelSpec | None = None,
        standing: Standing | None = None,
    ) -> Scene:
        requests = Requests()
        session = Session(
            "s",
            workspace=LocalWorkspace(tmp_path),
            mode=mode,
            open_brain=brain_opener(script, spec=spec, requests=requests),
            standing=standing,
        )
        heard = Recorder()
        session.attach(heard, asker=person)
        return Scene(session, heard, requests, tmp_path)

    return begin
