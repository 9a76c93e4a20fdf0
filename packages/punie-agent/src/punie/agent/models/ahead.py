"""Read what a server sends as it arrives, and hand on in one piece what arrived meanwhile.

Servers send each token in a chunk of its own. A model that is faster than what is done with its
words would otherwise cost a round through the whole agent for each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

FULL = 65_536
"""Characters that may wait: then no more is read, and the server is slowed."""


class ReadAhead:
    """An answer's text; iterated once, and closed by whoever made it, in the same event loop."""

    def __init__(self, texts: AsyncIterator[str]) -> None:
        """Begin; nothing is read before it is iterated.

        Args:
            texts: The pieces as they come.
        """
        self._texts = texts
        self._waiting: list[str] = []
        self._size = 0
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        """Give all text, in pieces as large as what has arrived, until it ends or is closed.

        Raises what reading raises, after what came before.
        """
        reading = self._reading = asyncio.create_task(self._read())
        while True:
            if not self._waiting and not reading.done():
                await self._arrived.wait()
                self._arrived.clear()
            if self._waiting:
                text = "".join(self._waiting)
                self._waiting.clear()
                self._size = 0
                self._taken.set()
                yield text
            elif reading.done():
                if not reading.cancelled():
                    reading.result()
                return

    async def aclose(self, *, patience: float = 0.0) -> None:
        """Read no further.

        Args:
            patience: Seconds to wait first for the end, so that the connection can be used again.
        """
        if self._reading is None:
            return
        if patience:
            await asyncio.wait({self._reading}, timeout=patience)
        self._reading.cancel()
        await asyncio.wait({self._reading})
        if not self._reading.cancelled():
            self._reading.exception()  # known to whoever iterated, or of no interest any more

    async def _read(self) -> None:
        try:
            async for text in self._texts:
                self._waiting.append(text)
                self._size += len(text)
                self._arrived.set()
                while self._size > FULL:
                    self._taken.clear()
                    await self._taken.wait()
        finally:
            self._arrived.set()
