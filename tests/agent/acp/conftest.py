"""Punie as an agent: in this process over memory, and as the process that an IDE starts."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from punie.acp.agent_side import serve_dual
from punie.acp.client_side import AgentProxy
from punie.acp.schema import v1
from punie.acp.testing import EVERYTHING, RecordingClient, served
from punie.acp.transports.base import Transport
from punie.agent.acp.agent import PunieAgent
from punie.agent.runtime import Runtime

PUNIE_ACP = [sys.executable, "-c", "from punie.cli.main import main; main()", "acp"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.txt").write_text("on disk\n")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUNIE")}
    return kept | {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}


class Editor(RecordingClient):
    """A client with one open session."""

    agent: AgentProxy
    session_id: str

    async def ask(self, text: str, *more: Any) -> v1.PromptResponse:
        blocks = [v1.TextContent(text=text), *more]
        request = v1.PromptRequest(session_id=self.session_id, prompt=blocks)
        return await self.agent.prompt(request)

    def of(self, kind: type[Any]) -> list[Any]:
        return [n.update for n in self.updates if isinstance(n.update, kind)]


NOTHING = v1.ClientCapabilities()
Open = Callable[..., AbstractAsyncContextManager[Editor]]


@pytest.fixture
def opened(project: Path, environment: dict[str, str]) -> Open:
    """Open a session in this process: `async with opened(Editor(), capabilities=...)`."""

    @asynccontextmanager
    async def open_session(
        client: Editor, capabilities: v1.ClientCapabilities = EVERYTHING
    ) -> AsyncIterator[Editor]:
        def make(transport: Transport) -> Any:
            host = lambda: Runtime(model="test", environ=environment)  # noqa: E731
            return serve_dual(lambda proxy: PunieAgent(proxy, host), transport)

        async with served(make, client) as agent:
            hello = v1.InitializeRequest(protocol_version=1, client_capabilities=capabilities)
            await agent.initialize(hello)
            request = v1.NewSessionRequest(cwd=str(project), mcp_servers=[])
            client.agent = agent
            client.session_id = (await agent.new_session(request)).session_id
            yield client

    return open_session
