"""Frames arrive whole, in order, of any size up to the limit; the stream survives longer ones."""

from __future__ import annotations

import asyncio
import os
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punie.acp.transports.memory import MemoryTransport, pair
from punie.acp.transports.stdio import LineSplitter, StdioTransport


class Frames:
    """Keeps what a transport brings."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.dropped: list[int] = []
        self.second = asyncio.Event()
        self.over = asyncio.Event()

    def frame_received(self, frame: bytes) -> None:
        self.frames.append(frame)
        if len(self.frames) == 2:
            self.second.set()

    def frame_dropped(self, size: int) -> None:
        self.dropped.append(size)

    def ended(self) -> None:
        assert not self.over.is_set()
        self.over.set()


LINES = st.lists(
    st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b and not b.isspace())
)


@given(lines=LINES, cuts=st.lists(st.integers(0, 400)))
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    frames = Frames()
    splitter = LineSplitter(frames)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, stop in pairwise(bounds):
        splitter.feed(stream[start:stop])
    splitter.end()
    assert frames.frames == lines


def test_a_last_line_without_an_end_counts() -> None:
    frames = Frames()
    splitter = LineSplitter(frames)
    splitter.feed(b"one\n\n \r\ntwo")
    splitter.end()
    assert frames.frames == [b"one", b"two"]


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_line_over_the_limit_is_reported_and_the_next_one_arrives(step: int) -> None:
    frames = Frames()
    splitter = LineSplitter(frames, max_frame=8)
    stream = b"12345678\n123456789\nnext\n"
    for start in range(0, len(stream), step):
        splitter.feed(stream[start : start + step])
    assert (frames.frames, frames.dropped) == ([b"12345678", b"next"], [9])


async def test_a_frame_of_64_mib_passes_through_pipes() -> None:
    read_fd, write_fd = os.pipe()
    spare_read, spare_write = os.pipe()
    receiving, sending = StdioTransport(read_fd, spare_write), StdioTransport(spare_read, write_fd)
    frames = Frames()
    await receiving.open(frames)
    await sending.open(Frames())
    frame = b"x" * (64 * 1024 * 1024)
    sending.send(frame)
    sending.send(b"after")
    await sending.drain()
    await frames.second.wait()
    assert frames.frames == [frame, b"after"]
    await sending.aclose()
    await frames.over.wait()
    await receiving.aclose()


async def test_a_regular_file_is_read_to_its_end(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"one\ntwo\n")
    transport = StdioTransport(
        os.open(source, os.O_RDONLY), os.open(target, os.O_WRONLY | os.O_CREAT)
    )
    frames = Frames()
    await transport.open(frames)
    transport.send(b"answer")
    await frames.over.wait()
    await transport.aclose()
    assert frames.frames == [b"one", b"two"]
    assert target.read_bytes() == b"answer\n"


async def test_reading_a_file_waits_while_it_is_paused(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"one\n")
    transport = StdioTransport(
        os.open(source, os.O_RDONLY), os.open(target, os.O_WRONLY | os.O_CREAT)
    )
    frames = Frames()
    transport.pause_reading()
    await transport.open(frames)
    await transport.drain()
    assert frames.frames == []
    transport.resume_reading()
    await frames.over.wait()
    assert frames.frames == [b"one"]
    await transport.aclose()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals")
def test_a_reader_of_a_terminal_ends_when_its_loop_is_gone() -> None:
    ours, theirs = os.openpty()
    before = set(threading.enumerate())

    async def read() -> None:
        transport = StdioTransport(theirs, os.dup(theirs))
        await transport.open(Frames())

    asyncio.run(read())
    (reader,) = set(threading.enumerate()) - before
    os.write(ours, b"late\n")
    reader.join(10)
    assert not reader.is_alive()
    os.close(ours)


async def test_a_file_that_cannot_be_read_is_an_end(tmp_path: Path) -> None:
    folder, target = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path / "out", os.O_CREAT)
    transport = StdioTransport(folder, target)
    frames = Frames()
    await transport.open(frames)
    await frames.over.wait()
    transport.resume_reading()
    await transport.aclose()
    await transport.aclose()
    assert frames.frames == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(target)
    os.close(folder)


async def test_a_file_that_cannot_be_written_ends_the_transport(tmp_path: Path) -> None:
    idle, spare = os.pipe()
    (tmp_path / "out").touch()
    transport = StdioTransport(idle, os.open(tmp_path / "out", os.O_RDONLY))
    frames = Frames()
    await transport.open(frames)
    transport.send(b"lost")
    await frames.over.wait()
    transport.send(b"too late")
    await transport.drain()
    await transport.aclose()
    os.close(spare)
    assert (frames.frames, (tmp_path / "out").read_bytes()) == ([], b"")


async def test_a_stopped_transport_is_paused_and_resumed_without_harm() -> None:
    read_fd, spare = os.pipe()
    other, write_fd = os.pipe()
    transport = StdioTransport(read_fd, write_fd)
    frames = Frames()
    await transport.open(frames)
    transport.stop_reading()
    transport.pause_reading()
    transport.resume_reading()
    transport.data_received(b"late\n")
    await transport.aclose()
    assert frames.frames == []
    assert frames.over.is_set()
    os.close(spare)
    os.close(other)


async def test_a_memory_transport_without_a_peer_goes_nowhere() -> None:
    alone, frames = MemoryTransport(), Frames()
    await alone.open(frames)
    alone.send(b"lost")
    await alone.drain()
    await alone.aclose()
    await frames.over.wait()
    assert frames.frames == []


async def test_closing_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    read_fd, write_fd = os.pipe()
    spare_read, spare_write = os.pipe()
    transport = StdioTransport(spare_read, write_fd)
    await transport.open(Frames())
    transport.send(b"x" * 1_000_000)
    async with asyncio.timeout(2):
        await transport.aclose()
    assert len(os.read(read_fd, 2_000_000)) < 1_000_000  # what the pipe held, and no more
    os.close(read_fd)
    os.close(spare_write)


async def test_a_sender_waits_for_a_memory_peer_that_is_paused() -> None:
    left, right = pair()
    frames = Frames()
    await left.open(Frames())
    await right.open(frames)
    right.pause_reading()
    left.send(b"x" * 100_000)
    waiting = asyncio.ensure_future(left.drain())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    right.resume_reading()
    await waiting
    assert [len(frame) for frame in frames.frames] == [100_000]


async def test_a_memory_frame_over_the_limit_is_reported() -> None:
    left, right = pair(max_frame=8)
    frames = Frames()
    await right.open(frames)
    await left.open(Frames())
    left.send(b"123456789")
    left.send(b"next")
    await left.aclose()
    await frames.over.wait()
    assert (frames.frames, frames.dropped) == ([b"next"], [9])
