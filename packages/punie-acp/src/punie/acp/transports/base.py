"""What a connection needs from a transport: whole frames, in order, with back-pressure.

A frame is one JSON text without a line end. A transport knows nothing of JSON.
"""

from __future__ import annotations

from typing import Protocol

MAX_FRAME = 64 * 1024 * 1024
"""Bytes in one frame that every transport accepts; longer ones are dropped and reported."""

HIGH_WATER = 64 * 1024
"""Bytes waiting to be written above which a sender should wait."""


class Receiver(Protocol):
    """Takes what a transport brings. Called on the event loop, never concurrently."""

    def frame_received(self, frame: bytes) -> None:
        """A frame came."""
        ...

    def frame_dropped(self, size: int) -> None:
        """A frame was longer than the limit; `size` bytes of it are gone."""
        ...

    def ended(self) -> None:
        """Nothing more will come. Called exactly once."""
        ...


class Transport(Protocol):
    """Carries frames both ways."""

    async def open(self, receiver: Receiver) -> None:
        """Start to read."""
        ...

    def send(self, frame: bytes) -> None:
        """Queue a frame; frames arrive in the order of these calls. Ignored once closed."""
        ...

    async def drain(self) -> None:
        """Wait until little is queued. Returns at once when the peer is gone."""
        ...

    def pause_reading(self) -> None:
        """Stop to bring frames: the receiver is behind."""
        ...

    def resume_reading(self) -> None:
        """Bring frames again."""
        ...

    def stop_reading(self) -> None:
        """Act as if the peer had closed its side; writing still works."""
        ...

    async def aclose(self) -> None:
        """Write what is queued, as far as the peer takes it in a short time, and close."""
        ...
