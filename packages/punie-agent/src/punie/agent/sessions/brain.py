"""What a session needs from outside: something to think with, and a place to work in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from punie.agent.config import CheckSettings
from punie.agent.events import Progress
from punie.agent.models.spec import ModelSpec
from punie.agent.tools.base import Tool
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


class SessionWorkspace(Workspace, Protocol):
    """A workspace that a session owns and closes."""

    def close(self) -> None:
        """Kill what still runs, and start nothing more."""
        ...
