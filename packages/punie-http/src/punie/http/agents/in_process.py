"""Agents in this process: the entry point group `punie.agents`, over linked in-memory transports.

An entry point is an async function `serve(transport, *, model)` that is the agent on that transport
until it ends. What it imports is its own business; one that cannot be imported is a problem of that
agent, shown on the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from punie.acp.errors import AgentStartError
from punie.acp.transports.base import Transport
from punie.acp.transports.memory import pair

GROUP = "punie.agents"


class Serve(Protocol):
    """What an entry point of the group is."""

    async def __call__(self, transport: Transport, *, model: str | None) -> None:
        """Be an agent until the transport ends."""
        ...


def declared() -> list[EntryPoint]:
    """The agents that installed distributions bring, by name; nothing is loaded."""
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


@asynccontextmanager
async def open_in_process(
    entry: EntryPoint, *, model: str | None
) -> AsyncGenerator[Transport, None]:
    """Run an agent in this event loop and connect to it.

    Args:
        entry: Of the group.
        model: What the agent is asked to use; its own choice by default.

    Raises:
        AgentStartError: It cannot be imported.
    """
    serve = await asyncio.to_thread(_load, entry)
    ours, theirs = pair()
    task = asyncio.get_running_loop().create_task(serve(theirs, model=model))
    try:
        yield ours
    finally:
        await ours.aclose()
        await theirs.aclose()
        await asyncio.gather(task, return_exceptions=True)


def _load(entry: EntryPoint) -> Serve:
    try:
        return entry.load()
    except Exception as error:  # a foreign module may raise anything at import
        raise AgentStartError(entry.name, f"{type(error).__name__}: {error}") from error
