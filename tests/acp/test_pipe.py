"""The transport that tests feed with bytes."""

from __future__ import annotations

from punie.acp.testing.pipe import BytePipe
from punie.acp.transports.base import Transport


class Frames:
    def __init__(self) -> None:
        self.got: list[bytes | int | str] = []

    def frame_received(self, frame: bytes) -> None:
        self.got.append(frame)

    def frame_dropped(self, size: int) -> None:
        self.got.append(size)

    def ended(self) -> None:
        self.got.append("ended")


async def test_what_is_fed_arrives_as_frames_until_the_end() -> None:
    pipe, frames = BytePipe(max_frame=5), Frames()
    transport: Transport = pipe
    pipe.feed(b"early\n")
    await transport.open(frames)
    transport.pause_reading()
    for piece in (b"on", b"e\ntoo long\n", b"two\n"):
        pipe.feed(piece)
    transport.resume_reading()
    transport.stop_reading()
    pipe.feed(b"late\n")
    await transport.aclose()
    assert frames.got == [b"one", 8, b"two", "ended"]


async def test_the_last_answer_is_noticed() -> None:
    pipe = BytePipe()
    pipe.send(b'{"id":1}')
    assert not pipe.answered.is_set()
    pipe.send(b'{"id":"the last"}')
    await pipe.drain()
    assert pipe.answered.is_set()
    assert pipe.sent == [b'{"id":1}', b'{"id":"the last"}']
