"""Two linked transports in one event loop: for tests, and for agents inside a hub.

Frames are delivered on a later turn of the loop, as a pipe would, never inside `send`.
"""

from __future__ import annotations

import asyncio
from collections import deque

from punie.acp.transports.base import HIGH_WATER, MAX_FRAME, Receiver


def pair(*, max_frame: int = MAX_FRAME) -> tuple[MemoryTransport, MemoryTransport]:
    """Make two transports, each the other's peer.

    Args:
        max_frame: Bytes in the longest frame that either accepts.
    """
    left, right = MemoryTransport(max_frame=max_frame), MemoryTransport(max_frame=max_frame)
    left.link(right)
    right.link(left)
    return left, right


class MemoryTransport:
    """One end of a `pair`."""

    def __init__(self, *, max_frame: int = MAX_FRAME) -> None:
        self._peer: MemoryTransport | None = None
        self._receiver: Receiver | None = None
        self._inbox: deque[bytes] = deque()
        self._waiting = 0
        self._max_frame = max_frame
        self._paused = False
        self._scheduled = False
        self._ended = False
        self._closed = False
        self._drained = asyncio.Event()
        self._drained.set()

    def link(self, peer: MemoryTransport) -> None:
        """Name the other end."""
        self._peer = peer

    async def open(self, receiver: Receiver) -> None:
        """Start to read."""
        self._receiver = receiver
        self._schedule()

    def send(self, frame: bytes) -> None:
        """Queue a frame for the other end."""
        if not self._closed and self._peer is not None:
            self._peer.accept(frame)

    async def drain(self) -> None:
        """Wait until the other end has taken most of what it was sent."""
        if self._peer is not None:
            await self._peer.taken()

    def accept(self, frame: bytes) -> None:
        """Take a frame from the other end."""
        if self._ended:
            return
        self._inbox.append(frame)
        self._waiting += len(frame)
        if self._waiting > HIGH_WATER:
            self._drained.clear()
        self._schedule()

    async def taken(self) -> None:
        """Wait until little is left to deliver."""
        await self._drained.wait()

    def pause_reading(self) -> None:
        """Stop to deliver."""
        self._paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self._paused = False
        self._schedule()

    def stop_reading(self) -> None:
        """Deliver what is there, then report the end."""
        if not self._ended:
            self._ended = True
            self._drained.set()
            self._schedule()

    async def aclose(self) -> None:
        """Close both directions."""
        self._closed = True
        self.stop_reading()
        if self._peer is not None:
            self._peer.stop_reading()

    def _schedule(self) -> None:
        if not self._scheduled and not self._paused and self._receiver is not None:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver, self._receiver)

    def _deliver(self, receiver: Receiver) -> None:
        self._scheduled = False
        while self._inbox and not self._paused:
            frame = self._inbox.popleft()
            self._waiting -= len(frame)
            if len(frame) > self._max_frame:
                receiver.frame_dropped(len(frame))
            else:
                receiver.frame_received(frame)
        if self._waiting <= HIGH_WATER or self._ended:
            self._drained.set()
        if self._ended and not self._inbox:
            self._receiver = None
            receiver.ended()
