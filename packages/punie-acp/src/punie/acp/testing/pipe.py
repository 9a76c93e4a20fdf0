"""A transport that a test feeds with bytes, in whatever pieces: for fuzzing either side.

What a stdio transport would read is given to `feed`; nothing is sent anywhere.
"""

from __future__ import annotations

import asyncio

from punie.acp.transports.base import MAX_FRAME, Receiver
from punie.acp.transports.stdio import LineSplitter

LAST = b'"the last"'
"""The id of a request that a test sends behind everything else, as it stands in a frame."""


class BytePipe:
    """Bytes go in, frames come out."""

    def __init__(self, *, max_frame: int = MAX_FRAME) -> None:
        self.sent: list[bytes] = []
        """What this end was given to send."""
        self.answered: asyncio.Event = asyncio.Event()
        """Set when a frame with the id `LAST` was sent."""
        self._max_frame = max_frame
        self._receiver: Receiver | None = None
        self._splitter: LineSplitter | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes, as they would arrive; before `open`, and after the end, they are lost."""
        if self._splitter is not None:
            self._splitter.feed(data)

    async def open(self, receiver: Receiver) -> None:
        """Start to read."""
        self._receiver = receiver
        self._splitter = LineSplitter(receiver, max_frame=self._max_frame)

    def send(self, frame: bytes) -> None:
        """Keep a frame."""
        self.sent.append(frame)
        if LAST in frame:
            self.answered.set()

    async def drain(self) -> None:
        """There is nothing to wait for."""

    def pause_reading(self) -> None:
        """Go on: a test feeds all the same."""

    def resume_reading(self) -> None:
        """Nothing was stopped."""

    def stop_reading(self) -> None:
        """Report the end."""
        receiver, self._receiver, self._splitter = self._receiver, None, None
        if receiver is not None:
            receiver.ended()

    async def aclose(self) -> None:
        """Report the end."""
        self.stop_reading()
