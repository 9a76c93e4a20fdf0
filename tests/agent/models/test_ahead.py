"""What arrives while somebody is busy is handed on together, and never too much of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from punie.agent.models.ahead import FULL, ReadAhead


class Source:
    """Pieces that are there at once, with a wait wherever there is an event."""

    def __init__(self, *pieces: str | asyncio.Event | Exception) -> None:
        self.pieces = pieces
        self.read = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            for piece in self.pieces:
                match piece:
                    case asyncio.Event():
                        await piece.wait()
                    case Exception():
                        raise piece
                    case str():
                        self.read += 1
                        yield piece
        finally:
            self.closed = True


def ahead_of(source: Source) -> ReadAhead:
    return ReadAhead(aiter(source))


async def test_what_arrived_together_is_given_together() -> None:
    more = asyncio.Event()
    pieces: list[str] = []
    async for text in ahead_of(Source("a", "b", "c", more, "d", "e")):
        pieces.append(text)
        more.set()
    assert pieces == ["abc", "de"]


async def test_an_error_comes_after_what_came_before_it() -> None:
    texts = aiter(ahead_of(Source("a", ConnectionError("gone"))))
    assert await anext(texts) == "a"
    with pytest.raises(ConnectionError, match="gone"):
        await anext(texts)


async def test_no_more_is_read_than_may_wait() -> None:
    source = Source(*["x" * FULL] * 5)
    ahead = ahead_of(source)
    async for _ in ahead:
        assert source.read == 2
        break
    await ahead.aclose()


async def test_closing_stops_the_reading() -> None:
    source = Source("a", asyncio.Event(), "never")
    ahead = ahead_of(source)
    async for _ in ahead:
        await ahead.aclose()
    assert (source.read, source.closed) == (1, True)


async def test_closing_with_patience_reads_what_comes_last() -> None:
    late = asyncio.Event()
    source = Source("a", late, "b")
    ahead = ahead_of(source)
    async for _ in ahead:
        break
    late.set()
    await ahead.aclose(patience=5.0)
    assert (source.read, source.closed) == (2, True)


async def test_closing_what_was_never_read_does_nothing() -> None:
    source = Source("a")
    await ahead_of(source).aclose(patience=5.0)
    assert source.read == 0
