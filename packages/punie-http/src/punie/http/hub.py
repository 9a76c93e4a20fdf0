"""The hub put together: store, feed, sessions, inbox, prompts and agents, and how they are wired.

`open_hub` is the one place where they meet. The page's server is `punie.http.app`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import msgspec

from punie.http.agents.external import open_command
from punie.http.agents.fleet import Fleet
from punie.http.agents.in_process import declared, open_in_process
from punie.http.config import Settings
from punie.http.inbox import Inbox
from punie.http.sessions.prompts import Prompts
from punie.http.sessions.registry import Sessions
from punie.http.sessions.upkeep import Upkeep
from punie.http.sse import Feed, state_frame
from punie.http.store.base import Event, SessionKey, Store
from punie.http.store.sqlite import open_store
from punie.http.store.tail import Tails


class Hub(NamedTuple):
    """All parts of a hub that runs."""

    settings: Settings
    store: Store
    feed: Feed
    sessions: Sessions
    inbox: Inbox
    prompts: Prompts
    fleet: Fleet
    tails: Tails

    def overview(self) -> dict[str, Any]:
        """Everything that the overview shows, as of now."""
        return {
            "seq": self.store.published_seq,
            "agents": [msgspec.to_builtins(view) for view in self.fleet.views()],
            "sessions": [summary.view() for summary in self.sessions.all()],
            "inbox": self.inbox.views(),
            "problem": self.store.problem,
        }


@asynccontextmanager
async def open_hub(settings: Settings) -> AsyncGenerator[Hub, None]:
    """Run a hub's inside; leaving ends its agents and writes what is left.

    Args:
        settings: Host and port are not looked at here.

    Raises:
        StoreError: The database cannot be opened.
    """
    store = await open_store(settings.database)
    try:
        async with asyncio.TaskGroup() as tasks:
            hub = await _wire(settings, store, tasks)
            upkeep = tasks.create_task(Upkeep(store, hub.sessions).run())
            try:
                yield hub
            finally:
                upkeep.cancel()
                hub.feed.drop_all()
                hub.fleet.stop()
    finally:
        await store.aclose()


async def _wire(settings: Settings, store: Store, tasks: asyncio.TaskGroup) -> Hub:
    feed = Feed()
    sessions = Sessions(store, feed)
    inbox = Inbox(store, sessions, feed)
    prompts = Prompts(sessions, tasks=tasks)
    fleet = Fleet(sessions, inbox, feed, tasks=tasks)
    tails = Tails(store)

    def published(events: Sequence[Event]) -> None:
        sessions.published(events)
        inbox.published(events)
        prompts.published(events)
        feed.published(events)
        tails.published(events)

    def troubled(problem: str) -> None:
        feed.tell([state_frame("problem", msgspec.json.encode({"problem": problem}))])

    def came_or_went(session: SessionKey) -> None:
        prompts.came_or_went(session)
        tails.wake(session)

    store.listen(published, troubled)
    sessions.listen(came_or_went)
    prompts.load(await sessions.load())
    if settings.in_process:
        for entry in declared():
            opened = partial(open_in_process, entry, model=settings.model)
            fleet.supervise(entry.name, "in_process", opened)
    logs = settings.database.parent / "logs"
    for command in settings.commands:
        fleet.supervise(command.name, "command", partial(open_command, command, logs=logs))
    return Hub(settings, store, feed, sessions, inbox, prompts, fleet, tails)
