"""`punie sessions`: what is kept of earlier conversations, to read, to take along, to remove."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from punie.agent.sessions.store import Store, Stored

MOST = 1_000
"""Sessions of a list."""


@click.group()
def sessions() -> None:
    """List, read, export and delete kept sessions."""


@sessions.command("list")
@click.option(
    "--cwd",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Only sessions of this folder.",
)
@click.option("--search", metavar="WORDS", help="Only sessions in which all these words were said.")
def list_sessions(cwd: Path | None, search: str | None) -> None:
    """List kept sessions, the latest first."""
    from punie.agent.sessions.export import moment

    folder = None if cwd is None else str(cwd.resolve())
    with _store() as store:
        if store is None:
            return
        if search is None:
            found = store.page(cwd=folder, limit=MOST)
        else:
            found = [s for s in store.search(search) if folder in {None, s.cwd}]
    for one in found:
        click.echo(f"{one.session_id}  {moment(one.updated)}  {one.cwd}  {one.title}")


@sessions.command()
@click.argument("session")
def show(session: str) -> None:
    """Print SESSION as Markdown; the beginning of its id is enough."""
    click.echo(_markdown(session), nl=False)


@sessions.command()
@click.argument("session")
@click.option(
    "--format",
    "form",
    type=click.Choice(("markdown", "json")),
    default="markdown",
    help="Markdown for people, JSON with everything that is kept.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The file to write; stdout by default.",
)
def export(session: str, form: str, output: Path | None) -> None:
    """Write SESSION to a file; the beginning of its id is enough."""
    text = _json(session) if form == "json" else _markdown(session).encode()
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_bytes(text)
    click.echo(f"{output} written", err=True)


@sessions.command()
@click.argument("session", nargs=-1, required=True)
def delete(session: tuple[str, ...]) -> None:
    """Delete each SESSION and all that is kept of it; the beginning of an id is enough."""
    from punie.agent import config
    from punie.agent.sessions.journal import OWNERS
    from punie.agent.sessions.owners import Owner

    with _store() as store:
        found = [_find(store, one) for one in session]
        if store is None:
            return
        owner = Owner(config.locations().state / OWNERS)
        try:
            for one in found:
                store.claim(one.session_id, owner.name, owner.alive)
                store.delete(one.session_id)
                click.echo(f"{one.session_id} deleted", err=True)
        finally:
            owner.close()


@contextmanager
def _store() -> Generator[Store | None]:
    """Open the file of sessions; `None` when there is none yet."""
    from punie.agent import config
    from punie.agent.sessions.journal import FILE
    from punie.agent.sessions.store import Store

    path = config.locations().state / FILE
    if not path.exists():
        yield None
        return
    store = Store(path)
    try:
        yield store
    finally:
        store.close()


def _find(store: Store | None, beginning: str) -> Stored:
    from punie.agent.errors import ConfigError

    found = [] if store is None else store.starting_with(beginning)
    if not found:
        raise ConfigError(f"no session {beginning!r}: see punie sessions list")
    if len(found) > 1:
        shown = ", ".join(one.session_id for one in found)
        raise ConfigError(f"{beginning!r} begins more than one session: {shown}")
    return found[0]


def _markdown(beginning: str) -> str:
    from punie.agent.sessions.export import to_markdown
    from punie.agent.sessions.recovery import read_events

    with _store() as store:
        found = _find(store, beginning)
        rows = [] if store is None else store.events(found.session_id)
    return to_markdown(found, read_events(row.event for row in rows))


def _json(beginning: str) -> bytes:
    from punie.agent.sessions.export import to_json
    from punie.agent.sessions.recovery import read_events

    with _store() as store:
        found = _find(store, beginning)
        rows = [] if store is None else store.events(found.session_id)
        messages = [] if store is None else store.messages(found.session_id)
    return to_json(found, read_events(row.event for row in rows), messages)
