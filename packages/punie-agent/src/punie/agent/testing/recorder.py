"""A reader that remembers what a session told, and a person who answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from punie.agent.events import (
    AgentMessageChunk,
    AnyEvent,
    PermissionOption,
    SessionEvent,
    ToolCallUpdate,
)
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk

T = TypeVar("T")
E = TypeVar("E", bound=SessionEvent)


class Recorder:
    """A listener for `Session.attach`."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self._changed = asyncio.Condition()

    async def __call__(self, event: AnyEvent) -> None:
        """Remember an event."""
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[E]) -> list[E]:
        """Give the events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, predicate: Callable[[], T]) -> T:
        """Wait until something is true of what was heard, and return it."""
        async with self._changed:
            return await self._changed.wait_for(predicate)

    async def first(self, kind: type[E]) -> E:
        """Wait for the first event of a kind; returns at once when it has come."""
        return (await self.until(lambda: self.of(kind)))[0]

    async def status(self, status: str) -> ToolCallUpdate:
        """Wait until a tool call has a status."""

        def found() -> list[ToolCallUpdate]:
            return [update for update in self.of(ToolCallUpdate) if update.status == status]

        return (await self.until(found))[0]

    @property
    def text(self) -> str:
        """Everything that the agent said."""
        return "".join(chunk.text for chunk in self.of(AgentMessageChunk))

    @property
    def statuses(self) -> list[str]:
        """The statuses of tool calls, in order."""
        return [str(update.status) for update in self.of(ToolCallUpdate) if update.status]


class Answers:
    """An asker that always chooses the option of one kind, or waits for ever."""

    def __init__(self, kind: str | None) -> None:
        """Set up.

        Args:
            kind: Such as `allow_once`; `None` never answers.
        """
        self.asked: list[PermissionAsk] = []
        self.cancelled = False
        self.was_asked = asyncio.Event()
        self._kind = kind

    async def __call__(self, ask: PermissionAsk) -> PermissionAnswer:
        """Answer a question."""
        self.asked.append(ask)
        self.was_asked.set()
        if self._kind is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        option = _of_kind(ask.options, self._kind)
        outcome = "allowed" if option.kind.startswith("allow") else "rejected"
        return PermissionAnswer(outcome=outcome, option_id=option.option_id)


def _of_kind(options: tuple[PermissionOption, ...], kind: str | None) -> PermissionOption:
    return next(option for option in options if option.kind == kind)
