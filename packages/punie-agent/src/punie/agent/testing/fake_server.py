"""A scripted OpenAI-compatible server on a real socket: tests of what servers really send.

Each request to `/v1/chat/completions` takes the next script; what was sent is kept in `requests`.
`spoken` makes one of the steps that scripted models follow, for a `punie` that runs as a process.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from punie.agent.testing.scripts import Call, Fail, Say, Step, Think, Wait

Piece: TypeAlias = dict[str, Any] | bytes | asyncio.Event
"""A JSON chunk; raw bytes; or an event: the server waits for it before it goes on."""


CUT = b""
"""A piece at which the server closes the connection."""


class Refusal(NamedTuple):
    """An answer that is no stream."""

    status: int
    body: str


@dataclass
class FakeServer:
    """What the server says and heard."""

    models: tuple[str, ...] = ("fake",)
    scripts: list[list[Piece] | Refusal] = field(default_factory=list[list[Piece] | Refusal])
    """For each request its chunks, or a refusal."""
    answer: Callable[[dict[str, Any]], list[Piece] | Refusal] | None = None
    """Decides by the request what is said, instead of the scripts."""
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    pages: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    """What it says under other paths, such as `/props`; the rest is not found."""
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client goes away before the end of its answer."""
    url: str = ""
    """The base URL, ending in `/v1`."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (
                    int(line.partition(":")[2])
                    for line in head.splitlines()
                    if line.lower().startswith("content-length:")
                ),
                0,
            )
            body = await reader.readexactly(length)
            page = self.pages.get(head.split(" ")[1])
            if page is not None:
                await _send(writer, 200, json.dumps(page).encode())
            elif not head.startswith(("GET /v1/models ", "POST /v1/chat/completions ")):
                await _send(writer, 404, b'{"error": "not found"}')
            elif head.startswith("GET"):
                listing = {"object": "list", "data": [{"id": name} for name in self.models]}
                await _send(writer, 200, json.dumps(listing).encode())
            else:
                self.requests.append(json.loads(body))
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.disconnected.set()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.answer(self.requests[-1]) if self.answer else self._next()
        if isinstance(script, Refusal):
            await _send(writer, script.status, script.body.encode())
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Connection: close\r\n\r\n")
        for piece in script:
            if isinstance(piece, asyncio.Event):
                await self._wait(piece, reader)
                continue
            if piece == CUT:
                return
            raw = piece if isinstance(piece, bytes) else f"data: {json.dumps(piece)}\n\n".encode()
            writer.write(raw)
            await writer.drain()
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()

    def _next(self) -> list[Piece] | Refusal:
        return self.scripts.pop(0) if self.scripts else Refusal(400, "the script has ended")

    async def _wait(self, event: asyncio.Event, reader: asyncio.StreamReader) -> None:
        """Wait for the event, or notice that the client has gone."""
        gone, happened = asyncio.ensure_future(reader.read()), asyncio.ensure_future(event.wait())
        done, rest = await asyncio.wait({gone, happened}, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        if gone in done:
            raise ConnectionResetError


def chunk(*, content: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Make one streamed chunk."""
    if content is not None:
        delta["content"] = content
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "model": "fake", "choices": [choice]}


def call(name: str, arguments: Any, *, index: int | None = 0, id: str | None = "c1") -> Any:
    """Make one entry of `tool_calls`."""
    entry: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}}
    if index is not None:
        entry["index"] = index
    return entry | ({} if id is None else {"id": id})


_numbers = itertools.count(1)


def spoken(steps: Sequence[Step]) -> list[Piece]:
    """Turn the steps of one answer into what a server streams.

    Args:
        steps: As for `scripted_model`. `Fail` cuts the stream, whatever its error.
    """
    pieces: list[Piece] = []
    calls = 0
    for step in steps:
        match step:
            case str(text) | Say(text):
                pieces.append(chunk(content=text))
            case Think(text):
                pieces.append(chunk(reasoning_content=text))
            case Call(name, arguments, call_id):
                text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                entry = call(name, text, index=calls, id=call_id or f"call_{next(_numbers)}")
                pieces.append(chunk(tool_calls=[entry]))
                calls += 1
            case Wait(event):
                pieces.append(event or asyncio.Event())
            case Fail():
                return [*pieces, CUT]
    return [*pieces, chunk(finish="tool_calls" if calls else "stop")]


@asynccontextmanager
async def open_fake_server(*models: str) -> AsyncGenerator[FakeServer]:
    """Run a server on a free port of this machine.

    Args:
        models: The ids that it lists; `fake` by default.
    """
    fake = FakeServer(models=models or ("fake",))
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield fake


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()
