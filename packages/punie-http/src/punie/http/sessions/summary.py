"""What a session is doing now, in one line of the overview: folded from its events, never guessed.

A `Summary` is cheap to update, since it sees every event of every session. The whole conversation
is `punie.http.transcript`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

import msgspec
from msgspec import Struct, field

from punie.http.store.base import Event, SessionKey

State: TypeAlias = Literal[
    "needs_approval", "needs_answer", "failed", "running", "idle", "gone", "closed"
]
"""`gone`: its agent is not connected. `failed`: the last turn ended in an error."""
NEED: dict[State, int] = {
    "needs_approval": 0,
    "needs_answer": 1,
    "failed": 2,
    "running": 3,
    "idle": 4,
    "gone": 5,
    "closed": 6,
}
"""The order of the overview: who needs a person comes first."""

SNIPPET = 200
"""Characters of the last message that the overview shows."""
FILES = 200
"""Changed files that are remembered by name."""
_CHANGING = {"edit", "delete", "move", "other"}
_NOT_SHOWN = {"sessionUpdate", "_meta"}
_OVER = {"completed", "failed", "cancelled"}


class Plan(Struct, kw_only=True):
    """How far a plan is."""

    done: int
    total: int
    current: str = ""


class Call(Struct, kw_only=True):
    """A tool call that is not over."""

    patch: dict[str, Any] = field(default_factory=dict[str, Any])
    """All that was told of it, as on the wire: what an approval shows in full."""

    @property
    def title(self) -> str:
        """What a person reads."""
        return self.patch.get("title") or self.patch.get("name") or ""

    @property
    def paths(self) -> list[str]:
        """The files that it changes."""
        return [
            change["path"]
            for one in self.patch.get("content") or ()
            if one.get("type") == "diff"
            for change in one.get("changes", ())
            if "path" in change
        ]


class Summary(Struct, kw_only=True):
    """One session in the overview. The field names are those of the API."""

    key: SessionKey
    agent: str
    session_id: str
    cwd: str
    title: str = ""
    client: str = ""
    """The program that started its agent, such as an IDE."""
    attached: bool = False
    """Whether its agent is connected and has it open."""
    working: Literal["idle", "running", "requires_action"] | str = "idle"
    """What the agent said last."""
    stop_reason: str | None = None
    error: str = ""
    closed: bool = False
    doing: str = ""
    """The tool call or the kind of text that is under way."""
    snippet: str = ""
    """The end of what it said last."""
    plan: Plan | None = None
    files: list[str] = field(default_factory=list[str])
    """Files that it changed."""
    tool_calls: int = 0
    used: int = 0
    """Tokens of the context window."""
    size: int = 0
    cost: dict[str, Any] | None = None
    asked: dict[str, str] = field(default_factory=dict[str, str])
    """Open approvals and questions: id to `approval` or `question`."""
    waiting: int = 0
    """Prompts that wait in the hub."""
    waiting_since: float | None = None
    """Since when a person is waited for; seconds since the epoch."""
    turn_started: float | None = None
    """When the running turn began."""
    turn_seconds: float = 0.0
    """How long all ended turns took."""
    changed_at: float = 0.0
    seq: int = 0
    """The last event that is in here."""
    open_calls: dict[str, Call] = field(default_factory=dict[str, Call])

    @property
    def state(self) -> State:
        """What a person wants to know first."""
        if self.closed:
            return "closed"
        if not self.attached:
            return "gone"
        if "approval" in self.asked.values():
            return "needs_approval"
        if self.asked:
            return "needs_answer"
        if self.working == "requires_action":
            return "needs_approval"  # asked elsewhere, such as in the IDE
        if self.working == "running":
            return "running"
        return "failed" if self.stop_reason == "error" else "idle"

    def view(self) -> dict[str, Any]:
        """As the API shows it."""
        shown = msgspec.to_builtins(self)
        del shown["open_calls"]
        return {**shown, "state": self.state, "need": NEED[self.state]}

    def apply(self, event: Event, body: dict[str, Any]) -> None:
        """Take an event; those that came before are passed over.

        Args:
            event: What happened.
            body: Its body, decoded.
        """
        if event.seq <= self.seq:
            return
        self.seq, self.changed_at = event.seq, event.at
        match event.kind:
            case "update":
                self._update(body, event.at)
            case "opened":
                self.closed = False
                self.title = body.get("title") or self.title
                self.client = body.get("client", self.client)
            case "closed":
                self.closed = True
                self._end_turn(event.at)
            case "asked":
                self.asked[body["id"]] = body["what"]
                self._wait(event.at)
            case "answered":
                self.asked.pop(body["id"], None)
                self._wait(event.at)
            case "prompts":
                self.waiting = len(body["waiting"])

    def _update(self, update: dict[str, Any], at: float) -> None:
        match update.get("sessionUpdate"):
            case "agent_message_chunk":
                self.doing = "writing"
                self._say(self.snippet + _text(update.get("content")))
            case "agent_thought_chunk" | "agent_thought":
                self.doing = "thinking"
            case "agent_message":
                self._say("".join(_text(block) for block in update.get("content") or ()))
            case "user_message" | "user_message_chunk":
                self._prompted(update)
            case "tool_call_update":
                self._tool_call(update)
            case "state_update":
                self._state(update, at)
            case "plan_update":
                self.plan = _plan(update["plan"])
            case "usage_update":
                self.used, self.size = update["used"], update["size"]
                self.cost = update.get("cost", self.cost)
            case "session_info_update":
                self.title = update.get("title", self.title) or ""
            case _:
                pass

    def _say(self, text: str) -> None:
        self.snippet = text[-SNIPPET:]

    def _prompted(self, update: dict[str, Any]) -> None:
        self.snippet = ""
        content: Any = update.get("content") or []
        blocks = cast("list[Any]", content if isinstance(content, list) else [content])
        text = "".join(_text(block) for block in blocks)
        if not self.title and text.strip():
            self.title = text.strip().splitlines()[0][:80]

    def _tool_call(self, update: dict[str, Any]) -> None:
        call_id = update["toolCallId"]
        call = self.open_calls.get(call_id)
        if call is None:
            call = self.open_calls[call_id] = Call()
            self.tool_calls += 1
        call.patch.update({k: v for k, v in update.items() if k not in _NOT_SHOWN})
        self.snippet = ""
        status = update.get("status")
        if status not in _OVER:
            self.doing = call.title
            return
        del self.open_calls[call_id]
        self.doing = next((one.title for one in self.open_calls.values()), "")
        if status == "completed" and call.patch.get("kind", "other") in _CHANGING:
            new = [path for path in call.paths if path not in self.files]
            self.files = (self.files + new)[:FILES]

    def _state(self, update: dict[str, Any], at: float) -> None:
        self.working = update["state"]
        match self.working:
            case "running":
                self.stop_reason, self.error = None, ""
                if self.turn_started is None:
                    self.turn_started = at
            case "idle":
                self._end_turn(at)
                self.stop_reason = update.get("stopReason")
                error: dict[str, Any] = update.get("error") or {}
                self.error = error.get("message", "")
            case _:
                pass
        self._wait(at)

    def _end_turn(self, at: float) -> None:
        if self.turn_started is not None:
            self.turn_seconds += max(0.0, at - self.turn_started)
            self.turn_started = None
        self.doing = ""
        self.open_calls.clear()

    def _wait(self, at: float) -> None:
        """Note since when somebody is waited for."""
        if self.asked or self.working == "requires_action":
            self.waiting_since = self.waiting_since or at
        else:
            self.waiting_since = None


def _text(block: Any) -> str:
    return block.get("text", "") if isinstance(block, dict) else ""  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def _plan(plan: dict[str, Any]) -> Plan | None:
    entries = plan.get("entries")
    if not entries:
        return None
    done = sum(entry.get("status") in {"completed", "cancelled"} for entry in entries)
    current = next((e["content"] for e in entries if e.get("status") == "in_progress"), "")
    return Plan(done=done, total=len(entries), current=current)
