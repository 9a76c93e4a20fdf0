"""What a session needs from outside: something to think with, and a place to work in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from punie.agent.config import CheckSettings
from punie.agent.events import Progress
from punie.agent.models.spec import ModelSpec
from punie.agent.tools.base import Tool
from punie.agent.turns.outcome import Cancellation
from punie.agent.workspaces.base import Workspace

if TYPE_CHECKING:
    from pydantic_ai import Agent

OnProgress: TypeAlias = Callable[[Progress], None]


class Brain(NamedTuple):
    """What a turn thinks with."""

    agent: Agent[object, str]
    spec: ModelSpec
    tools: dict[str, Tool[Any, Any]]
    checks: CheckSettings | None = None
    """How changes are checked; as by default when the settings say nothing."""
    config_folder: Path | None = None
    """Where the person's settings are, their notes and skills beside them."""
    notes: str = ""
    """What the project and the person add to the instructions."""
    told: Callable[[OnProgress], AbstractContextManager[None]] = lambda _: nullcontext()
    """Lets somebody hear, for a while, how far the model's long steps are."""


class OpenBrain(Protocol):
    """Opens the session's model when a turn needs it; later calls are quick.

    `on_progress` may be called from another thread.
    """

    async def __call__(self, *, on_progress: OnProgress) -> Brain:
        """Open it.

        Raises:
            PunieError: There is no model; the message says what to do.
        """
        ...


async def opened(
    open_brain: OpenBrain, cancellation: Cancellation, *, on_progress: OnProgress
) -> Brain | None:
    """Open a model; `None` when the person did not want to wait for it.

    Args:
        open_brain: Opens it.
        cancellation: The turn that waits.
        on_progress: Told how far it is.

    Raises:
        PunieError: There is no model; the message says what to do.
    """
    stopped = asyncio.ensure_future(cancellation.wait())
    opening = asyncio.ensure_future(open_brain(on_progress=on_progress))
    try:
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return opening.result() if opening.done() else None
    finally:
        stopped.cancel()
        if not opening.done():
            opening.cancel()
            await asyncio.wait({opening})


class SessionWorkspace(Workspace, Protocol):
    """A workspace that a session owns and closes."""

    def close(self) -> None:
        """Kill what still runs, and start nothing more."""
        ...
