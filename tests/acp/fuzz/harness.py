"""Coverage-guided fuzzing with atheris: any bytes into an agent, a client, or a WebSocket.

    python tests/acp/fuzz/harness.py agent SEEDS -atheris_runs=5000
    python tests/acp/fuzz/harness.py websocket WORK SEEDS -max_total_time=3600

The first word is the target, `agent`, `client` or `websocket`; the rest is libFuzzer's: folders with
inputs (new ones go into the first) and options. SEEDS are in `tests/acp/fuzz/seeds`. Whatever comes:
no exception, no hang, the right answer or none, and service afterwards.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["punie.acp"]):
    from punie.acp.agent_side import serve
    from punie.acp.client_side import connect
    from punie.acp.testing import INITIALIZE, RecordingClient
    from punie.acp.testing.bench_agent import BenchAgent
    from punie.acp.testing.pipe import BytePipe
    from punie.acp.transports.websocket import Endpoint

GROWTH = 100 * 1024 * 1024
"""Bytes by which a run may grow, the inputs that libFuzzer keeps included."""
MAX_FRAME = 4096  # so that a fuzzer can exceed it
HELLO = b'{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":1}}'
PING = b'{"jsonrpc":"2.0","id":"the last","method":"_bench/ping"}'
ANSWERS = {-32700, -32600, -32601, -32602, -32800, -32000, -32002}
"""Error codes that a stranger's bytes may get; -32603 would be a fault of ours."""


class Faults(logging.Handler):
    """Fails the run for anything that is logged as an error."""

    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(f"logged as an error: {record.getMessage()}") from (
            record.exc_info[1] if record.exc_info else None
        )


def feed(pipe: BytePipe, data: bytes) -> None:
    """Give a stream of bytes in pieces whose size the first byte says."""
    step, stream = (data[0] % 64 + 1 if data else 1), data[1:]
    for start in range(0, len(stream), step):
        pipe.feed(stream[start : start + step])
    pipe.feed(b"\n")


def lines_of(data: bytes) -> list[bytes]:
    return [line for line in data[1:].split(b"\n") if line and not line.isspace()]


def verdict(line: bytes) -> str:
    """What a line deserves by the standard library: `answer` (without an id), or `maybe`."""
    if len(line) > MAX_FRAME:
        return "answer"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return "answer"
    return "maybe" if isinstance(value, dict) else "answer"


def check_answers(data: bytes, sent: list[bytes]) -> None:
    """Every line that is no object has its one error; no line has two answers."""
    answers = [json.loads(frame) for frame in sent]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    answers = [one for one in answers if "method" not in one]
    codes = [one["error"]["code"] for one in answers if "error" in one]
    assert set(codes) <= ANSWERS, codes
    lines = lines_of(data)
    assert len(answers) <= len(lines), (len(answers), len(lines))
    due = sum(verdict(line) == "answer" for line in lines)
    nameless = [one for one in answers if one["id"] is None and "error" in one]
    assert len(nameless) >= due, (len(nameless), due)


async def fuzz_agent(data: bytes) -> None:
    """Bytes from a client."""
    pipe = BytePipe(max_frame=MAX_FRAME)
    serving = asyncio.ensure_future(serve(BenchAgent, pipe))
    await asyncio.sleep(0)
    pipe.feed(HELLO + b"\n")
    feed(pipe, data)
    pipe.feed(PING + b"\n")
    await asyncio.wait_for(pipe.answered.wait(), 5)
    pipe.stop_reading()
    await asyncio.wait_for(serving, 5)
    check_answers(
        data, [one for one in pipe.sent if b'"hello"' not in one[:40] and b'"the last"' not in one]
    )


async def fuzz_client(data: bytes) -> None:
    """Bytes from an agent, while a request waits for its answer."""
    pipe = BytePipe(max_frame=MAX_FRAME)
    async with connect(RecordingClient(), pipe) as agent:
        asked = asyncio.ensure_future(agent.initialize(INITIALIZE))
        await asyncio.sleep(0)
        feed(pipe, data)
        ask = b'{"jsonrpc":"2.0","id":"the last","method":"_unknown"}'
        pipe.feed(ask + b"\n")
        await asyncio.wait_for(pipe.answered.wait(), 5)
    await asyncio.wait((asked,), timeout=5)
    assert asked.done()
    asked.exception()
    check_answers(data, [one for one in pipe.sent if b'"the last"' not in one])


class Site:
    """A WebSocket endpoint with an agent, for the whole run."""

    port = 0

    async def start(self) -> None:
        from aiohttp import web

        endpoint = Endpoint(
            lambda transport, _: serve(BenchAgent, transport), max_frame=MAX_FRAME, hold=0.05
        )
        app = web.Application()
        app.router.add_get("/acp", endpoint.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]

    async def dial(self, *headers: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        fixed = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13")
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        request = (b"GET /acp HTTP/1.1", b"Host: x", *fixed, key, *headers, b"", b"")
        writer.write(b"\r\n".join(request))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return reader, writer


def masked(first: int, payload: bytes) -> bytes:
    """A frame of a client, with a mask of zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([first]) + length + b"\x00" * 4 + payload


def frames_of(data: bytes) -> bytes:
    """Half of the inputs are raw bytes, half are frames: their first byte, a length, a payload."""
    raw, rest = data[0] % 2 if data else 0, data[1:]
    if raw:
        return rest
    stream = b""
    while len(rest) >= 2:
        first, size = rest[0], rest[1]
        stream += masked(first, rest[2 : 2 + size])
        rest = rest[2 + size :]
    return stream


SITE = Site()


async def fuzz_websocket(data: bytes) -> None:
    """Bytes after the handshake of a socket; the next client is served as if nothing was."""
    resumable = [b"Punie-Resume: 0"] if data[:1] > b"\x7f" else []
    reader, writer = await SITE.dial(*resumable)
    writer.write(masked(0x81, HELLO) + frames_of(data))
    writer.write_eof()
    while await asyncio.wait_for(reader.read(65536), 5):
        pass
    writer.close()
    reader, writer = await SITE.dial()
    writer.write(masked(0x81, HELLO) + masked(0x81, PING))
    async with asyncio.timeout(5):
        await reader.readuntil(b'"the last"')
    writer.transport.abort()


TARGETS: dict[str, Callable[[bytes], Awaitable[None]]] = {
    "agent": fuzz_agent,
    "client": fuzz_client,
    "websocket": fuzz_websocket,
}


def resident() -> int:
    """Bytes of memory in use now; libFuzzer looks at the highest ever, the starter's included."""
    return int(Path("/proc/self/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    for name in ("punie.acp", "aiohttp", "asyncio"):
        logging.getLogger(name).addHandler(Faults(logging.ERROR))
        logging.getLogger(name).propagate = False
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    if target is fuzz_websocket:
        loop.run_until_complete(SITE.start())
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))

    began, inputs = resident(), itertools.count(1)

    def one_input(data: bytes) -> None:
        loop.run_until_complete(target(data))
        assert not failures, failures
        if next(inputs) % 256 == 0:
            assert resident() - began < GROWTH, (resident(), began)

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
