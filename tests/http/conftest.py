"""A hub that really runs: its own database and port, a browser's session or a program's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from punie.http.app import Address, serving
from punie.http.config import Settings
from punie.http.hub import Hub, open_hub

PATIENCE = 30.0
"""Seconds for what takes a moment; the machine may be busy."""


class Message(NamedTuple):
    """One server-sent event."""

    name: str
    id: int | None
    data: Any


class Running:
    """A hub, where it is, and a program that may use it."""

    def __init__(self, hub: Hub, address: Address, http: aiohttp.ClientSession) -> None:
        self.hub = hub
        self.address = address
        self.http = http

    async def get(self, path: str) -> Any:
        async with self.http.get(path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        async with self.http.post(path, json={} if body is None else body) as response:
            assert response.status == status, await response.text()
            return await response.json() if response.status != 204 else None

    async def stream(self, query: str = "", **headers: str) -> AsyncIterator[Message]:
        """Server-sent events, as they come."""
        async with self.http.get(f"/api/events{query}", headers=headers) as response:
            assert response.status == 200, await response.text()
            name, event_id, data = "", None, ""
            async for raw in response.content:
                line = raw.decode().rstrip("\n")
                match line.partition(": "):
                    case ("event", _, value):
                        name = value
                    case ("id", _, value):
                        event_id = int(value)
                    case ("data", _, value):
                        data = value
                    case ("", _, _) if data:
                        yield Message(name, event_id, json.loads(data))
                        name, event_id, data = "", None, ""
                    case _:
                        pass

    async def until(self, query: str, wanted: Callable[[Message], bool]) -> list[Message]:
        """The events up to the first one that is wanted."""
        seen: list[Message] = []
        async with asyncio.timeout(PATIENCE):
            async for message in self.stream(query):
                seen.append(message)
                if wanted(message):
                    return seen
        raise AssertionError(f"the stream ended after {seen}")

    async def ready(self, *, agents: int = 1) -> None:
        """Wait until agents can be used."""
        count: set[str] = set()

        def enough(message: Message) -> bool:
            told = message.data["agents"] if message.name == "overview" else [message.data]
            if message.name in {"overview", "agent"}:
                count.update(agent["name"] for agent in told if agent["condition"] == "ready")
            return len(count) >= agents

        await self.until("", enough)

    async def new_session(self, **body: Any) -> int:
        await self.ready()
        return (await self.post("/api/sessions", body, status=201))["key"]

    async def prompt(self, session: int, text: str, **more: Any) -> None:
        body = {"text": text, **more}
        await self.post(f"/api/sessions/{session}/prompts", body, status=202)

    async def asked(self, session: int) -> dict[str, Any]:
        """Wait until a session asks for something."""

        def asks(message: Message) -> bool:
            told = message.data["inbox"] if message.name == "overview" else [message.data]
            return message.name in {"overview", "asked"} and any(
                one["session"] == session for one in told
            )

        last = (await self.until("", asks))[-1]
        told = last.data["inbox"] if last.name == "overview" else [last.data]
        return next(one for one in told if one["session"] == session)

    async def idle(self, session: int, *, after: int = 0) -> list[Message]:
        """The log of a session up to the end of a turn."""
        query = f"?session={session}&after={after}&states=0"
        return await self.until(query, is_end_of_turn)


def is_end_of_turn(message: Message) -> bool:
    return message.name == "log" and message.data["body"].get("state") == "idle"


RunHub = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "project"
    folder.mkdir()
    return Settings(
        port=0,
        model="test",
        folder=folder,
        database=tmp_path / "state" / "hub.db",
        state=tmp_path / "state" / "hub.json",
    )


@pytest.fixture
def run_hub(settings: Settings) -> RunHub:
    @asynccontextmanager
    async def run(chosen: Settings | None = None) -> AsyncGenerator[Running, None]:
        async with (
            open_hub(chosen or settings) as hub,
            serving(hub) as address,
            aiohttp.ClientSession(
                address.url,
                headers={"Authorization": f"Bearer {address.token}"},
                read_bufsize=1 << 24,  # one event is one line, and events are joined
            ) as http,
        ):
            yield Running(hub, address, http)

    return run


@pytest.fixture(autouse=True)
def private_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of these tests reaches the person's own sessions and settings."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
