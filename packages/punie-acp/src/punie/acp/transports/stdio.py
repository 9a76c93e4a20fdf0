"""Frames as lines on a pair of file descriptors: pipes, sockets, terminals or files.

Used for an agent's own stdin and stdout and for the pipes of a child. Lines have no length limit
below `MAX_FRAME`; a longer one is dropped up to its end and the stream goes on. Descriptors that
the event loop cannot watch (regular files; anything on Windows) are served by threads.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import Callable
from typing import cast

from punie.acp.transports.base import HIGH_WATER, MAX_FRAME, Receiver

_READ_SIZE = 256 * 1024
_CLOSE_TIMEOUT = 0.05
"""Seconds in which a peer must take what is left when the transport closes."""


class LineSplitter:
    """Cuts a stream of bytes into lines, in time linear in its length.

    Args:
        receiver: Gets the lines, without their ends; blank ones are left out.
        max_frame: Bytes in the longest line that is kept.
    """

    def __init__(self, receiver: Receiver, *, max_frame: int = MAX_FRAME) -> None:
        self._receiver = receiver
        self._max_frame = max_frame
        self._chunks: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        first, *others = data.split(b"\n")
        self._append(first)
        if not others:
            return
        self._end_line()
        for line in others[:-1]:
            self._emit(line, len(line))
        self._append(others[-1])

    def end(self) -> None:
        """The stream is over; a last line may lack its end."""
        self._end_line()

    def _append(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._max_frame:
            self._chunks.clear()
        elif part:
            self._chunks.append(part)

    def _end_line(self) -> None:
        line, size = b"".join(self._chunks), self._size
        self._chunks.clear()
        self._size = 0
        self._emit(line, size)

    def _emit(self, line: bytes, size: int) -> None:
        if size > self._max_frame:
            self._receiver.frame_dropped(size)
        elif line and not line.isspace():
            self._receiver.frame_received(line)


class StdioTransport(asyncio.Protocol):
    """Lines on two file descriptors, which it owns and closes.

    Args:
        read_fd: Where frames come from.
        write_fd: Where frames go to.
        max_frame: Bytes in the longest line that is accepted.
    """

    def __init__(self, read_fd: int, write_fd: int, *, max_frame: int = MAX_FRAME) -> None:
        self._read_fd = read_fd
        self._max_frame = max_frame
        self._reader: asyncio.ReadTransport | None = None
        self._writer = _Writer(write_fd)
        self._splitter: LineSplitter | None = None
        self._receiver: Receiver | None = None
        self._may_read = threading.Event()
        self._may_read.set()

    async def open(self, receiver: Receiver) -> None:
        """Start to read and write."""
        self._receiver = receiver
        self._splitter = LineSplitter(receiver, max_frame=self._max_frame)
        await self._writer.open(self.stop_reading)
        loop = asyncio.get_running_loop()
        if _can_watch(self._read_fd):
            pipe = os.fdopen(self._read_fd, "rb", buffering=0)
            self._reader, _ = await loop.connect_read_pipe(lambda: self, pipe)
        else:
            threading.Thread(target=self._read_in_thread, args=(loop,), daemon=True).start()

    def send(self, frame: bytes) -> None:
        """Queue a line."""
        self._writer.write(frame)

    async def drain(self) -> None:
        """Wait until little is queued."""
        await self._writer.drain()

    def pause_reading(self) -> None:
        """Stop to read."""
        self._may_read.clear()
        if self._reader is not None and self._receiver is not None:
            self._reader.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._may_read.set()
        if self._reader is not None and self._receiver is not None:
            self._reader.resume_reading()

    def stop_reading(self) -> None:
        """Act as if the peer had closed its side."""
        receiver, self._receiver = self._receiver, None
        if self._reader is not None:
            self._reader.close()
        if receiver is not None:
            receiver.ended()

    async def aclose(self) -> None:
        """Write what is queued, as far as the peer takes it in a short time, and close."""
        self.stop_reading()
        await self._writer.aclose()

    def data_received(self, data: bytes) -> None:
        """Bytes came (asyncio's callback)."""
        if self._splitter is not None and self._receiver is not None:
            self._splitter.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer closed its side (asyncio's callback)."""
        if self._splitter is not None and self._receiver is not None:
            self._splitter.end()
        self.stop_reading()

    def _read_in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        def call(callback: Callable[..., None], *args: object) -> bool:
            try:
                loop.call_soon_threadsafe(callback, *args)
            except RuntimeError:  # the loop is closed
                return False
            return True

        while True:
            self._may_read.wait()
            try:
                data = os.read(self._read_fd, _READ_SIZE)
            except OSError:
                data = b""
            if not data:
                call(self.connection_lost, None)
                return
            if not call(self.data_received, data):
                return


class _Writer(asyncio.BaseProtocol):
    """The writing half: frames of one turn of the loop leave in one system call."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pipe: asyncio.WriteTransport | None = None
        self._frames: list[bytes] = []
        self._size = 0
        self._lost: Callable[[], None] = lambda: None
        self._closed = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()

    async def open(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        if _can_watch(self._fd):
            loop = asyncio.get_running_loop()
            pipe = os.fdopen(self._fd, "wb", buffering=0)
            self._pipe, _ = await loop.connect_write_pipe(lambda: self, pipe)

    def write(self, frame: bytes) -> None:
        if self._closed:
            return
        if not self._frames:
            asyncio.get_running_loop().call_soon(self._flush)
        self._frames += (frame, b"\n")
        self._size += len(frame) + 1

    async def drain(self) -> None:
        if self._size > HIGH_WATER:
            self._flush()
            # A peer as fast as this writer never fills the pipe; reading still needs its turn.
            await asyncio.sleep(0)
        await self._writable.wait()

    def _flush(self) -> None:
        if not self._frames:
            return
        data = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        if self._pipe is not None:
            self._pipe.write(data)
        else:
            self._write_blocking(data)

    def _write_blocking(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.connection_lost(error)

    async def aclose(self) -> None:
        self._flush()
        if self._pipe is None:
            if not self._closed:
                self._closed = True
                os.close(self._fd)
            return
        self._closed = True
        self._pipe.close()
        try:
            await asyncio.wait_for(self._gone.wait(), _CLOSE_TIMEOUT)
        except TimeoutError:
            self._pipe.abort()
            await self._gone.wait()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._writable.set()
        self._gone.set()
        self._lost()


def _can_watch(fd: int) -> bool:
    """Tell whether the event loop can wait for this descriptor."""
    if sys.platform == "win32":
        return False
    mode = os.fstat(fd).st_mode
    # Not a terminal: it would become non-blocking for the shell that lent it, too.
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def own_stdio() -> tuple[int, int]:
    """Take stdin and stdout for the protocol alone.

    Whatever the program or its libraries print from now on goes to stderr, at the level of the
    file descriptor, so that child processes cannot write between the frames either.

    Returns:
        Descriptors for a `StdioTransport`; children inherit neither.
    """
    sys.stdout.flush()
    read_fd, write_fd = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    sys.stdout = cast("object", sys.stderr)  # pyright: ignore[reportAttributeAccessIssue]
    return read_fd, write_fd
