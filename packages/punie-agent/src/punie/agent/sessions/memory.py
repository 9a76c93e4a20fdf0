"""What the model remembers of a session: its messages, those of an earlier process among them.

They are read back once, by the first turn that needs them, and written as they grow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from punie.agent.events import AnyEvent
from punie.agent.sessions.brain import Brain
from punie.agent.sessions.recovery import Past
from punie.agent.turns.context import Meter
from punie.agent.turns.outcome import TurnOutcome

if TYPE_CHECKING:
    from punie.agent.sessions.record import Record
    from punie.agent.turns.restore import Restored


class Memory:
    """The messages of one session."""

    def __init__(self, record: Record | None, past: Past | None) -> None:
        """Begin; nothing is read yet.

        Args:
            record: Where they are written; `None` keeps them in the process alone.
            past: What an earlier process left.
        """
        self.messages: list[Any] = []
        """Pydantic AI messages, oldest first."""
        self.meter = Meter()
        self._record = record
        self._past = past

    @property
    def unread(self) -> bool:
        """Whether an earlier process left something that no turn has read."""
        return self._past is not None

    @property
    def keep(self) -> Callable[[Sequence[Any]], Awaitable[None]] | None:
        """Writes messages in the middle of a turn."""
        return None if self._record is None else self._record.keep

    def recall(self, brain: Brain, *, goes_on: bool) -> Restored | None:
        """Read what an earlier process left, once.

        Args:
            brain: What the next turn thinks with.
            goes_on: Its open calls will be run; otherwise they get results here.

        Returns:
            What was read; `None` when there was nothing.
        """
        if self._past is None:
            return None
        past, self._past = self._past, None
        restored = past.restored(brain, goes_on=goes_on)
        self.messages = restored.messages
        if self._record is not None:
            self._record.loaded(restored.messages[: len(past.messages)])
        return restored

    async def end_turn(self, messages: list[Any], outcome: TurnOutcome, *, model: str) -> None:
        """Remember what a turn leaves.

        Args:
            messages: All of them, oldest first.
            outcome: How it ended.
            model: The spec of its model.
        """
        self.messages = messages
        if self._record is not None:
            await self._record.end_turn(messages, outcome, model)

    async def shorten(self, brain: Brain) -> list[AnyEvent]:
        """Shorten the conversation; gives what is told of it, which ends with what became of it.

        Args:
            brain: The model that it has to suit.
        """
        self.recall(brain, goes_on=False)
        from punie.agent.turns.window import compact_now, told

        compacted = compact_now(self.messages, spec=brain.spec, tools=list(brain.tools.values()))
        if compacted is not None:
            self.messages = compacted.messages
            if self._record is not None:
                await self._record.keep(self.messages)
        return told(compacted)
