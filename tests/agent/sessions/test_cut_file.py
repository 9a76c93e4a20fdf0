"""The file of sessions cut at any byte, as a kill in the middle of a write leaves it.

What was committed lies in SQLite's log behind the file, in the order in which it was written, so the
log cut short is what was on disk at some earlier moment.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.agent.events import PermissionRequested, PermissionResolved, UserMessage
from punie.agent.models.history import chat_messages
from punie.agent.sessions.manager import UnknownSessionError
from punie.agent.testing import Answers, Call, Recorder, Think

Start = Callable[..., Any]
HEADER, FRAME = 32, 24 + 4096
"""Bytes of the log's header, and of one page in it: https://www.sqlite.org/fileformat2.html"""
SEED, CUTS = 20261125, 30
SCRIPT = [
    [Think("hm"), "I look. ", Call("read_file", {"path": "a.txt"})],
    ["It is short."],
    [Call("write_file", {"path": "b.txt", "content": "b"})],
    ["Written."],
    [Call("read_file", {"path": "a.txt"}), Call("write_file", {"path": "c.txt", "content": "c"})],
]
"""Two whole turns, and a third one in which a question stays open."""


async def kept(process: Start, state: Path) -> tuple[bytes, bytes, list[Any], list[int]]:
    """Work until a question is open.

    Returns:
        The file and its log; the events, and how long the log was when each of them was heard.
    """
    log, events, lengths = state / "sessions.db-wal", list[Any](), list[int]()

    async def listen(event: Any) -> None:
        events.append(event)
        lengths.append(log.stat().st_size)

    async with process(SCRIPT) as first:
        session = first.open()
        session.attach(listen)
        leave = session.attach(Recorder(), asker=Answers("allow_once"))
        await session.prompt("what is in a.txt?")
        await session.prompt("write b.txt")
        leave()
        silent = Answers(None)
        session.attach(Recorder(), asker=silent)
        turn = asyncio.ensure_future(session.prompt("write c.txt"))
        await silent.was_asked.wait()
        await first.journal.run(lambda store, _: None)  # what waits to be written is written now
        found = (state / "sessions.db").read_bytes(), log.read_bytes(), events[:], lengths[:]
    turn.cancel()
    return found


def cuts(length: int) -> list[int]:
    """Every boundary of a page with its neighbours, thinned, and bytes that nobody chose."""
    chosen = random.Random(SEED)
    edges = [edge + by for edge in range(HEADER, length + 1, FRAME) for by in (-1, 0, 1)]
    inside = [cut for cut in edges if 0 <= cut <= length]
    some = chosen.sample(inside, min(CUTS, len(inside)))
    return sorted({0, length, *some, *(chosen.randrange(length) for _ in range(CUTS))})


def open_questions(events: list[Any]) -> set[str]:
    asked = {event.request_id for event in events if isinstance(event, PermissionRequested)}
    return asked - {event.request_id for event in events if isinstance(event, PermissionResolved)}


def same(one: list[Any], other: list[Any]) -> int:
    """How many events two lists begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


@pytest.mark.timeout(180)
async def test_whatever_was_heard_is_loaded_read_by_the_model_and_asked_again(
    process: Start, state: Path, root: Path, tmp_path: Path
) -> None:
    (root / "a.txt").write_text("text of a\n")
    file, log, told, lengths = await kept(process, state)
    assert len(open_questions(told)) == 1
    unknown, asked_again = 0, set[str]()
    for cut in cuts(len(log)):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "sessions.db").write_bytes(file)
        (folder / "sessions.db-wal").write_bytes(log[:cut])
        for name in ("b.txt", "c.txt"):
            (root / name).unlink(missing_ok=True)
        heard = bisect_right(lengths, cut)
        async with process([["So be it."]], folder=folder) as later:
            try:
                session = await later.load()
            except UnknownSessionError:
                assert heard == 0
                unknown += 1
                continue
            loaded = same(told, session.events)
            assert loaded >= heard, f"cut at {cut}: {heard} events were heard, {loaded} are left"
            person = Answers("allow_once")
            session.attach(Recorder(), asker=person)
            outcome = await session.go_on()
            assert len(person.asked) == len(open_questions(told[:loaded]))
            assert (outcome is not None) == bool(person.asked)
            written = {path.name for path in root.iterdir()} - {"a.txt"}  # noqa: ASYNC240
            assert written == {asked.title.removeprefix("Write ") for asked in person.asked}
            asked_again |= written
            if outcome is None:
                outcome = await session.prompt("go on")
            assert (outcome.stop_reason, outcome.text) == ("end_turn", "So be it.")
            chat = later.requests[-1]
            messages = chat_messages(chat[0], chat[1].model_request_parameters.instruction_parts)
        calls = [call["id"] for message in messages for call in message.get("tool_calls", ())]
        results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
        assert calls == results
        prompts = "\n".join(str(m["content"]) for m in messages if m["role"] == "user")
        for event in told[:loaded]:
            if isinstance(event, UserMessage):
                assert event.text in prompts
    assert asked_again == {"b.txt", "c.txt"}
    assert unknown > 0


def test_the_log_is_what_this_test_takes_it_for(tmp_path: Path) -> None:
    """A log that is cut anywhere opens as an earlier state of the file, here of n rows."""
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (n)")
    for n in range(3):
        connection.execute("INSERT INTO t VALUES (?)", (n,))
    log = path.with_name("x.db-wal").read_bytes()
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    copy.with_name("copy.db-wal").write_bytes(log[: len(log) - 1])
    cut = sqlite3.connect(copy)
    assert cut.execute("SELECT count(*) FROM t").fetchone() == (2,)
    cut.close()
    connection.close()
