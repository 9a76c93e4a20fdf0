"""Punie as an agent: in this process over memory, and as the process that an IDE starts."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
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

    async def session_update(self, params: v1.SessionNotification) -> None:
        await super().session_update(params)
        self.__dict__.setdefault("changed", asyncio.Event()).set()

    async def until(self, predicate: Callable[[], Any]) -> None:
        changed = self.__dict__.setdefault("changed", asyncio.Event())
        while not predicate():
            changed.clear()
            await changed.wait()


@pytest.fixture
def editor() -> Editor:
    return Editor()


@pytest.fixture
def editor_of() -> Callable[[], Editor]:
    """Make a client that has no session yet."""
    return Editor


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


class Process:
    """`punie acp --model test`, spoken to line by line."""

    def __init__(self, environment: dict[str, str], *options: str) -> None:
        self.child = subprocess.Popen(
            [*PUNIE_ACP, "--model", "test", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self.lines: list[dict[str, Any]] = []
        self._id = 0

    def send(self, method: str, params: Any) -> int:
        assert self.child.stdin is not None
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()
        return self._id

    def answer(self, request: dict[str, Any], result: Any) -> None:
        assert self.child.stdin is not None
        message = {"jsonrpc": "2.0", "id": request["id"], "result": result}
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, self.child.stderr and self.child.stderr.read().decode()
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def until(self, **wanted: Any) -> dict[str, Any]:
        while True:
            line = self.read()
            if wanted.items() <= line.items():
                return line

    def ask(self, method: str, params: Any) -> dict[str, Any]:
        answer = self.until(id=self.send(method, params))
        return answer["result"]

    def notify(self, method: str, params: Any) -> None:
        assert self.child.stdin is not None
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def kill(self) -> None:
        """End it as no process can prevent."""
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
            if pipe is not None:
                pipe.close()

    def open(self, project: Path) -> str:
        info = {"name": "editor", "title": "Test Editor", "version": "1"}
        hello = {"protocolVersion": 1, "clientCapabilities": {}, "clientInfo": info}
        self.ask("initialize", hello)
        return self.ask("session/new", {"cwd": str(project), "mcpServers": []})["sessionId"]

    def prompt(self, session_id: str, text: str) -> int:
        blocks = [{"type": "text", "text": text}]
        return self.send("session/prompt", {"sessionId": session_id, "prompt": blocks})

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def process(environment: dict[str, str]) -> Iterator[Process]:
    started = Process(environment)
    yield started
    started.child.kill()
    started.child.wait()
    for pipe in (started.child.stdin, started.child.stdout, started.child.stderr):
        if pipe is not None:
            pipe.close()
