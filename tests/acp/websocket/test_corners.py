"""What a WebSocket transport does before it is open, after it is over, and when it is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from punie.acp.transports.websocket import Keepalive, WebSocketTransport, client

Made = Callable[[], Any]


class Quiet:
    """A socket on which nothing comes."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    async def receive(self) -> Any:
        await asyncio.Event().wait()

    async def send_frame(self, frame: bytes, kind: Any) -> None:
        raise AssertionError

    async def close(self, *, code: int) -> None:
        self.codes.append(code)


async def test_a_transport_that_is_over_before_it_is_opened_says_so(frames: Made) -> None:
    transport, here = WebSocketTransport(resumable=False), frames()
    transport.end()
    await transport.open(here)
    await here.over.wait()
    transport.send(b"nobody gets this")
    await transport.drain()
    await transport.aclose()
    assert (transport.over, here.frames) == (True, [])


async def test_a_socket_of_an_earlier_turn_does_not_end_the_connection() -> None:
    transport, socket = WebSocketTransport(resumable=True), Quiet()
    earlier = await transport.release()
    await transport.release()
    transport.expire(earlier)
    assert not transport.over
    assert await transport.carry(socket, earlier) == "lost"  # type: ignore[arg-type]
    assert socket.codes == [1001]


async def test_who_stops_to_carry_leaves_the_socket_closed(frames: Made) -> None:
    transport, socket = WebSocketTransport(resumable=True), Quiet()
    await transport.open(frames())
    carrying = asyncio.ensure_future(transport.carry(socket, await transport.release()))  # type: ignore[arg-type]
    for _ in range(5):
        await asyncio.sleep(0)
    carrying.cancel()
    await asyncio.wait({carrying})
    assert carrying.cancelled()
    assert socket.codes == [1001]


async def test_what_comes_after_reading_was_stopped_is_passed_over(frames: Made) -> None:
    transport, here = WebSocketTransport(resumable=True), frames()
    await transport.open(here)
    transport.stop_reading()
    await transport._bring(b"late")
    assert here.frames == []


def refusal(status: int) -> aiohttp.WSServerHandshakeError:
    request: Any = SimpleNamespace(real_url=URL("ws://x/acp"))
    return aiohttp.WSServerHandshakeError(request, (), status=status, message="not now")


async def test_a_server_that_is_starting_is_dialled_again() -> None:
    answer = SimpleNamespace(connection_id="c", taken=0, socket=Quiet())
    errors = [refusal(503), OSError("no route")]

    class Dialler:
        async def connect(self, connection_id: str, received: int) -> Any:
            if errors:
                raise errors.pop(0)
            return answer

    dialler: Any = Dialler()
    transport = client._DialledTransport(
        dialler,
        answer,  # type: ignore[arg-type]
        max_frame=100,
        keepalive=Keepalive(),
        give_up=60,
    )
    assert await transport._redial() is answer
    assert errors == []


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("odd"), "odd"), (KeyError(), "KeyError")]
)
def test_an_error_of_a_kind_of_its_own_is_told_by_its_text_or_its_name(
    error: Exception, reason: str
) -> None:
    assert client._reason(error) == reason
