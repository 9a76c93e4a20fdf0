"""Readers of one session's events: nothing is missing, doubled or out of order, however slow one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from punie.http.store.base import SessionKey
from punie.http.store.sqlite import open_store
from punie.http.store.tail import MOST, MOST_SIZE, Tails


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    opened = await open_store(tmp_path / "hub.db")
    yield opened
    await opened.aclose()


def write(store: Any, session: SessionKey, count: int) -> list[int]:
    return [store.append(session, "update", b"{}", at=1.0) for _ in range(count)]


async def test_a_reader_gets_what_came_before_and_what_comes(store: Any) -> None:
    mine = store.key_of("a", "mine", cwd="/", at=0.0)
    other = store.key_of("a", "other", cwd="/", at=0.0)
    tails = Tails(store)
    store.listen(tails.published)
    expected = write(store, mine, 3)
    write(store, other, 3)
    await store.flush()
    tail = tails.open(mine, after=expected[0])
    seen = [event.seq for event in await tail.take()]
    expected += write(store, mine, 2)
    await store.flush()
    while len(seen) < len(expected) - 1:
        seen += [event.seq for event in await tail.take()]
    assert seen == expected[1:]


async def test_a_reader_that_is_slow_costs_no_memory_and_misses_nothing(store: Any) -> None:
    key = store.key_of("a", "s", cwd="/", at=0.0)
    tails = Tails(store)
    store.listen(tails.published)
    tail = tails.open(key, after=0)
    expected = write(store, key, 3 * MOST)
    await store.flush()
    assert len(tail._waiting) <= MOST
    expected += write(store, key, 10)
    seen: list[int] = []
    while len(seen) < len(expected):
        seen += [event.seq for event in await tail.take()]
    assert seen == expected


async def test_large_events_are_not_kept_for_a_slow_reader(store: Any) -> None:
    key = store.key_of("a", "s", cwd="/", at=0.0)
    tails = Tails(store)
    store.listen(tails.published)
    tail = tails.open(key, after=0)
    body = b'"' + b"x" * (MOST_SIZE // 4) + b'"'
    expected = [store.append(key, "update", body, at=1.0) for _ in range(10)]
    await store.flush()
    assert sum(len(memoryview(event.body)) for event in tail._waiting) <= MOST_SIZE
    seen: list[int] = []
    while len(seen) < len(expected):
        seen += [event.seq for event in await tail.take()]
    assert seen == expected


async def test_a_reader_is_woken_for_what_is_no_event(store: Any) -> None:
    key = store.key_of("a", "s", cwd="/", at=0.0)
    tails = Tails(store)
    tail = tails.open(key, after=0)
    tails.wake(key)
    assert await tail.take() == []
    tails.close(tail)
    tails.wake(key)  # nobody is there
