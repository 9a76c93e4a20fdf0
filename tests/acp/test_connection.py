"""What a connection promises beyond order: answers in their place, timeouts, both ways at once."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec import Raw, UnsetType

from punie.acp.connection import Connection, Incoming
from punie.acp.errors import ConnectionClosedError, RequestError
from punie.acp.methods import CANCEL, extension
from punie.acp.schema import v1
from punie.acp.transports.memory import MemoryTransport, pair
from punie.acp.transports.stdio import StdioTransport

ECHO = extension("_echo", "request")


class Peer:
    """The far end: keeps what comes, sends what it is told."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def frame_received(self, frame: bytes) -> None:
        self.frames.put_nowait(msgspec.json.decode(frame))

    def frame_dropped(self, size: int) -> None:
        raise AssertionError(size)

    def ended(self) -> None:
        pass

    def send(self, **message: Any) -> None:
        self.transport.send(msgspec.json.encode({"jsonrpc": "2.0"} | message))


class Log:
    """Writes down what is handled, in order; `_cancels` is cancelled from within."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        async def run() -> Any:
            self.lines.append(method)
            return params if isinstance(params, Raw) else None

        return Incoming(run)

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming:
        async def run() -> None:
            await asyncio.sleep(0)
            self.lines.append(method)
            if method == "_cancels":
                raise asyncio.CancelledError
            if method == "_fails":
                raise RuntimeError

        return Incoming(run, ordered=True)


@asynccontextmanager
async def connected(log: Log) -> AsyncGenerator[tuple[Connection, Peer], None]:
    ours, theirs = pair()
    peer = Peer(theirs)
    await theirs.open(peer)
    connection = Connection(ours, log)
    await connection.open()
    yield connection, peer
    await connection.aclose()


async def test_a_request_with_a_timeout_is_given_up_and_cancelled_at_the_peer() -> None:
    async with connected(Log()) as (connection, peer):
        with pytest.raises(TimeoutError):
            await connection.request(ECHO, {}, timeout=0.001)
        asked, cancelled = await peer.frames.get(), await peer.frames.get()
        assert cancelled["method"] == "$/cancel_request"
        assert cancelled["params"] == {"requestId": asked["id"]}
        peer.send(id=asked["id"], result={})  # too late: ignored
        answered = asyncio.ensure_future(connection.request(ECHO, {}, timeout=60))
        peer.send(id=(await peer.frames.get())["id"], result=[1])
        assert await answered == [1]


async def test_requests_run_both_ways_at_once() -> None:
    async with connected(Log()) as (connection, peer):
        calls = [asyncio.ensure_future(connection.request(ECHO, [n])) for n in range(3)]
        ids = [(await peer.frames.get())["id"] for _ in calls]
        for n in range(3):
            peer.send(id=f"theirs-{n}", method="_echo", params=[n])
        answers = [await peer.frames.get() for _ in range(3)]
        assert [answer["result"] for answer in answers] == [[0], [1], [2]]
        for request_id in reversed(ids):
            peer.send(id=request_id, result=request_id)
        assert await asyncio.gather(*calls) == ids


async def test_a_result_is_told_before_what_came_behind_it_is_handled() -> None:
    log = Log()
    async with connected(log) as (connection, peer):
        asking = asyncio.ensure_future(
            connection.request(ECHO, {}, answered=lambda result: log.lines.append(result))
        )
        request_id = (await peer.frames.get())["id"]
        peer.send(method="_before", params={})
        peer.send(id=request_id, result="answer")
        peer.send(method="_behind", params={})
        await asking
        await connection.deliver(lambda: asyncio.sleep(0))
    assert log.lines == ["_before", "answer", "_behind"]


async def test_a_posted_request_is_answered_in_its_place() -> None:
    log = Log()
    async with connected(log) as (connection, peer):

        async def taken(answer: asyncio.Future[Any]) -> None:
            await asyncio.sleep(0)
            error = answer.exception()
            log.lines.append(answer.result() if error is None else type(error))

        for _ in range(3):
            connection.post(ECHO, {}, taken)
        first, second, _ = [(await peer.frames.get())["id"] for _ in range(3)]
        peer.send(id=first, result="answer")
        peer.send(method="_behind", params={})
        peer.send(id=second, error={"code": -32603, "message": "no"})
        await peer.transport.aclose()
        await connection.wait_closed()
        await connection.deliver(lambda: asyncio.sleep(0))
        assert log.lines == ["answer", "_behind", RequestError, ConnectionClosedError]
        with pytest.raises(ConnectionClosedError):
            connection.post(ECHO, {}, taken)


async def test_a_notification_cannot_be_asked() -> None:
    async with connected(Log()) as (connection, _):
        with pytest.raises(ValueError, match="is a notification"):
            await connection.request(CANCEL, v1.CancelNotification(session_id="s"))


@pytest.mark.parametrize("method", ["_cancels", "_fails"])
async def test_a_handler_that_fails_holds_up_nobody(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()
    async with connected(log) as (connection, peer):
        for name in (method, "_behind"):
            peer.send(method=name, params={})
        peer.send(id=1, method="_asked", params={})
        await peer.frames.get()
        with caplog.at_level(logging.CRITICAL):
            await connection.deliver(lambda: asyncio.sleep(0))
    assert log.lines == [method, "_behind", "_asked"]


async def test_who_gave_up_on_an_answer_that_came_cancels_nothing_at_the_peer() -> None:
    log = Log()
    async with connected(log) as (connection, peer):
        asking = asyncio.ensure_future(connection.request(ECHO, {}))
        request_id = (await peer.frames.get())["id"]
        gate = asyncio.Event()
        connection.deliver(gate.wait)
        peer.send(id=request_id, result={})
        for _ in range(5):
            await asyncio.sleep(0)  # the answer is here and waits behind what was delivered
        asking.cancel()
        await asyncio.wait({asking})
        gate.set()
        await connection.deliver(lambda: asyncio.sleep(0))
        assert asking.cancelled()
        assert peer.frames.empty()


async def test_nobody_need_wait_for_what_is_delivered() -> None:
    log = Log()
    async with connected(log) as (connection, _):
        delivered: list[str] = []

        async def deliver(what: str) -> None:
            delivered.append(what)

        connection.deliver(lambda: deliver("first")).cancel()
        await connection.deliver(lambda: deliver("second"))
        assert delivered == ["first", "second"]


async def test_a_caller_that_gives_up_as_the_peer_goes_is_cancelled() -> None:
    async with connected(Log()) as (connection, peer):
        asking = asyncio.ensure_future(connection.request(ECHO, {}))
        await peer.frames.get()
        asking.cancel()
        connection.ended()
        await asyncio.wait({asking})
        assert asking.cancelled()


async def test_an_id_that_is_used_twice_is_answered_twice() -> None:
    async with connected(Log()) as (_, peer):
        for n in range(2):
            peer.send(id="same", method="_echo", params=[n])
        answers = [await peer.frames.get() for _ in range(2)]
        assert [answer["result"] for answer in answers] == [[0], [1]]


async def test_a_request_that_waits_for_what_came_before_can_be_cancelled() -> None:
    log = Log()
    async with connected(log) as (connection, peer):
        gate = asyncio.Event()
        connection.deliver(gate.wait)
        peer.send(id=1, method="_waits", params=[])
        for _ in range(5):
            await asyncio.sleep(0)  # it has begun to wait
        peer.send(method="$/cancel_request", params={"requestId": 1})
        assert (await peer.frames.get())["error"]["code"] == -32800
        gate.set()
        await connection.deliver(lambda: asyncio.sleep(0))
    assert log.lines == []


async def test_an_ordered_handler_is_cancelled_with_the_connection() -> None:
    ends: list[str] = []
    started = asyncio.Event()

    class Waiting(Log):
        def notification(self, method: str, params: Raw | UnsetType) -> Incoming:
            async def run() -> None:
                started.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ends.append(method)

            return Incoming(run, ordered=True)

    async with connected(Waiting()) as (connection, peer):
        peer.send(method="_waits", params={})
        peer.send(id=1, method="_behind", params={})
        await started.wait()
        assert not connection.closed
    assert ends == ["_waits"]


async def test_malformed_frames_and_cancellations_are_survived() -> None:
    async with connected(Log()) as (_, peer):
        peer.transport.send(b"{nope")
        assert (await peer.frames.get())["error"]["code"] == -32700
        peer.send(method="$/cancel_request", params={"requestId": [1]})
        peer.send(method="$/cancel_request", params={"requestId": "nothing"})
        peer.send(id=1, method="_echo", params=[])
        assert (await peer.frames.get())["result"] == []


async def test_an_answer_that_no_number_can_hold_fails_the_call() -> None:
    async with connected(Log()) as (connection, peer):
        asking = asyncio.ensure_future(connection.request(ECHO, {}))
        request_id = (await peer.frames.get())["id"]
        peer.transport.send(b'{"jsonrpc":"2.0","id":%d,"result":1e999}' % request_id)
        with pytest.raises(RequestError, match="answer is invalid"):
            await asking


@pytest.mark.skipif(not hasattr(socket, "SOCK_SEQPACKET"), reason="needs sockets with packets")
async def test_frames_of_one_turn_of_the_loop_leave_in_one_write() -> None:
    # Every write is a packet of its own here, so one read shows one write.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read_fd, idle = os.pipe()
    transport = StdioTransport(read_fd, ours.detach())
    await transport.open(Peer(pair()[0]))
    for number in range(100):
        transport.send(b"%d" % number)
    await asyncio.sleep(0)
    await transport.drain()
    assert theirs.recv(65536) == b"".join(b"%d\n" % number for number in range(100))
    await transport.aclose()
    os.close(idle)
    theirs.close()
