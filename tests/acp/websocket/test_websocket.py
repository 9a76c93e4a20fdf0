"""Frames over real WebSockets: both roles at either end, limits, and peers of other makes."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from punie.acp.agent_side import serve
from punie.acp.client_side import connect
from punie.acp.errors import DialError
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient
from punie.acp.testing.bench_agent import BenchAgent
from punie.acp.transports.websocket import Endpoint, Keepalive, dial

Serving = Callable[..., AbstractAsyncContextManager[Any]]
Made = Callable[[], Any]
NEW = v1.NewSessionRequest(cwd="/", mcp_servers=[])


async def ask(agent: Any, text: str) -> v1.PromptResponse:
    await agent.initialize(INITIALIZE)
    session = await agent.new_session(NEW)
    prompt = v1.PromptRequest(session_id=session.session_id, prompt=[v1.TextContent(text=text)])
    return await agent.prompt(prompt)


async def test_a_client_dials_an_agent(serving: Serving) -> None:
    endpoint = Endpoint(lambda transport, _: serve(BenchAgent, transport))
    client = RecordingClient()
    async with serving(endpoint) as place, connect(client, await dial(place.url)) as agent:
        assert (await ask(agent, "bench:stream:300:100")).stop_reason == "end_turn"
        assert len(client.updates) == 300


async def test_an_agent_dials_a_client(serving: Serving) -> None:
    """Who dials does not say who is the agent."""
    client, done = RecordingClient(), asyncio.Event()

    async def drive(transport: Any, _request: web.Request) -> None:
        async with connect(client, transport) as agent:
            await ask(agent, "bench:stream:10:100")
            done.set()

    async with serving(Endpoint(drive)) as place:
        await serve(BenchAgent, await dial(place.url))
        assert done.is_set()
    assert len(client.updates) == 10


async def test_a_turn_survives_the_loss_of_its_socket(serving: Serving) -> None:
    endpoint = Endpoint(lambda transport, _: serve(BenchAgent, transport))
    client = RecordingClient()
    async with serving(endpoint) as place:
        place.wire.cuts = [(2**60, cut) for cut in (50_000, 20_000, 90_000, 400)]
        async with connect(client, await dial(place.url)) as agent:
            assert (await ask(agent, "bench:stream:3000:100")).stop_reason == "end_turn"
        assert place.wire.connections == 5
    assert len(client.updates) == 3000


async def test_a_sender_waits_for_a_slow_reader(
    serving: Serving, collector: Made, frames: Made
) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.url)
        await transport.open(frames())
        there_transport, there = await served.first()
        there_transport.pause_reading()
        sent, chunk = 0, b"x" * 50_000

        async def stream() -> None:
            nonlocal sent
            while sent < 2000:
                transport.send(chunk)
                sent += 1
                await transport.drain()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream(), 0.5)
        assert sent < 1000
        assert there.frames == []
        there_transport.resume_reading()
        await there.at_least(sent)
        assert there.frames == [chunk] * sent
        await transport.aclose()


async def test_a_slow_reader_is_not_taken_for_dead(
    serving: Serving, collector: Made, frames: Made
) -> None:
    served, here = collector(), frames()
    short = Keepalive(interval=0.05, timeout=0.15)
    async with serving(Endpoint(served, keepalive=short)) as place:
        transport = await dial(place.url, keepalive=short)
        await transport.open(here)
        there_transport, there = await served.first()
        there_transport.pause_reading()
        transport.send(b"first")
        await asyncio.sleep(0.5)
        there_transport.resume_reading()
        there_transport.send(b"answer")
        await here.at_least(1)
        assert (there.frames, place.wire.connections) == ([b"first"], 1)
        await transport.aclose()


@pytest.mark.parametrize("dialler_is_big", [True, False])
async def test_a_frame_over_the_limit_ends_the_connection_at_both_ends(
    serving: Serving, collector: Made, frames: Made, dialler_is_big: bool
) -> None:
    served, here = collector(), frames()
    async with serving(Endpoint(served, max_frame=1000)) as place:
        transport = await dial(place.url, max_frame=1000)
        await transport.open(here)
        there_transport, there = await served.first()
        sender = transport if dialler_is_big else there_transport
        receiver = there if dialler_is_big else here
        sender.send(b"x" * 1000)
        await receiver.at_least(1)
        sender.send(b"x" * 1001)
        async with asyncio.timeout(5):
            await here.over.wait()
            await there.over.wait()
        assert receiver.frames == [b"x" * 1000]
        assert place.wire.connections == 1
        await transport.aclose()
        again = await dial(place.url)  # the endpoint lives on
        await again.aclose()


async def test_a_frame_of_64_mib_passes(serving: Serving, collector: Made, frames: Made) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.direct)
        await transport.open(frames())
        _, there = await served.first()
        big = b"x" * (64 * 1024 * 1024)
        transport.send(big)
        transport.send(b"after")
        await there.at_least(2)
        assert there.frames[0] == big
        assert there.frames[1] == b"after"
        await transport.aclose()


async def test_closing_does_not_wait_for_a_peer_that_reads_nothing(
    serving: Serving, frames: Made
) -> None:
    gone = asyncio.Event()

    async def deaf(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await gone.wait()
        return socket

    async with serving(deaf) as place:
        transport = await dial(place.direct)
        await transport.open(frames())
        transport.send(b"x" * 20_000_000)
        async with asyncio.timeout(2):
            await transport.aclose()
        assert transport.over
        gone.set()


async def test_a_connection_that_was_dialled_and_never_used_closes(
    serving: Serving, collector: Made
) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.url)
        await transport.aclose()
        _, there = await served.first()
        await there.over.wait()
        assert (transport.over, there.frames) == (True, [])


async def test_what_an_agent_sends_before_it_closes_arrives(serving: Serving, frames: Made) -> None:
    here = frames()

    async def brief(transport: Any, _request: web.Request) -> None:
        await transport.open(frames())
        for _ in range(100):
            transport.send(b"x" * 10_000)

    async with serving(Endpoint(brief)) as place:
        transport = await dial(place.url)
        await transport.open(here)
        await here.over.wait()
        assert len(here.frames) == 100
        assert place.wire.connections == 1
        await transport.aclose()


async def test_what_is_sent_after_the_end_goes_nowhere(
    serving: Serving, collector: Made, frames: Made
) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.url)
        await transport.open(frames())
        _, there = await served.first()
        await transport.aclose()
        transport.send(b"x" * 1_000_000)
        await transport.drain()
        await there.over.wait()
        assert there.frames == []


async def test_what_comes_after_reading_was_stopped_is_dropped_and_writing_goes_on(
    serving: Serving, collector: Made, frames: Made
) -> None:
    served, here = collector(), frames()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.url)
        await transport.open(here)
        there_transport, there = await served.first()
        transport.stop_reading()
        for _ in range(100):
            there_transport.send(b"x" * 50_000)
            await there_transport.drain()
        transport.send(b"still writing")
        await there.at_least(1)
        assert here.frames == []
        assert here.over.is_set()
        await transport.aclose()


# Peers that know nothing of resuming


async def test_a_foreign_client_gets_text_frames_only_and_its_binary_ones_are_ignored(
    serving: Serving, collector: Made
) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place, aiohttp.ClientSession() as session:
        async with session.ws_connect(place.direct) as socket:
            there_transport, there = await served.first()
            assert not there_transport.resumable
            assert there_transport.connection_id
            await socket.send_bytes(b"ignored")
            for _ in range(3):
                await socket.send_str("x" * 100_000)
            await there.at_least(3)
            there_transport.send(b"an answer")
            assert await socket.receive() == (WSMsgType.TEXT, "an answer", "")
            assert [len(frame) for frame in there.frames] == [100_000] * 3
        await there.over.wait()


async def test_a_foreign_client_that_is_lost_ends_its_connection_at_once(
    serving: Serving, collector: Made
) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place, aiohttp.ClientSession() as session:
        await session.ws_connect(place.url)
        there_transport, there = await served.first()
        assert not there_transport.over
        place.wire.cut()
        await there.over.wait()
        assert there_transport.over


async def test_a_transport_that_is_opened_after_its_client_left_ends(
    serving: Serving, frames: Made
) -> None:
    here, gone, done = frames(), asyncio.Event(), asyncio.Event()

    async def late(transport: Any, _request: web.Request) -> None:
        await gone.wait()
        await transport.open(here)
        done.set()

    endpoint = Endpoint(late)

    async def handle(request: web.Request) -> web.StreamResponse:
        response = await endpoint.handle(request)
        gone.set()
        return response

    async with serving(handle) as place, aiohttp.ClientSession() as session:
        await (await session.ws_connect(place.direct)).close()
        await done.wait()
        assert here.over.is_set()


async def test_a_foreign_client_that_stays_silent_is_given_up(
    serving: Serving, collector: Made
) -> None:
    served = collector()
    endpoint = Endpoint(served, keepalive=Keepalive(interval=0.05, timeout=0.1))
    async with serving(endpoint) as place, aiohttp.ClientSession() as session:
        await session.ws_connect(place.direct, autoping=False)
        there_transport, there = await served.first()
        async with asyncio.timeout(5):
            await there.over.wait()
        assert there_transport.over


async def test_a_foreign_client_that_answers_pings_is_kept(
    serving: Serving, collector: Made
) -> None:
    served = collector()
    endpoint = Endpoint(served, keepalive=Keepalive(interval=0.05, timeout=0.1))
    async with (
        serving(endpoint) as place,
        aiohttp.ClientSession() as session,
        session.ws_connect(place.direct) as socket,
    ):
        _, there = await served.first()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.receive(), 0.5)
        assert not there.over.is_set()


@pytest.mark.parametrize("end", ["close", "cut"])
async def test_a_foreign_server_that_is_lost_ends_the_connection(
    serving: Serving, frames: Made, end: str
) -> None:
    here = frames()

    async def foreign(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b"ignored")
        await socket.send_str(await socket.receive_str())
        if end == "close":
            await socket.close(code=1001)
        else:
            await socket.receive()
        return socket

    async with serving(foreign) as place:
        transport = await dial(place.url)
        assert not transport.resumable
        await transport.open(here)
        transport.send(b"echo")
        await here.at_least(1)
        if end == "cut":
            place.wire.cut()
        await here.over.wait()
        assert (here.frames, place.wire.connections) == ([b"echo"], 1)
        await transport.aclose()


async def test_text_that_is_not_utf_8_ends_the_connection_with_code_1007(
    serving: Serving, collector: Made
) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place, aiohttp.ClientSession() as session:
        async with session.ws_connect(place.direct) as socket:
            _, there = await served.first()
            await socket.send_frame(b"\xff\xfe", WSMsgType.TEXT)
            message = await socket.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1007)
        await there.over.wait()
        assert there.frames == []


# Refusals


async def test_a_request_without_an_upgrade_is_told_what_to_do(
    serving: Serving, collector: Made
) -> None:
    async with serving(Endpoint(collector())) as place, aiohttp.ClientSession() as session:
        response = await session.get(place.direct.replace("ws:", "http:"))
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"
        assert "WebSocket" in await response.text()


SECRET = "token-0451"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ws://127.0.0.1:1/acp", "Connection refused"),
        ("ws://127.0.0.1:1/acp?token=" + SECRET, "Connection refused"),
        ("ws://user:" + SECRET + "@127.0.0.1:1/acp", "Connection refused"),
        ("127.0.0.1:1/acp", "is not the URL of a WebSocket"),
        ("ftp://" + SECRET + "@x/", "is not the URL of a WebSocket"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_an_error_without_secrets(
    url: str, reason: str
) -> None:
    with pytest.raises(DialError, match=reason) as failed:
        await dial(url, headers={"X-Token": SECRET})
    assert SECRET not in str(failed.value)


async def test_a_server_that_refuses_is_an_error_with_its_answer(serving: Serving) -> None:
    async def closed(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async with serving(closed) as place:
        with pytest.raises(DialError, match="the server answers 401"):
            await dial(place.url)


async def test_a_server_that_hangs_up_is_an_error() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DialError, match=r"disconnected|reset"):
            await dial(f"ws://127.0.0.1:{port}/acp")


async def test_a_server_that_says_nothing_is_an_error_after_a_while(serving: Serving) -> None:
    async with serving(Endpoint(lambda *_: asyncio.sleep(0))) as place:
        place.wire.deaf = True
        with pytest.raises(DialError, match="does not answer"):
            await dial(place.url, timeout=0.1)


async def test_a_connection_whose_server_fails_is_closed_and_logged_without_secrets(
    serving: Serving, frames: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "punie.acp")

    async def broken(_transport: Any, _request: web.Request) -> None:
        raise RuntimeError("a bug")

    async with serving(Endpoint(broken)) as place:
        here = frames()
        transport = await dial(
            f"{place.url}?token={SECRET}", headers={"Authorization": f"Bearer {SECRET}"}
        )
        await transport.open(here)
        await here.over.wait()
        await transport.aclose()
    assert "a connection over WebSocket failed" in caplog.text
    assert SECRET not in caplog.text


def test_without_aiohttp_the_import_names_the_extra() -> None:
    script = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "import punie.acp.transports.stdio\n"
        "import punie.acp.transports.websocket\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'punie-acp[websocket]'" in done.stderr.splitlines()[-1]
