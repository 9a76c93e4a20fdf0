"""Frames on their way out: those not sent yet, and those sent that the peer may ask for again.

Counts, no input or output. Frames are numbered from 0 in the order in which they were added.
"""

from __future__ import annotations

from collections import deque


class Outbox:
    """A queue that can step back.

    Args:
        replay_limit: Bytes of sent frames to keep until the peer confirms them; the oldest go first.
            With 0 nothing is kept.

    Attributes:
        unsent: Bytes waiting to be sent.
    """

    def __init__(self, *, replay_limit: int) -> None:
        self._replay_limit = replay_limit
        self._unsent: deque[bytes] = deque()
        self._sent: deque[bytes] = deque()
        self._kept = 0
        self._first = 0  # the number of the oldest frame that is kept
        self.unsent: int = 0

    @property
    def sent(self) -> int:
        """Frames that were sent so far, each counted once."""
        return self._first + len(self._sent)

    def add(self, frame: bytes) -> None:
        """Put a frame at the end."""
        self._unsent.append(frame)
        self.unsent += len(frame)

    def take(self) -> bytes | None:
        """Get the next frame to send; `None` when there is none."""
        if not self._unsent:
            return None
        frame = self._unsent.popleft()
        self.unsent -= len(frame)
        self._sent.append(frame)
        self._kept += len(frame)
        while self._kept > self._replay_limit:
            self._forget()
        if not self._replay_limit:  # frames of no bytes
            self._first += len(self._sent)
            self._sent.clear()
        return frame

    def confirm(self, count: int) -> None:
        """Forget what the peer has taken.

        Args:
            count: Frames that it has taken in all.
        """
        while self._sent and self._first < count:
            self._forget()

    def rewind(self, count: int) -> bool:
        """Step back, so that `take` begins with what the peer lacks.

        Args:
            count: Frames that the peer has taken in all.

        Returns:
            Whether that can be: nothing that it lacks was forgotten, and it has taken no more than
            was sent.
        """
        if not self._first <= count <= self.sent:
            return False
        self.confirm(count)
        while self._sent:
            frame = self._sent.pop()
            self._unsent.appendleft(frame)
            self.unsent += len(frame)
        self._kept = 0
        return True

    def _forget(self) -> None:
        self._kept -= len(self._sent.popleft())
        self._first += 1
