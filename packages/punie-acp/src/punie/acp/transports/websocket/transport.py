"""A transport that outlives its sockets: it carries frames over one WebSocket after another.

`carry` runs one socket until it is lost or closed; who gets the next one, `client` or `server`,
decides what happens then. A peer that says nothing for too long counts as lost. The reader writes
nothing and the writer reads nothing, so two peers that are both busy cannot block each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, Literal, NamedTuple, TypeAlias

import aiohttp
from aiohttp import WSMsgType, web

from punie.acp.transports.base import HIGH_WATER, MAX_FRAME, Receiver
from punie.acp.transports.websocket.outbox import Outbox

log: logging.Logger = logging.getLogger("punie.acp")

Socket: TypeAlias = "aiohttp.ClientWebSocketResponse[Any] | web.WebSocketResponse[Any]"
Ending: TypeAlias = Literal["lost", "over"]
"""A lost socket may be replaced; after `over` the connection is."""

CONNECTION_ID: str = "Acp-Connection-Id"
"""Header: the name of a connection, given by the server (the draft's)."""
RESUME: str = "Punie-Resume"
"""Header: frames that its sender has taken on this connection (ours)."""
CLOSE_TIMEOUT: float = 0.2
"""Seconds in which a peer must take what is left, and then answer the closing of a socket."""

_CONFIRM_BYTES = 64 * 1024
"""Bytes taken after which the peer is told."""
_LOST_CODES = frozenset({1001, 1006, 1012, 1013})
"""Codes by which a peer, or a proxy between, says that the socket goes and not the connection."""


class Keepalive(NamedTuple):
    """How to notice a peer that is gone without a word."""

    interval: float = 20.0
    """Seconds between two pings."""
    timeout: float = 50.0
    """Seconds without any sign of life after which a socket counts as lost."""


class WebSocketTransport:
    """Frames as the text messages of a WebSocket. Made by `dial` and by an `Endpoint`.

    Args:
        resumable: Whether the peer can go on with another socket.
        max_frame: Bytes in the longest frame that is accepted; a longer one closes the socket with
            code 1009 and so ends the connection. Bytes of sent frames kept for the peer, too.
        keepalive: How to notice that the peer is gone.

    Attributes:
        connection_id: The name that the server gave; empty when it gave none.
        resumable: Whether the peer can go on with another socket.
        received: Frames taken from the peer so far.
        over: Whether the connection has ended.
    """

    def __init__(
        self,
        connection_id: str = "",
        *,
        resumable: bool,
        max_frame: int = MAX_FRAME,
        keepalive: Keepalive = Keepalive(),  # noqa: B008  # immutable
    ) -> None:
        self.connection_id = connection_id
        self.resumable = resumable
        self.received: int = 0
        self.over: bool = False
        self._keepalive = keepalive
        self._outbox = Outbox(replay_limit=max_frame if resumable else 0)
        self._receiver: Receiver | None = None
        self._paused = False
        self._may_read = asyncio.Event()
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._carrier: asyncio.Task[Ending] | None = None
        self._turn = 0
        self._heard = 0.0
        self._unconfirmed = 0
        self._pong: bytes | None = None
        self._ping = False

    # What a connection calls

    async def open(self, receiver: Receiver) -> None:
        """Start to read."""
        self._receiver = receiver
        self._may_read.set()
        if self.over:
            self.stop_reading()

    def send(self, frame: bytes) -> None:
        """Queue a frame; while there is no socket it waits for the next one."""
        if self.over:
            return
        self._outbox.add(frame)
        self._flushed.clear()
        if self._outbox.unsent > HIGH_WATER:
            self._drained.clear()
        self._wake.set()

    async def drain(self) -> None:
        """Wait until little is queued."""
        await self._drained.wait()

    def pause_reading(self) -> None:
        """Stop to bring frames; the peer is told so by its socket filling up."""
        self._paused = True
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Bring frames again."""
        self._paused = False
        self._may_read.set()

    def stop_reading(self) -> None:
        """Act as if the peer had closed its side."""
        receiver, self._receiver = self._receiver, None
        self._may_read.set()
        if receiver is not None:
            receiver.ended()

    async def aclose(self) -> None:
        """Write what is queued, as far as the peer takes it in a short time, and close."""
        self.stop_reading()
        if self._carrier is not None and not self.over:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flushed.wait(), CLOSE_TIMEOUT)
        self.end()
        await self.release()

    # What the two ends of a socket call

    def end(self) -> None:
        """The connection is over: no further socket, nothing more to send."""
        if self.over:
            return
        self.over = True
        self._drained.set()
        self.stop_reading()

    def expire(self, turn: int) -> None:
        """End, unless another socket came after the one of this turn."""
        if turn == self._turn:
            self.end()

    async def release(self) -> int:
        """Stop to use the present socket, if any.

        Returns:
            A number that `carry` takes: valid until the next call.
        """
        self._turn += 1
        turn = self._turn
        carrier = self._carrier
        if carrier is not None:
            carrier.cancel()
            await asyncio.wait((carrier,))
        return turn

    def rewind(self, count: int) -> bool:
        """Prepare to send again what a peer lacks that has taken `count` frames.

        Returns:
            Whether that can be; if not, the connection cannot be resumed.
        """
        return self._outbox.rewind(count)

    async def carry(self, socket: Socket, turn: int) -> Ending:
        """Move frames over a socket until it is lost or closed; it is closed in the end.

        Args:
            socket: Connected, without aiohttp's own answers to pings.
            turn: What `release` returned. When another socket came meanwhile, this one is closed.
        """
        if turn != self._turn or self.over:
            await _close(socket, 1000 if self.over else 1001)
            return "over" if self.over else "lost"
        carrier = self._carrier = asyncio.get_running_loop().create_task(self._carry(socket))
        try:
            return await asyncio.shield(carrier)
        except asyncio.CancelledError:
            if not carrier.done():  # the caller was cancelled, not the carrier
                carrier.cancel()
                await asyncio.wait((carrier,))
                raise
            return "over" if self.over else "lost"

    async def _carry(self, socket: Socket) -> Ending:
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        self._wake.set()
        work: tuple[Coroutine[Any, Any, Ending], ...] = (
            self._read(socket),
            self._write(socket),
            self._watch(),
        )
        tasks = [loop.create_task(one) for one in work]
        over = False
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            over = any(task.done() and task.result() == "over" for task in tasks)
            return "over" if over else "lost"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._carrier = None
            await _close(socket, 1000 if self.over or over else 1001)

    async def _read(self, socket: Socket) -> Ending:
        while True:
            message = await socket.receive()
            self._heard = asyncio.get_running_loop().time()
            match message.type:
                case WSMsgType.TEXT:
                    await self._bring(message.data.encode())
                case WSMsgType.BINARY:
                    if self.resumable:
                        self._outbox.confirm(int.from_bytes(message.data[:8]))
                case WSMsgType.PING:
                    self._pong = message.data
                    self._wake.set()
                case WSMsgType.PONG:
                    pass
                case _:
                    return _ending(message)

    async def _bring(self, frame: bytes) -> None:
        await self._may_read.wait()
        self.received += 1
        self._unconfirmed += len(frame) + 8
        if self._unconfirmed >= _CONFIRM_BYTES:
            self._wake.set()
        if self._receiver is not None:
            self._receiver.frame_received(frame)

    async def _write(self, socket: Socket) -> Ending:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._write_controls(socket)
                while (frame := self._outbox.take()) is not None:
                    await socket.send_frame(frame, WSMsgType.TEXT)
                    if self._outbox.unsent <= HIGH_WATER:
                        self._drained.set()
                    await self._write_controls(socket)
                self._flushed.set()
        except (OSError, RuntimeError, aiohttp.ClientError):
            return "lost"

    async def _write_controls(self, socket: Socket) -> None:
        pong, self._pong = self._pong, None
        if pong is not None:
            await socket.pong(pong)
        if self._ping:
            self._ping = False
            await socket.ping()
        if self.resumable and self._unconfirmed >= _CONFIRM_BYTES:
            self._unconfirmed = 0
            await socket.send_bytes(self.received.to_bytes(8))

    async def _watch(self) -> Ending:
        """Ping, and end when the peer is silent."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._keepalive.interval)
            # While reading is paused nobody can tell a silent peer from an unheard one.
            if not self._paused and loop.time() - self._heard > self._keepalive.timeout:
                return "lost"
            self._ping = True
            self._wake.set()


def _ending(message: aiohttp.WSMessage) -> Ending:
    """Tell a socket that broke off from one that was closed for good."""
    if message.type is WSMsgType.CLOSE:
        return "lost" if message.data in _LOST_CODES else "over"
    if isinstance(message.data, aiohttp.WebSocketError):
        log.warning("a peer broke the WebSocket protocol: code %s", message.data.code)
        return "over"
    return "lost"


async def _close(socket: Socket, code: int) -> None:
    """Close a socket, in bounded time."""
    with contextlib.suppress(TimeoutError, OSError, RuntimeError, aiohttp.ClientError):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await socket.close(code=code)
