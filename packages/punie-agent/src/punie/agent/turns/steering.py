"""What a person adds while a turn runs: put before the model at its next step, not after the turn.

A step ends where the tools of one answer have run, or where the model would have ended the turn. Kept
among the session's services, since it outlives a turn and belongs to no reader.
"""

from __future__ import annotations

from collections.abc import Callable

from punie.agent.events import ImageContent


class Steering:
    """The way into the run of a model that goes on now, if one does."""

    def __init__(self) -> None:
        self._enqueue: Callable[..., object] | None = None

    def begin(self, enqueue: Callable[..., object]) -> None:
        """A run has begun.

        Args:
            enqueue: Hands something to its model; raises `UserError` once the run is over.
        """
        self._enqueue = enqueue

    def put(self, text: str, images: tuple[ImageContent, ...] = ()) -> bool:
        """Hand something to the model; tell whether a run took it."""
        if self._enqueue is None:
            return False
        from pydantic_ai.exceptions import UserError

        from punie.agent.turns.pictures import content_of

        content = content_of(text, images)
        try:
            self._enqueue(*([content] if isinstance(content, str) else content))
        except UserError:
            self._enqueue = None
            return False
        return True

    async def aclose(self) -> None:
        """End with the session."""
        self._enqueue = None
