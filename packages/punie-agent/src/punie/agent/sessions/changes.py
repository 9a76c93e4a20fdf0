"""The rows that say what was changed and what was there before; a part of the file of sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from punie.agent.sessions.filestate import Held, State

What: TypeAlias = Literal["turn", "undo"]
Run: TypeAlias = Callable[..., sqlite3.Cursor]


class Change(Struct, frozen=True, kw_only=True):
    """One file that a turn, or an undo, changed."""

    checkpoint: int
    """Turns and undos that changed something, counted from 1."""
    path: str
    """Absolute."""
    what: What
    before: Held
    after: tuple[State, ...]
    """What the change made of it; several when it was cut off and may have stopped at either."""

    @property
    def kept(self) -> bool:
        """Whether it can be taken back."""
        return self.before.state.kind == "absent" or self.before.data is not None


def save(run: Run, session_id: str, change: Change) -> None:
    """Write a change; what was there before stays what was written first.

    Args:
        run: Executes SQL within a transaction.
        session_id: Whose change it is.
        change: What was done, or is about to be.
    """
    run(
        "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET after = excluded.after",
        (
            session_id,
            change.checkpoint,
            change.path,
            change.what,
            msgspec.json.encode(replace(change.before, data=None, text=None)),
            change.before.data,
            change.before.text,
            msgspec.json.encode(change.after),
        ),
    )


def read(rows: Sequence[tuple[object, ...]]) -> list[Change]:
    """Turn rows of the table, without their session, into changes."""
    return [_change(*row) for row in rows]


def _change(
    checkpoint: object,
    path: object,
    what: object,
    before: object,
    data: object,
    text: object,
    after: object,
) -> Change:
    return msgspec.convert(
        {
            "checkpoint": checkpoint,
            "path": path,
            "what": what,
            "before": replace(
                msgspec.json.decode(_bytes(before), type=Held),
                data=None if data is None else _bytes(data),
                text=None if text is None else str(text),
            ),
            "after": msgspec.json.decode(_bytes(after), type=tuple[State, ...]),
        },
        Change,
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
