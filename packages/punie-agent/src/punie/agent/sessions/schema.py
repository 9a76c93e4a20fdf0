"""The tables of the file of sessions, and how an older file becomes a newer one.

`PRAGMA user_version` counts the scripts that a file has seen. A script is never changed once it was
released: what changes comes as one more.
"""

from __future__ import annotations

import sqlite3

from punie.agent.errors import StoreError

SCRIPTS = (
    """
    CREATE TABLE sessions(
        id TEXT PRIMARY KEY,
        cwd TEXT NOT NULL,
        title TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL,
        updated REAL NOT NULL,
        settings TEXT NOT NULL DEFAULT '{}',
        parent TEXT NOT NULL DEFAULT '',
        owner TEXT NOT NULL DEFAULT '',
        told INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX sessions_by_time ON sessions(updated DESC, id);
    CREATE TABLE events(
        session TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at REAL NOT NULL,
        event BLOB NOT NULL,
        PRIMARY KEY(session, seq)
    ) WITHOUT ROWID;
    CREATE TABLE messages(
        session TEXT NOT NULL,
        seq INTEGER NOT NULL,
        message BLOB NOT NULL,
        PRIMARY KEY(session, seq)
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE texts USING fts5(text, session UNINDEXED);
    """,
    """
    CREATE TABLE changes(
        session TEXT NOT NULL,
        checkpoint INTEGER NOT NULL,
        path TEXT NOT NULL,
        what TEXT NOT NULL,
        before TEXT NOT NULL,
        data BLOB,
        text TEXT,
        after TEXT NOT NULL,
        PRIMARY KEY(session, checkpoint, path)
    );
    """,
)
VERSION = len(SCRIPTS)


def migrate(connection: sqlite3.Connection, where: str) -> None:
    """Bring a file up to date, in one step that another process may also be trying.

    Args:
        connection: In autocommit mode.
        where: The file, for the message.

    Raises:
        StoreError: A newer Punie wrote it.
        sqlite3.Error: It is no file of sessions, or it cannot be written.
    """
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version > VERSION:
            raise StoreError(newer(where, version))
        for script in SCRIPTS[version:]:
            for statement in script.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def newer(where: str, version: int) -> str:
    """Say that a file is of a newer version than this."""
    return (
        f"{where} was written by a newer Punie (format {version}, this one knows {VERSION}):"
        " update Punie"
    )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
