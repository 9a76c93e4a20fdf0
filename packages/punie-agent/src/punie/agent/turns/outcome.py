"""How a turn ended, as data, and the one way to ask it to stop.

Light on purpose: sessions and commands read this without loading the model stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, assert_never

from msgspec import UNSET, Struct, UnsetType

from punie.agent.events import StateUpdate, StopReason

CUT_OFF = "Punie ended before the turn did"
"""The error of a turn whose process ended in the middle; written by the next process."""

CallStatus: TypeAlias = Literal["completed", "failed", "denied", "cancelled"]


class ToolCallRecord(Struct, frozen=True, kw_only=True):
    """One call of the turn, for results and traces."""

    tool_call_id: str
    name: str
    arguments: Any
    """As the model wrote them, a JSON object."""
    status: CallStatus
    ok: bool | UnsetType = UNSET
    """The result's `ok`; absent when the tool did not run to its end."""


class TurnUsage(Struct, frozen=True, kw_only=True):
    """Tokens of all model calls of a turn."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


class TurnOutcome(Struct, frozen=True, kw_only=True):
    """What a prompt came to."""

    stop_reason: StopReason
    text: str = ""
    """The answer; what there is of it when the turn did not end by itself."""
    usage: TurnUsage = TurnUsage()
    tool_calls: tuple[ToolCallRecord, ...] = ()
    denied: bool = False
    """A permission was refused, or nobody could give it."""
    error: str = ""
    """One sentence, with stop reason `error`."""
    error_code: int = 1
    """The exit code that belongs to `error`."""

    @property
    def idle(self) -> StateUpdate:
        """What the session tells when the turn is over."""
        error = self.error if self.stop_reason == "error" else UNSET
        return StateUpdate(state="idle", stop_reason=self.stop_reason, error=error)

    @property
    def exit_code(self) -> int:
        """What a command that ran this turn exits with."""
        match self.stop_reason:
            case "cancelled":
                return 130
            case "error":
                return self.error_code
            case "end_turn":
                return 4 if self.denied else 0
            case "max_tokens" | "max_turn_requests" | "refusal":
                return 4 if self.denied else 1
            case _ as never:
                assert_never(never)


class Cancellation:
    """A request to stop: made once, from any place of the event loop, and never taken back."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask to stop; asking again changes nothing."""
        if self._event.is_set():
            return
        self._event.set()
        for callback in self._callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call a function when somebody asks, at once if that has happened."""
        if self._event.is_set():
            callback()
        else:
            self._callbacks.append(callback)

    async def wait(self) -> None:
        """Return when somebody has asked."""
        await self._event.wait()
