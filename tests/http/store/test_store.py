"""What any store of the hub must do. An implementation joins by a row in `OPENERS`."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from msgspec import Raw

from punie.http.errors import StoreError
from punie.http.store.base import Checkpoint, Event, SessionKey, Store
from punie.http.store.migrations import STEPS
from punie.http.store.sqlite import open_store

OPENERS: dict[str, Callable[[Path], Awaitable[Store]]] = {"sqlite": open_store}


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Callable[[Path], Awaitable[Store]]:
    return OPENERS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "hub.db"


@pytest.fixture
async def store(
    opener: Callable[[Path], Awaitable[Store]], path: Path
) -> AsyncGenerator[Store, None]:
    opened = await opener(path)
    yield opened
    await opened.aclose()


def session_of(store: Store, name: str = "s1") -> SessionKey:
    return store.key_of("punie", name, cwd="/project", at=1.0)


def make_old(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript(STEPS[0] + "PRAGMA user_version = 1;")
    connection.execute("INSERT INTO sessions VALUES (1, 'punie', 's1', '/', 1.0)")
    connection.commit()
    connection.close()


def mode_of(path: Path) -> int:
    return path.stat().st_mode


def put(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)


async def test_events_are_published_in_order_each_once(store: Store) -> None:
    seen: list[int] = []

    def published(events: Sequence[Event]) -> None:
        seen.extend(event.seq for event in events)

    store.listen(published)
    session = session_of(store)
    given = [store.append(session, "update", b'{"n": %d}' % n, at=2.0) for n in range(500)]
    await store.flush()
    assert seen == given


async def test_an_event_is_readable_when_it_is_published(store: Store) -> None:
    session = session_of(store)
    seq = store.append(session, "update", b'{"text":"hi"}', at=2.5)
    await store.flush()
    (event,) = await store.events()
    assert event == Event(
        seq=seq, session=session, at=2.5, kind="update", body=Raw(b'{"text":"hi"}')
    )
    assert store.published_seq == seq


async def test_a_page_of_events_is_bounded_and_goes_on_where_it_stopped(store: Store) -> None:
    session = session_of(store)
    given = [store.append(session, "update", b"{}", at=1.0) for _ in range(5)]
    await store.flush()
    first = await store.events(limit=3)
    rest = await store.events(after=first[-1].seq)
    assert [event.seq for event in first + rest] == given


async def test_events_of_one_session_leave_out_the_others(store: Store) -> None:
    one, other = session_of(store, "one"), session_of(store, "other")
    store.append(one, "update", b"1", at=1.0)
    wanted = store.append(other, "update", b"2", at=1.0)
    await store.flush()
    assert [event.seq for event in await store.events(session=other)] == [wanted]


async def test_until_ends_a_page(store: Store) -> None:
    session = session_of(store)
    first = store.append(session, "update", b"1", at=1.0)
    store.append(session, "update", b"2", at=1.0)
    await store.flush()
    assert [event.seq for event in await store.events(until=first)] == [first]


async def test_one_session_of_one_agent_has_one_key(store: Store) -> None:
    assert session_of(store) == session_of(store)
    assert session_of(store) != store.key_of("other", "s1", cwd="/", at=1.0)


async def test_all_is_there_after_closing(
    opener: Callable[[Path], Awaitable[Store]], path: Path
) -> None:
    store = await opener(path)
    session = session_of(store)
    seq = store.append(session, "asked", b"{}", at=1.0)
    await store.aclose()
    again = await opener(path)
    assert [event.seq for event in await again.events()] == [seq]
    assert again.append(session_of(again), "update", b"{}", at=1.0) > seq
    await again.aclose()


async def test_a_text_is_found_by_words_in_any_order(store: Store) -> None:
    session = session_of(store)
    store.index(session, 7, "agent", "The quick brown fox")
    await store.flush()
    (hit,) = await store.search("fox quick")
    assert (hit.session, hit.seq, hit.kind) == (session, 7, "agent")
    assert "\x02fox\x03" in hit.snippet


@pytest.mark.parametrize("query", ['"', "AND", "a OR", "text:x", "NEAR(", "*", "-", "  "])
async def test_no_query_is_a_syntax_error(store: Store, query: str) -> None:
    assert await store.search(query) == []


async def test_the_newest_checkpoint_of_a_session_counts(store: Store) -> None:
    session = session_of(store)
    for seq in (1, 2):
        store.checkpoint(Checkpoint(session=session, seq=seq, body=Raw(b'{"seq":%d}' % seq)))
    await store.flush()
    (kept,) = await store.checkpoints()
    assert (kept.seq, bytes(kept.body)) == (2, b'{"seq":2}')


async def test_forgetting_a_session_keeps_who_answered_what(store: Store) -> None:
    session = session_of(store)
    store.append(session, "update", b"{}", at=1.0)
    answered = store.append(session, "answered", b"{}", at=1.0)
    store.index(session, 1, "agent", "secret")
    await store.forget(session)
    assert [event.seq for event in await store.events()] == [answered]
    assert await store.search("secret") == []


async def test_a_forgotten_session_can_come_anew(store: Store) -> None:
    old = session_of(store)
    await store.forget(old)
    assert await store.sessions() == []
    new = session_of(store)
    await store.flush()
    assert new != old
    assert [row.key for row in await store.sessions()] == [new]


async def test_a_sum_takes_the_place_of_the_last(store: Store) -> None:
    session, other = session_of(store), session_of(store, "other")
    given = [store.append(session, "update", b"%d" % n, at=1.0) for n in range(3)]
    between = store.append(other, "update", b"9", at=1.0)
    last = store.append(session, "update", b"3", at=1.0)
    await store.squash(session, first=given[1], last=last, body=b"123")
    kept = [(event.seq, bytes(event.body)) for event in await store.events()]
    assert kept == [(given[0], b"0"), (between, b"9"), (last, b"123")]


async def test_a_database_of_the_first_version_is_brought_up(path: Path) -> None:
    make_old(path)
    store = await open_store(path)
    (row,) = await store.sessions()
    assert row.session_id == "s1"
    await store.aclose()


async def test_the_latest_of_a_kind_come_newest_first(store: Store) -> None:
    session = session_of(store)
    given = [store.append(session, "answered", b"{}", at=1.0) for _ in range(3)]
    store.append(session, "asked", b"{}", at=1.0)
    await store.flush()
    found = await store.latest(["answered"], limit=2)
    assert [event.seq for event in found] == given[:0:-1]


async def test_only_the_owner_may_read_the_database(path: Path) -> None:
    store = await open_store(path)
    assert mode_of(path) & 0o077 == 0
    await store.aclose()


async def test_a_database_of_a_newer_punie_is_refused(path: Path) -> None:
    store = await open_store(path)
    await store.aclose()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="version 99"):
        await open_store(path)


async def test_a_file_that_is_no_database_is_refused_with_what_to_do(path: Path) -> None:
    put(path, "no database at all, but a text of some length " * 100)
    with pytest.raises(StoreError, match="Move it away"):
        await open_store(path)
