"""What `benchmarks/hub.py` measures with: a hub in a process of its own, its agents, its pages."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from punie.acp.transports.websocket import dial
from punie.http.config import HubState, read_state
from punie.http.testing import Puppet


class Figure(NamedTuple):
    """One row of the table."""

    what: str
    value: float
    unit: str
    target: float | None = None

    @property
    def met(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        return "yes" if self.value <= self.target else "NO"


class Hub(NamedTuple):
    """A hub in a process of its own."""

    state: HubState
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        """What a program sends."""
        return {"Authorization": f"Bearer {self.state.token}"}

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = (
            Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the kernel does not tell")

    async def agent(self, *sessions: str) -> Puppet:
        """An agent that has dialled in and whose sessions are joined."""
        url = self.state.url.replace("http", "ws") + "/agents"
        puppet = Puppet(await dial(url, headers=self.headers))
        await puppet.start(*sessions)
        for session in sessions:
            await puppet.joined[session].wait()
        return puppet


@contextmanager
def serving() -> Generator[Hub]:
    """Start `punie serve` in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, serving_in(Path(folder), free_port()) as hub:
        yield hub


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving_in(folder: Path, port: int) -> Generator[Hub]:
    """Start `punie serve` where one may have been before.

    Args:
        folder: Its state, and where it works.
        port: Where it listens.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "punie", "serve", "--model", "test", "--port", str(port)],
        cwd=folder,
        env=os.environ | {"XDG_STATE_HOME": str(folder)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        state = read_state(folder / "punie" / "hub.json")
        assert state is not None
        yield Hub(state, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def editing_in(folder: Path) -> Generator[None]:
    """Start `punie acp` as an editor does, with one session.

    Args:
        folder: Its state, and where it works.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "punie", "acp", "--model", "test"],
        env=os.environ | {"XDG_STATE_HOME": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdin is not None
        hello: dict[str, Any] = {"protocolVersion": 1, "clientCapabilities": {}}
        place: dict[str, Any] = {"cwd": str(folder), "mcpServers": []}
        for number, (method, params) in enumerate((("initialize", hello), ("session/new", place))):
            request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        yield
    finally:
        process.kill()
        process.wait()


async def attached(http: aiohttp.ClientSession) -> None:
    """Wait until a session of an editor's agent is attached."""
    async with http.get("/api/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                for session in told.get("sessions", [told]):
                    if session.get("agent") == "ide" and session.get("attached"):
                        return


@asynccontextmanager
async def browsing(hub: Hub) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Pages: as many connections as it takes."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        hub.state.url, headers=hub.headers, connector=connector, timeout=timeout
    ) as http:
        yield http


async def settled(http: aiohttp.ClientSession, puppets: list[Puppet]) -> None:
    """Wait until what every agent says is recorded, none of it as part of a replay."""
    missing = {session for puppet in puppets for session in puppet.histories}
    for puppet in puppets:
        for session in puppet.histories:
            puppet.say(session, "begin", message_id="m0")
    async with http.get("/api/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                for one in told.get("sessions", [told]):
                    if one.get("snippet") == "begin":
                        missing.discard(one["session_id"])
                if not missing:
                    return


async def ready(http: aiohttp.ClientSession) -> None:
    """Wait until Punie's own agent can be used."""
    async with http.get("/api/events") as response:
        async for line in response.content:
            if b'"condition":"ready"' in line:
                return


async def greeted(http: aiohttp.ClientSession) -> None:
    """Let a session answer once."""
    async with http.post("/api/sessions", json={}) as response:
        key = (await response.json())["key"]
    async with http.post(f"/api/sessions/{key}/prompts", json={"text": "hello"}):
        pass
    async with http.get(f"/api/events?session={key}&after=0") as response:
        async for line in response.content:
            if b'"stopReason"' in line:
                return


async def asked(http: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """What waits for a person, as soon as something does."""
    async with http.get("/api/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                waiting = told.get("inbox", [told] if "options" in told else [])
                if waiting:
                    return waiting
    raise RuntimeError("the stream ended")


async def kept(http: aiohttp.ClientSession, count: int) -> int:
    """Wait until the one session there is has so many events; its key."""
    async with http.get("/api/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                for session in told.get("sessions", [told]):
                    if session.get("seq", 0) >= count:
                        return session["key"]
    raise RuntimeError("the stream ended")


def spread(what: str, took: list[float], *, at: int, aim: float, unit: str = "ms") -> list[Figure]:
    """Give the median of measurements, and the percentile that has an aim; 100 is the slowest."""
    ordered = sorted(took)
    high = "slowest" if at == 100 else f"p{at}"
    return [
        Figure(f"{what}, p50 (n={len(took)})", percentile(ordered, 50), unit),
        Figure(f"{what}, {high}", percentile(ordered, at), unit, aim),
    ]


def percentile(ordered: list[float], percent: float) -> float:
    """Of values in order: the smallest that so many percent do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
