"""Updates of sessions that the hub does not know yet: an agent may tell of one before it has answered that it is open.

How much is kept is bounded, since an agent may tell of sessions that never open. Joining is not done here.
"""

from __future__ import annotations

MOST = 200
"""Updates of one session that are kept."""
MOST_SIZE = 4 * 1024 * 1024
"""Bytes of all of them above which the session goes that was told of first."""
OVERHEAD = 200
"""Bytes that an update costs beside its body, about."""


class Early:
    """What one agent told too early."""

    def __init__(self) -> None:
        self._kept: dict[str, list[bytes]] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are kept, about."""
        return self._size

    def put(self, session_id: str, update: bytes) -> None:
        """Keep an update, as it is recorded."""
        kept = self._kept.setdefault(session_id, [])
        if len(kept) < MOST:
            kept.append(update)
            self._size += _cost(session_id, update)
        while self._size > MOST_SIZE:
            self.take(next(iter(self._kept)))

    def take(self, session_id: str) -> list[bytes]:
        """Give what is kept of a session, in order; it is not kept any more."""
        taken = self._kept.pop(session_id, [])
        self._size -= sum(_cost(session_id, update) for update in taken)
        return taken


def _cost(session_id: str, update: bytes) -> int:
    return len(session_id) + len(update) + OVERHEAD
