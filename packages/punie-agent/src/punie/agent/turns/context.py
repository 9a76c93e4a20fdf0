"""What one turn carries to its tools: where they work, who is asked, who is told.

Made by a session for each prompt (or by the factory for each run of a person's own program) and
handed to Pydantic AI as its dependencies. It loads no model stack.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import UNSET

from punie.agent.events import DiffContent, ToolCallUpdate
from punie.agent.models.spec import ModelSpec
from punie.agent.tools.base import Risk, Tool
from punie.agent.tools.services import Services
from punie.agent.turns.emit import Emitter
from punie.agent.turns.outcome import CallStatus, Cancellation, ToolCallRecord
from punie.agent.workspaces.base import Workspace

if TYPE_CHECKING:
    from punie.agent.permissions.gate import Gate
    from punie.agent.policies.checks import Checks

BYTES_PER_TOKEN = 3.0
"""Of code and English, on the safe side; corrected by what the model's server counts."""
_MOST_BYTES_PER_TOKEN = 4.5
"""No tokenizer packs code and English tighter."""

REPEATS = 3
"""Identical calls with identical results in a row after which a turn is stopped."""


@dataclass
class Meter:
    """Turns bytes of a request into tokens; kept by a session, corrected by every answer."""

    bytes_per_token: float = BYTES_PER_TOKEN
    sent: int = 0
    """Bytes of the latest request."""
    measured: bool = False

    def tokens(self, size: int) -> int:
        """Estimate the tokens of so many bytes."""
        return math.ceil(size / self.bytes_per_token)

    def fewest_tokens(self, size: int) -> int:
        """Give a number of tokens that so many bytes certainly have."""
        ratio = self.bytes_per_token * 1.1 if self.measured else _MOST_BYTES_PER_TOKEN
        return math.ceil(size / ratio)

    def bytes(self, tokens: int) -> int:
        """Estimate the bytes of so many tokens."""
        return int(tokens * self.bytes_per_token)

    def correct(self, tokens: int) -> None:
        """Learn how many tokens the latest request had."""
        if tokens and self.sent:
            measured = self.sent / tokens
            self.bytes_per_token = min(measured, _MOST_BYTES_PER_TOKEN)
            self.measured = True


Watch: TypeAlias = Callable[[Risk, Workspace], AbstractAsyncContextManager[Workspace]]


def _usual_checks() -> Checks:
    from punie.agent.policies.checks import Checks  # loads a lot, and sessions open before turns

    return Checks()


@dataclass(kw_only=True)
class TurnContext:
    """The state of one turn."""

    workspace: Workspace
    gate: Gate
    emitter: Emitter
    tools: Mapping[str, Tool[Any, Any]]
    """The tools that the model was offered, by name."""
    spec: ModelSpec
    thought: str = ""
    """How much the model is to reason, one of its spec's levels; empty leaves it to the model."""
    notes: str = ""
    """What the project and the person add to the default instructions."""
    services: Services = field(default_factory=Services)
    """What tools keep open between calls; the session closes it."""
    meter: Meter = field(default_factory=Meter)
    cancellation: Cancellation = field(default_factory=Cancellation)
    claim_id: Callable[[str], str] = lambda tool_call_id: tool_call_id
    """Makes a tool call's id unique in its session; models use `call_0` again and again."""
    keep: Callable[[Sequence[Any]], Awaitable[None]] | None = None
    """Writes the model's messages down, each time there are more."""
    watch: Watch | None = None
    """Gives the workspace in which a tool of some risk runs; the turn's own by default."""
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    """Results of calls that ended in an earlier process, by the model's ids: not run again."""
    checks: Checks = field(default_factory=_usual_checks)
    """What is run over changes."""
    changes: dict[str, DiffContent] = field(default_factory=dict[str, DiffContent])
    """Files that tools changed in this turn, by path: before the first change, after the last."""
    denied: bool = False
    looping: bool = False
    """The model repeated itself and the turn was stopped."""
    counted: tuple[tuple[str, ...], int] = ((), 0)
    """Names of the tools of the latest request, and the bytes that describe them."""
    calls: dict[str, ToolCallRecord] = field(default_factory=dict[str, ToolCallRecord])
    """Calls that have ended, by id, in order."""
    open_calls: dict[str, ToolCallRecord] = field(default_factory=dict[str, ToolCallRecord])
    """Calls that have not ended."""
    parting: str = ""
    """What the model asks and a person answers with the next prompt: said, it ends the turn."""
    started: int = 0
    asked_again: int = 0
    """Times the model was asked again because its answer broke off."""
    _previous: tuple[str, str] = ("", "")
    _repeats: int = 0

    def workspace_for(self, risk: Risk) -> AbstractAsyncContextManager[Workspace]:
        """Give the workspace in which a tool runs, for as long as it runs."""
        if self.watch is None:
            return nullcontext(self.workspace)
        return self.watch(risk, self.workspace)

    @property
    def exhausted(self) -> bool:
        """Whether the model has used all the calls that its spec grants for a turn."""
        return 0 < self.spec.calls_per_turn <= self.started

    @property
    def result_limit(self) -> int:
        """Longest tool result for the model, characters: at most a quarter of a small window."""
        window = self.spec.context_window
        return min(self.spec.result_limit, self.meter.bytes(window // 4) or self.spec.result_limit)

    def open(self, tool_call_id: str, name: str, arguments: object) -> None:
        """Note that a call began."""
        self.started += 1
        self.open_calls[tool_call_id] = ToolCallRecord(
            tool_call_id=tool_call_id, name=name, arguments=arguments, status="cancelled"
        )

    def close(self, tool_call_id: str, status: CallStatus, *, ok: bool | None = None) -> None:
        """Note how a call ended."""
        begun = self.open_calls.pop(tool_call_id)
        self.calls[tool_call_id] = ToolCallRecord(
            tool_call_id=begun.tool_call_id,
            name=begun.name,
            arguments=begun.arguments,
            status=status,
            ok=UNSET if ok is None else ok,
        )

    async def close_rest(self, status: CallStatus) -> None:
        """Close calls that the turn left open, for every reader to see."""
        for tool_call_id in list(self.open_calls):
            self.close(tool_call_id, status)
            shown = "cancelled" if status == "cancelled" else "failed"
            await self.emitter.emit(ToolCallUpdate(tool_call_id=tool_call_id, status=shown))

    def note_changes(self, diffs: Sequence[DiffContent]) -> None:
        """Remember what a tool changed."""
        for diff in diffs:
            first = self.changes.get(diff.path, diff)
            self.changes[diff.path] = DiffContent(
                path=diff.path, old_text=first.old_text, new_text=diff.new_text
            )

    def goes_in_circles(self, name: str, arguments: object, text: str) -> bool:
        """Count identical calls with identical results in a row.

        Returns:
            Whether there were so many that somebody should be asked; then the count begins anew.
        """
        key = (f"{name} {json.dumps(arguments, sort_keys=True, default=str)}", text)
        self._repeats = self._repeats + 1 if key == self._previous else 1
        self._previous = key
        if self._repeats < REPEATS:
            return False
        self._repeats = 0
        return True

    def stop_circling(self) -> None:
        """End the turn, because the model repeats itself."""
        self.looping = True
        self.cancellation.cancel()
