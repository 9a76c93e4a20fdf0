"""A connection outlives its sockets: whatever is cut, no frame is lost, doubled or reordered."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from punie.acp.errors import DialError
from punie.acp.transports.websocket import Endpoint, Keepalive, dial

Serving = Callable[..., AbstractAsyncContextManager[Any]]


async def test_a_frame_that_was_cut_in_the_middle_arrives_whole_and_once(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, here = collector(), frames()
    async with serving(Endpoint(served)) as place:
        place.wire.cuts = [(500_000, 2**60), (2**60, 300_000)]
        transport = await dial(place.url)
        assert transport.resumable
        await transport.open(here)
        there_transport, there = await served.first()
        up, down = b"u" * 1_000_000, b"d" * 1_000_000
        transport.send(up)
        transport.send(b"after")
        await there.at_least(2)
        there_transport.send(down)
        there_transport.send(b"after")
        await here.at_least(2)
        assert place.wire.connections == 3
        assert len(served.connections) == 1
        assert there.frames == [up, b"after"]
        assert here.frames == [down, b"after"]
        await transport.aclose()
        await there.over.wait()


def frame(side: str, number: int, size: int) -> bytes:
    """Text that no other frame has."""
    start = f"{side}{number} "
    filler = hashlib.sha256(start.encode()).hexdigest() * (size // 64 + 1)
    return (start + filler[:size]).encode()


SIZES = st.lists(st.integers(0, 100) | st.integers(0, 200_000), max_size=30)
CUT = st.integers(0, 3000) | st.integers(0, 400_000)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(up=SIZES, down=SIZES, cuts=st.lists(st.tuples(CUT, CUT), max_size=6))
def test_no_frame_is_lost_doubled_or_reordered_wherever_the_wire_is_cut(
    serving: Serving,
    collector: Callable[[], Any],
    frames: Callable[[], Any],
    up: list[int],
    down: list[int],
    cuts: list[tuple[int, int]],
) -> None:
    ups = [frame("u", number, size) for number, size in enumerate(up)]
    downs = [frame("d", number, size) for number, size in enumerate(down)]

    async def run() -> None:
        served, here = collector(), frames()
        async with serving(Endpoint(served)) as place:
            transport = await dial(place.url)
            # The first socket dies now; the next ones live for so many bytes.
            place.wire.cuts = cuts
            await transport.open(here)
            there_transport, there = await served.first()
            place.wire.cut()

            async def send(sender: Any, texts: list[bytes]) -> None:
                for text in texts:
                    sender.send(text)
                    await sender.drain()

            await asyncio.gather(send(transport, ups), send(there_transport, downs))
            await there.at_least(len(ups))
            await here.at_least(len(downs))
            await transport.aclose()
        assert there.frames == ups
        assert here.frames == downs

    asyncio.run(run())


async def test_a_socket_that_died_in_silence_is_noticed_and_replaced(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    """The server still believes in the old socket when the client comes with the new one."""
    served, here = collector(), frames()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.url, keepalive=Keepalive(interval=0.05, timeout=0.15))
        await transport.open(here)
        there_transport, there = await served.first()
        place.wire.deaf = True
        transport.send(b"into the void")
        there_transport.send(b"into the void, too")
        await place.wire.dialled(2)
        place.wire.deaf = False
        place.wire.cut()
        await there.at_least(1)
        await here.at_least(1)
        assert there.frames == [b"into the void"]
        assert here.frames == [b"into the void, too"]
        await transport.aclose()


async def test_a_client_that_is_not_awaited_any_more_ends(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, here = collector(), frames()
    async with serving(Endpoint(served, hold=0.05)) as place:
        transport = await dial(place.url)
        await transport.open(here)
        _, there = await served.first()
        place.wire.refuse = True
        place.wire.cut()
        await there.over.wait()
        place.wire.refuse = False
        await here.over.wait()  # the server answers 404
        assert transport.over
        assert len(served.connections) == 1
        await transport.aclose()


async def test_a_client_gives_up_when_the_server_stays_away(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, here = collector(), frames()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.url, give_up=0.3)
        await transport.open(here)
        await served.first()
        place.wire.refuse = True
        place.wire.cut()
        transport.send(b"x" * 1_000_000)
        waiting = asyncio.ensure_future(transport.drain())
        await here.over.wait()
        await waiting  # nobody waits for a peer that is gone
        assert place.wire.connections > 2
        await transport.aclose()


async def test_frames_that_are_not_kept_any_more_end_the_connection_instead_of_being_left_out(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, here = collector(), frames()
    async with serving(Endpoint(served)) as place:
        transport = await dial(place.url, max_frame=1000)
        await transport.open(here)
        there_transport, there = await served.first()
        there_transport.pause_reading()
        for _ in range(10):
            transport.send(b"x" * 500)
        await transport.drain()
        await asyncio.wait_for(transport._flushed.wait(), 5)
        place.wire.cut()
        await here.over.wait()
        there_transport.resume_reading()
        await there.over.wait()
        assert len(there.frames) < 10
        await transport.aclose()


async def test_cookies_of_the_server_come_back_to_it(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, seen, again = collector(), [], asyncio.Event()
    endpoint = Endpoint(served)

    async def set_cookie(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Set-Cookie"] = "node=7; Path=/"

    async def sticky(request: web.Request) -> web.StreamResponse:
        seen.append(request.cookies.get("node"))
        if len(seen) == 2:
            again.set()
        return await endpoint.handle(request)

    async with serving(sticky, on_prepare=set_cookie) as place:
        transport = await dial(place.url)
        await transport.open(frames())
        await served.first()
        place.wire.cut()
        await again.wait()
        assert seen == [None, "7"]
        await transport.aclose()
        await endpoint.aclose()


@pytest.mark.parametrize("count", ["", "x", "-1", "1", "99999999999999999999"])
async def test_a_count_that_cannot_be_resumes_nothing(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any], count: str
) -> None:
    served = collector()
    async with serving(Endpoint(served)) as place, aiohttp.ClientSession() as session:
        transport = await dial(place.direct)
        await transport.open(frames())
        headers = {"Acp-Connection-Id": transport.connection_id, "Punie-Resume": count}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(place.direct, headers=headers)
        assert refused.value.status == 404
        await transport.aclose()


async def test_a_server_that_stumbles_is_dialled_again(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, here = collector(), frames()
    endpoint, answers = Endpoint(served), [200, 503, 500]

    async def stumbling(request: web.Request) -> web.StreamResponse:
        status = answers.pop(0) if answers else 200
        return await endpoint.handle(request) if status == 200 else web.Response(status=status)

    async with serving(stumbling) as place:
        transport = await dial(place.url)
        await transport.open(here)
        there_transport, _ = await served.first()
        place.wire.cut()
        there_transport.send(b"still here")
        await here.at_least(1)
        assert answers == []
        await transport.aclose()
        await endpoint.aclose()


async def test_a_server_of_another_make_that_took_the_place_ends_the_connection(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, here = collector(), frames()
    endpoint, first = Endpoint(served), []

    async def replaced(request: web.Request) -> web.StreamResponse:
        if not first:
            first.append(request)
            return await endpoint.handle(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        return socket

    async with serving(replaced) as place:
        transport = await dial(place.url)
        await transport.open(here)
        await served.first()
        place.wire.cut()
        await here.over.wait()
        assert transport.over
        assert len(served.connections) == 1
        await transport.aclose()
        await endpoint.aclose()


async def test_of_two_sockets_that_resume_at_once_the_later_one_stays(
    serving: Serving, collector: Callable[[], Any]
) -> None:
    served, slow, held = collector(), asyncio.Event(), asyncio.Event()

    async def hold_the_second(request: web.Request, _response: web.StreamResponse) -> None:
        if request.headers.get("X-Slow"):
            held.set()
            await slow.wait()

    endpoint = Endpoint(served)
    async with (
        serving(endpoint, on_prepare=hold_the_second) as place,
        aiohttp.ClientSession() as session,
    ):
        await session.ws_connect(place.direct, headers={"Punie-Resume": "0"})
        transport, there = await served.first()
        resume = {"Acp-Connection-Id": transport.connection_id, "Punie-Resume": "0"}
        earlier = asyncio.ensure_future(
            session.ws_connect(place.direct, headers=resume | {"X-Slow": "1"})
        )
        await held.wait()
        later = await session.ws_connect(place.direct, headers=resume)
        slow.set()
        message = await (await earlier).receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        await later.send_str("hello")
        await there.at_least(1)
        assert there.frames == [b"hello"]
        await later.close()


async def test_a_connection_that_was_resumed_in_time_is_kept(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    served, here = collector(), frames()
    async with serving(Endpoint(served, hold=0.2)) as place:
        transport = await dial(place.url)
        await transport.open(here)
        there_transport, there = await served.first()
        place.wire.cut()
        await place.wire.dialled(2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(there.over.wait(), 0.4)
        there_transport.send(b"still here")
        await here.at_least(1)
        await transport.aclose()


async def test_a_handler_that_is_cancelled_leaves_a_connection_that_can_be_resumed(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    """What aiohttp does with handlers when it shuts down, or when an application asks for it."""
    served, here, handlers = collector(), frames(), []
    endpoint = Endpoint(served)

    async def cancellable(request: web.Request) -> web.StreamResponse:
        handlers.append(asyncio.ensure_future(endpoint.handle(request)))
        try:
            return await handlers[-1]
        except asyncio.CancelledError:
            return web.Response(status=503)

    async with serving(cancellable) as place:
        transport = await dial(place.url)
        await transport.open(here)
        there_transport, _ = await served.first()
        handlers[0].cancel()
        await asyncio.wait(handlers)
        there_transport.send(b"still here")
        await here.at_least(1)
        assert len(handlers) == 2
        await transport.aclose()
        await endpoint.aclose()


async def test_headers_are_made_anew_for_each_socket(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    made: list[str] = []

    async def headers() -> dict[str, str]:
        made.append("once")
        return {"X-Try": str(len(made))}

    served, here = collector(), frames()
    async with serving(Endpoint(served)) as place:
        place.wire.cuts = [(300, 2**60)]
        transport = await dial(place.url, headers=headers)
        await transport.open(here)
        _, there = await served.first()
        transport.send(b"x" * 1000)
        await there.at_least(1)
        assert len(made) == place.wire.connections
        await transport.aclose()
        await there.over.wait()


async def test_who_is_not_trusted_any_more_is_not_dialled_again(
    serving: Serving, collector: Callable[[], Any], frames: Callable[[], Any]
) -> None:
    """The token must not go to whoever took the port of a server that died."""
    tries: list[str] = []

    async def headers() -> dict[str, str]:
        tries.append("once")
        if len(tries) > 1:
            raise DialError("there", "it is somebody else")
        return {}

    served, here = collector(), frames()
    async with serving(Endpoint(served, hold=0.1)) as place:
        transport = await dial(place.url, headers=headers)
        await transport.open(here)
        await served.first()
        place.wire.cut()
        await asyncio.wait_for(here.over.wait(), 20)
        assert place.wire.connections == 1
        await transport.aclose()


async def test_headers_that_refuse_leave_nothing_open() -> None:
    async def headers() -> dict[str, str]:
        raise DialError("there", "it is somebody else")

    with pytest.raises(DialError, match="somebody else"):
        await dial("ws://127.0.0.1:1", headers=headers)
