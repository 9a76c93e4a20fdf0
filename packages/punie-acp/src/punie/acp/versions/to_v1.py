"""What an agent of version 2 tells, written for one client of version 1.

The first update of a tool call becomes a `tool_call`, a cancelled one has failed; text that replaces
other text is said again under a new id, since version 1 only appends; the states of a session are no
updates (see `turns`); notices and compactions go to clients that declared them. Reads and writes
nothing by itself: `punie.acp.agent_side` sends what comes out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, Final, NamedTuple, assert_never

from msgspec import UnsetType

from punie.acp.schema import v1, v2
from punie.acp.versions.config import MODE, of_category, options_to_v1
from punie.acp.versions.content import content_to_v1
from punie.acp.versions.tool_calls import ToolCalls

_PRIORITIES: Final = frozenset({"high", "medium", "low"})
_STATUSES: Final = frozenset({"pending", "in_progress", "completed"})
_OPTION_KINDS: Final = frozenset({"allow_once", "allow_always", "reject_once", "reject_always"})

_Chunk = type[v1.UserMessageChunk | v1.AgentMessageChunk | v1.AgentThoughtChunk]


class Question(NamedTuple):
    """A question for permission, as a client of version 1 is asked."""

    before: list[v1.SessionUpdate]
    """What it must see before, so that there is a tool call to ask about."""
    request: v1.RequestPermissionRequest
    """The question; without options when version 1 has none of their kinds."""
    after: list[v1.SessionUpdate]
    """What it must see once it is answered: the end of a call that was made for the question."""


class SessionWriter:
    """Writes one session for one client.

    Args:
        capabilities: What the client shows.
        client_terminals: The ids of the terminals that the client made for the agent.
    """

    def __init__(
        self, capabilities: v1.ClientCapabilities, *, client_terminals: Container[str] = ()
    ) -> None:
        session = capabilities.session
        self._notices = session is not None and session.notices is not None
        self._compaction = session is not None and session.compaction is not None
        self.booleans: bool = (
            session is not None
            and session.config_options is not None
            and session.config_options.boolean is not None
        )
        """Whether the client shows switches."""
        self._calls = ToolCalls(client_terminals)
        self._messages: dict[str, int] = {}
        """How often each message was said anew, by its id."""
        self._plans: dict[str, list[v1.PlanEntry]] = {}
        self._notice_count = 0
        self._questions = 0
        self.options: Sequence[v2.SessionConfigOption] = ()
        """The config options that the agent told last."""

    def write(self, update: v2.SessionUpdate) -> list[v1.SessionUpdate]:
        """Write one update: none, one or several of version 1, in order."""
        match update:
            case v2.AgentMessageChunk():
                return [self._chunk(v1.AgentMessageChunk, update)]
            case v2.AgentThoughtChunk():
                return [self._chunk(v1.AgentThoughtChunk, update)]
            case v2.UserMessageChunk():
                return [self._chunk(v1.UserMessageChunk, update)]
            case v2.AgentMessage():
                return self._message(v1.AgentMessageChunk, update)
            case v2.AgentThought():
                return self._message(v1.AgentThoughtChunk, update)
            case v2.UserMessage():
                return self._message(v1.UserMessageChunk, update)
            case v2.ToolCallUpdate():
                return _one(self._calls.update(update))
            case v2.ToolCallContentChunk():
                return _one(self._calls.chunk(update))
            case v2.TerminalUpdate() | v2.TerminalOutputChunk():
                return list(self._calls.terminal(update))
            case _:
                return self._about_the_session(update)

    def _about_the_session(self, update: Any) -> list[v1.SessionUpdate]:
        match update:
            case v2.PlanUpdate(plan=plan):
                return self._plan(plan, update.meta)
            case v2.UsageUpdate(used=used, size=size, cost=cost):
                return [v1.UsageUpdate(used=used, size=size, cost=_cost(cost), meta=update.meta)]
            case v2.ConfigOptionUpdate(config_options=options):
                return self.choose(options)
            case v2.AvailableCommandsUpdate(available_commands=commands):
                return [commands_to_v1(commands, meta=update.meta)]
            case v2.SessionInfoUpdate(title=title, updated_at=updated_at):
                told = {"title": title or None, "updated_at": updated_at or None}
                meta = update.meta or None
                return [v1.SessionInfoUpdate(**told, meta=meta)] if any(told.values()) else []
            case v2.Notice():
                return [self._notice(update)]
            case v2.CompactionUpdate() | v2.CompactionSummaryChunk():
                return self._compact(update)
            case _:
                return []  # states, and what no agent sends

    def choose(self, options: Sequence[v2.SessionConfigOption]) -> list[v1.SessionUpdate]:
        """Note a complete list of config options and write it, with the mode when that changed."""
        mode = self.note_options(options)
        written: list[v1.SessionUpdate] = []
        if mode is not None:
            written.append(v1.CurrentModeUpdate(current_mode_id=mode))
        complete = options_to_v1(options, booleans=self.booleans)
        return [*written, v1.ConfigOptionUpdate(config_options=complete)]

    def note_options(self, options: Sequence[v2.SessionConfigOption]) -> str | None:
        """Note a complete list of config options.

        Returns:
            The mode, when it is another one than before.
        """
        before, now = of_category(self.options, MODE), of_category(options, MODE)
        self.options = options
        if now is None or (before is not None and before.current_value == now.current_value):
            return None
        return now.current_value

    def question(self, params: v2.RequestPermissionRequest) -> Question:
        """Write a question for permission; version 1 asks about a tool call."""
        patch = self._asked_about(params)
        made_for_it = not isinstance(params.subject, v2.ToolCallPermissionSubject)
        made_for_it = made_for_it and not self._calls.knows(patch.tool_call_id)
        before = _one(self._calls.update(patch))
        options = [
            v1.PermissionOption(option_id=o.option_id, name=o.name, kind=kind, meta=o.meta)
            for o in params.options
            if (kind := _option_kind(o.kind)) is not None
        ]
        request = v1.RequestPermissionRequest(
            session_id=params.session_id,
            tool_call=self._calls.whole(patch.tool_call_id),
            options=options,
            meta=params.meta,
        )
        closed = v1.ToolCallUpdate(tool_call_id=patch.tool_call_id, status="completed")
        return Question(before, request, [closed] if made_for_it else [])

    def _asked_about(self, params: v2.RequestPermissionRequest) -> v2.ToolCallPatch:
        """The call that a question is about; one made for it when it is about none."""
        subject = params.subject
        if isinstance(subject, v2.ToolCallPermissionSubject):
            call = subject.tool_call
            known = self._calls.knows(call.tool_call_id) or isinstance(call.title, str)
            return (
                call
                if known
                else v2.ToolCallPatch(tool_call_id=call.tool_call_id, title=params.title)
            )
        tool_call_id = getattr(subject, "tool_call_id", None)
        if tool_call_id is not None and self._calls.knows(tool_call_id):
            return v2.ToolCallPatch(tool_call_id=tool_call_id)
        if tool_call_id is None:
            self._questions += 1
            tool_call_id = f"permission-{self._questions}"
        command = isinstance(subject, v2.CommandPermissionSubject)
        text = "\n".join(filter(None, (params.description, getattr(subject, "command", None))))
        content: list[v2.ToolCallContent] = [v2.Content(content=v2.TextContent(text=text))]
        return v2.ToolCallPatch(
            tool_call_id=tool_call_id,
            title=params.title,
            kind="execute" if command else "other",
            status="pending",
            content=content if text else [],
        )

    def _chunk(self, kind: _Chunk, update: Any) -> v1.SessionUpdate:
        said_anew = self._messages.setdefault(update.message_id, 0)
        message_id = _version_of(update.message_id, said_anew)
        content = content_to_v1(update.content)
        return kind(message_id=message_id, content=content, meta=update.meta)

    def _message(
        self, kind: _Chunk, update: v2.AgentMessage | v2.AgentThought | v2.UserMessage
    ) -> list[v1.SessionUpdate]:
        if not isinstance(update.content, list):
            self._messages.setdefault(update.message_id, 0)
            return []
        said_before = self._messages.get(update.message_id)
        said_anew = self._messages[update.message_id] = (
            0 if said_before is None else said_before + 1
        )
        message_id = _version_of(update.message_id, said_anew)
        meta = update.meta or None
        return [
            kind(message_id=message_id, content=content_to_v1(block), meta=meta)
            for block in update.content
        ]

    def _plan(self, plan: v2.PlanUpdateContent, meta: Any) -> list[v1.SessionUpdate]:
        if not isinstance(plan, v2.PlanItems):
            return []
        self._plans[plan.plan_id] = [
            v1.PlanEntry(
                content=entry.content,
                priority=_priority(entry.priority),
                status=_plan_status(entry.status),
                meta=entry.meta,
            )
            for entry in plan.entries
            if entry.status != "cancelled"
        ]
        return [
            v1.Plan(entries=[e for entries in self._plans.values() for e in entries], meta=meta)
        ]

    def _compact(
        self, update: v2.CompactionUpdate | v2.CompactionSummaryChunk
    ) -> list[v1.SessionUpdate]:
        """A client that shows no compactions is told once it is done."""
        if self._compaction:
            return [_compaction(update)]
        if isinstance(update, v2.CompactionUpdate) and update.status == "completed":
            told = "The conversation was shortened to make room"
            return [self._notice(v2.Notice(severity="info", title=told))]
        return []

    def _notice(self, notice: v2.Notice) -> v1.SessionUpdate:
        """A client that shows no notices gets them as reasoning: nobody is left in the dark."""
        if self._notices:
            return v1.Notice(
                severity=notice.severity,
                title=notice.title,
                description=notice.description,
                meta=notice.meta,
            )
        self._notice_count += 1
        text = "\n".join(filter(None, (notice.title, notice.description)))
        return v1.AgentThoughtChunk(
            message_id=f"notice-{self._notice_count}", content=v1.TextContent(text=f"{text}\n")
        )


def commands_to_v1(
    commands: Iterable[v2.AvailableCommand], *, meta: dict[str, Any] | None = None
) -> v1.AvailableCommandsUpdate:
    """Write the slash commands there are; kinds that version 1 does not have are left out."""
    return v1.AvailableCommandsUpdate(
        available_commands=[
            v1.AvailableCommand(
                name=command.name,
                description=command.description,
                input=v1.UnstructuredCommandInput(hint=command.input.hint)
                if isinstance(command.input, v2.TextCommandInput)
                else None,
                meta=command.meta,
            )
            for command in commands
            if isinstance(command, v2.Command)
        ],
        meta=meta,
    )


def stop_reason_to_v1(reason: v2.StopReason | None) -> v1.StopReason:
    """Write why a turn stopped, `error` aside; what version 1 does not know has ended."""
    match reason:
        case "max_tokens" | "max_turn_requests" | "refusal" | "cancelled":
            return reason
        case _:
            return "end_turn"


def outcome_to_v2(answer: v1.RequestPermissionResponse) -> v2.RequestPermissionResponse:
    """Write what a person decided for the agent."""
    outcome: v2.RequestPermissionOutcome
    match answer.outcome:
        case v1.SelectedPermissionOutcome(option_id=option_id):
            outcome = v2.SelectedPermissionOutcome(option_id=option_id, meta=answer.outcome.meta)
        case v1.CancelledPermissionOutcome():
            outcome = v2.CancelledPermissionOutcome(meta=answer.outcome.meta)
        case _ as never:
            assert_never(never)
    return v2.RequestPermissionResponse(outcome=outcome, meta=answer.meta)


def _one(update: v1.SessionUpdate | None) -> list[v1.SessionUpdate]:
    return [] if update is None else [update]


def _version_of(message_id: str, said_anew: int) -> str:
    return f"{message_id}-{said_anew + 1}" if said_anew else message_id


def _option_kind(kind: str) -> Any:
    return kind if kind in _OPTION_KINDS else None


def _priority(priority: str) -> Any:
    return priority if priority in _PRIORITIES else "medium"


def _plan_status(status: str) -> Any:
    return status if status in _STATUSES else "pending"


def _cost(cost: v2.Cost | UnsetType | None) -> v1.Cost | None:
    if not isinstance(cost, v2.Cost):
        return None
    return v1.Cost(amount=cost.amount, currency=cost.currency, meta=cost.meta)


def _compaction(update: v2.CompactionUpdate | v2.CompactionSummaryChunk) -> v1.SessionUpdate:
    if isinstance(update, v2.CompactionSummaryChunk):
        return v1.CompactionSummaryChunk(
            compaction_id=update.compaction_id,
            content=content_to_v1(update.content),
            meta=update.meta,
        )
    summary = update.summary if isinstance(update.summary, list) else None
    return v1.CompactionUpdate(
        compaction_id=update.compaction_id,
        status=update.status,
        summary=None if summary is None else [content_to_v1(block) for block in summary],
        error=update.error or None,
        meta=update.meta or None,
    )
