"""The schema of the hub's database, one step per version; a step that was released never changes."""

from __future__ import annotations

import sqlite3

from punie.http.errors import StoreError

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE sessions (
        key INTEGER PRIMARY KEY,
        agent TEXT NOT NULL,
        session_id TEXT NOT NULL,
        cwd TEXT NOT NULL,
        opened_at REAL NOT NULL,
        UNIQUE (agent, session_id)
    );
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        session INTEGER NOT NULL REFERENCES sessions (key),
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX events_of_session ON events (session, seq);
    CREATE INDEX rare_events ON events (kind, seq) WHERE kind <> 'update';
    CREATE TABLE checkpoints (
        session INTEGER PRIMARY KEY REFERENCES sessions (key),
        seq INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE VIRTUAL TABLE texts USING fts5 (
        text, kind UNINDEXED, session UNINDEXED, seq UNINDEXED,
        tokenize = 'unicode61 remove_diacritics 2'
    );
    """,
    "ALTER TABLE sessions ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest version, each step whole or not at all.

    Raises:
        StoreError: A newer Punie wrote it.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise StoreError(
            f"the hub's database has version {version}, this Punie knows {len(STEPS)}: update Punie"
        )
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")
