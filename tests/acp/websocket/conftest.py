"""Real sockets on loopback, and a wire between them that can be cut at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from punie.acp.transports.websocket import Endpoint, WebSocketTransport


class Frames:
    """Keeps what a transport brings."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.over = asyncio.Event()
        self._grown = asyncio.Condition()

    def frame_received(self, frame: bytes) -> None:
        self.frames.append(frame)
        asyncio.get_running_loop().create_task(self._tell())

    def frame_dropped(self, size: int) -> None:
        raise AssertionError("a WebSocket drops no frame")

    def ended(self) -> None:
        assert not self.over.is_set()
        self.over.set()

    async def at_least(self, count: int) -> None:
        """Wait for frames."""
        async with asyncio.timeout(20), self._grown:
            await self._grown.wait_for(lambda: len(self.frames) >= count)

    async def _tell(self) -> None:
        async with self._grown:
            self._grown.notify_all()


class Wire:
    """A TCP proxy. Cuts a connection after so many bytes that its dialler has sent or received.

    Attributes:
        cuts: For the next connections, in order: (bytes upwards, bytes downwards) to let through.
        deaf: Whether bytes are swallowed instead of passed on, with no end of the connection.
        connections: Connections made so far.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.cuts: list[tuple[int, int]] = []
        self.deaf = False
        self.refuse = False
        self.connections = 0
        self._dialled = asyncio.Condition()
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def accept(self, up: asyncio.StreamReader, down: asyncio.StreamWriter) -> None:
        self.connections += 1
        async with self._dialled:
            self._dialled.notify_all()
        self._writers.add(down)
        if self.refuse:
            down.transport.abort()
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(writer)
        limits = self.cuts.pop(0) if self.cuts else (2**60, 2**60)
        jobs = [
            asyncio.ensure_future(self._pump(up, writer, limits[0])),
            asyncio.ensure_future(self._pump(reader, down, limits[1])),
        ]
        self._tasks.update(jobs)
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in jobs:
            job.cancel()
        for end in (writer, down):
            end.transport.abort()
            self._writers.discard(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int
    ) -> None:
        with contextlib.suppress(OSError):
            while limit > 0 and (data := await reader.read(min(limit, 65536))):
                limit -= len(data)
                if not self.deaf:
                    writer.write(data)
                    await writer.drain()

    async def dialled(self, count: int) -> None:
        """Wait for connections."""
        async with asyncio.timeout(20), self._dialled:
            await self._dialled.wait_for(lambda: self.connections >= count)

    def cut(self) -> None:
        """Reset every connection now."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def end(self) -> None:
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class Place:
    """A running server with an endpoint at `/acp`, and a wire in front of it."""

    def __init__(self, endpoint: Endpoint | None, runner: web.AppRunner, wire: Wire) -> None:
        self.endpoint = endpoint
        self.runner = runner
        self.wire = wire
        self.direct = f"ws://127.0.0.1:{runner.addresses[0][1]}/acp"
        self.url = f"ws://127.0.0.1:{wire.port}/acp"


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve_at(
    target: Endpoint | Handler, *, on_prepare: Any = None
) -> AsyncGenerator[Place, None]:
    """Serve an endpoint, or a handler of another make, until the block is left."""
    endpoint = target if isinstance(target, Endpoint) else None
    app = web.Application()
    if on_prepare is not None:
        app.on_response_prepare.append(on_prepare)
    app.router.add_get("/acp", target.handle if isinstance(target, Endpoint) else target)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    wire = Wire(runner.addresses[0][1])
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0, limit=1024)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield Place(endpoint, runner, wire)
    finally:
        if endpoint is not None:
            await endpoint.aclose()
        await wire.end()
        server.close()
        await runner.cleanup()


class Collector:
    """What an endpoint serves: keeps the frames of each connection, in order of arrival."""

    def __init__(self) -> None:
        self.connections: list[tuple[WebSocketTransport, Frames]] = []
        self._came = asyncio.Condition()

    async def __call__(self, transport: WebSocketTransport, _request: web.Request) -> None:
        frames = Frames()
        await transport.open(frames)
        async with self._came:
            self.connections.append((transport, frames))
            self._came.notify_all()
        await frames.over.wait()

    async def first(self) -> tuple[WebSocketTransport, Frames]:
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: bool(self.connections))
        return self.connections[0]


@pytest.fixture(autouse=True)
def no_task_fails_unseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What asyncio and aiohttp can only log is a failure, too."""
    yield
    for phase in ("setup", "call"):
        for record in caplog.get_records(phase):
            assert record.name.partition(".")[0] not in {"asyncio", "aiohttp"} or (
                record.levelno < logging.ERROR
            ), record.getMessage()


@pytest.fixture
def serving() -> Callable[..., contextlib.AbstractAsyncContextManager[Place]]:
    return serve_at


@pytest.fixture
def collector() -> Callable[[], Collector]:
    return Collector


@pytest.fixture
def frames() -> Callable[[], Frames]:
    return Frames
