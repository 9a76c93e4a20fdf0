"""From what an agent tells with protocol version 1 to what it would tell with version 2.

One `ToV2` per session: messages get ids, tool calls become upserts, modes a config option, diffs
keep their texts. What a session is doing (`state_update`) is not told in version 1 updates; whoever
owns the turns adds it.
"""

from __future__ import annotations

from typing import Any, TypeAlias, assert_never

import msgspec
from msgspec import UNSET, structs

from punie.acp.methods import decoder
from punie.acp.schema import v1, v2
from punie.acp.versions.content import content_to_v2, recast
from punie.acp.versions.diffs import file_diff
from punie.acp.versions.options import commands_to_v2, mode_option, options_to_v2

Chunk: TypeAlias = v1.UserMessageChunk | v1.AgentMessageChunk | v1.AgentThoughtChunk

_CHUNKS: dict[
    type[Chunk], type[v2.UserMessageChunk | v2.AgentMessageChunk | v2.AgentThoughtChunk]
] = {
    v1.UserMessageChunk: v2.UserMessageChunk,
    v1.AgentMessageChunk: v2.AgentMessageChunk,
    v1.AgentThoughtChunk: v2.AgentThoughtChunk,
}
PLAN_ID = "plan"
"""The id of the one plan that a session of version 1 has."""


class ToV2:
    """Translates one session, update by update.

    Args:
        session_id: The session's; message ids that the agent leaves out are made of it.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._messages = 0
        self._open: tuple[type[Chunk], str | None, str] | None = None
        self._titles: dict[str, str] = {}
        self._modes: v1.SessionModeState | None = None
        self._options: list[v1.SessionConfigOption] = []

    def new_message_id(self) -> str:
        """Make an id for a message that has none."""
        self._messages += 1
        return f"{self._session_id}-{self._messages}"

    def end_message(self) -> None:
        """What comes next is another message, whatever its kind."""
        self._open = None

    def configure(
        self,
        modes: v1.SessionModeState | None,
        options: list[v1.SessionConfigOption] | None,
    ) -> list[v2.SessionConfigOption]:
        """Take what the answer of `session/new` and its kin says about modes and options.

        Returns:
            All options, the mode among them.
        """
        self._modes = modes if modes is not None and modes.available_modes else None
        self._options = options or []
        return self.options

    @property
    def options(self) -> list[v2.SessionConfigOption]:
        """All config options; modes are one, unless the agent has one for them itself."""
        options = options_to_v2(self._options)
        if self._modes is not None and self._own_mode_option() is None:
            options.insert(0, mode_option(self._modes, config_id=self.mode_option_id))
        return options

    @property
    def mode_option_id(self) -> str:
        """What the config option is called that stands for `session/set_mode`."""
        taken = {option.id for option in self._options}
        return "mode" if "mode" not in taken else "_mode"

    def is_mode_option(self, config_id: str) -> bool:
        """Whether an option is set with `session/set_mode`."""
        made = self._modes is not None and self._own_mode_option() is None
        return made and config_id == self.mode_option_id

    def set_mode(self, mode_id: str) -> list[v2.SessionConfigOption]:
        """Take that another mode holds; all options after that."""
        if self._modes is not None:
            self._modes = structs.replace(self._modes, current_mode_id=mode_id)
        own = self._own_mode_option()
        if own is not None and _offers(own, mode_id):
            changed = structs.replace(own, current_value=mode_id)
            self._options = [changed if one is own else one for one in self._options]
        return self.options

    def set_options(self, options: list[v1.SessionConfigOption]) -> list[v2.SessionConfigOption]:
        """Take the complete list of options; all of them, the mode among them."""
        self._options = options
        return self.options

    def _own_mode_option(self) -> v1.SessionConfigSelect | None:
        for option in self._options:
            if option.category == "mode" and isinstance(option, v1.SessionConfigSelect):
                return option
        return None

    def update(self, update: v1.SessionUpdate) -> v2.SessionUpdate:
        """Translate an update."""
        match update:
            case v1.UserMessageChunk() | v1.AgentMessageChunk() | v1.AgentThoughtChunk():
                return self._chunk(update)
            case v1.ToolCall() | v1.ToolCallUpdate():
                self._open = None
                return v2.ToolCallUpdate(**self._tool_call(update))
            case v1.Plan(entries=entries):
                rows = [_plan_entry(entry) for entry in entries]
                return v2.PlanUpdate(plan=v2.PlanItems(plan_id=PLAN_ID, entries=rows))
            case v1.CurrentModeUpdate(current_mode_id=mode_id):
                return v2.ConfigOptionUpdate(config_options=self.set_mode(mode_id))
            case v1.ConfigOptionUpdate(config_options=options):
                return v2.ConfigOptionUpdate(config_options=self.set_options(options))
            case v1.UnknownUpdate(kind=kind, body=body):
                return _unknown(kind, body)
            case _:
                return _session_update(update)

    def permission(self, request: v1.RequestPermissionRequest) -> v2.RequestPermissionRequest:
        """Translate a question; its title is the tool call's."""
        patch = self._tool_call(request.tool_call)
        title = self._titles.get(request.tool_call.tool_call_id, "")
        return v2.RequestPermissionRequest(
            session_id=request.session_id,
            title=title or "Permission",
            subject=v2.ToolCallPermissionSubject(tool_call=v2.ToolCallPatch(**patch)),
            options=[
                v2.PermissionOption(
                    option_id=option.option_id,
                    name=option.name,
                    kind=option.kind,
                    meta=option.meta,
                )
                for option in request.options
            ],
            meta=request.meta,
        )

    def _chunk(self, chunk: Chunk) -> v2.SessionUpdate:
        """Give a chunk the id of its message: the agent's, or one for a run of one kind."""
        kind, told = type(chunk), chunk.message_id
        if self._open is None or self._open[:2] != (kind, told):
            message_id = self.new_message_id() if told is None else told
            self._open = (kind, told, message_id)
        content = content_to_v2(chunk.content)
        return _CHUNKS[kind](message_id=self._open[2], content=content, meta=chunk.meta)

    def _tool_call(self, call: v1.ToolCall | v1.ToolCallPatch) -> dict[str, Any]:
        """The fields of a patch: `None` of version 1 keeps what there is."""
        if call.title is not None:
            self._titles[call.tool_call_id] = call.title
        return {
            "tool_call_id": call.tool_call_id,
            "title": _kept(call.title),
            "name": _kept(call.name),
            "kind": _kept(call.kind),
            "status": _kept(call.status),
            "content": UNSET if call.content is None else [_content(one) for one in call.content],
            "locations": UNSET
            if call.locations is None
            else [_location(one) for one in call.locations],
            "raw_input": _kept(call.raw_input),
            "raw_output": _kept(call.raw_output),
            "meta": _kept(call.meta),
        }


def _offers(option: v1.SessionConfigSelect, value: str) -> bool:
    items = [inner for item in option.options for inner in (item, *(item.options or ()))]
    return any(item.value == value for item in items)


def _kept(value: Any) -> Any:
    return UNSET if value is None else value


def _content(content: v1.ToolCallContent) -> v2.ToolCallContent:
    match content:
        case v1.Content(content=block, meta=meta):
            return v2.Content(content=content_to_v2(block), meta=meta)
        case v1.Diff(path=path, old_text=old_text, new_text=new_text, meta=meta):
            diff = file_diff(path, old_text=old_text, new_text=new_text)
            return diff if meta is None else structs.replace(diff, meta=meta)
        case v1.Terminal(terminal_id=terminal_id, meta=meta):
            return v2.Terminal(terminal_id=terminal_id, meta=meta)
        case _ as never:
            assert_never(never)


def _location(location: v1.ToolCallLocation) -> v2.ToolCallLocation:
    # Lines count from 1 here; some agents of version 1 count from 0.
    return v2.ToolCallLocation(path=location.path, line=location.line or None, meta=location.meta)


def _plan_entry(entry: v1.PlanEntry) -> v2.PlanEntry:
    return v2.PlanEntry(
        content=entry.content, priority=entry.priority, status=entry.status, meta=entry.meta
    )


def _session_update(
    update: v1.AvailableCommandsUpdate
    | v1.SessionInfoUpdate
    | v1.UsageUpdate
    | v1.Notice
    | v1.CompactionUpdate
    | v1.CompactionSummaryChunk,
) -> v2.SessionUpdate:
    """What is told with the same words, apart from what `None` means."""
    match update:
        case v1.AvailableCommandsUpdate(available_commands=commands, meta=meta):
            return v2.AvailableCommandsUpdate(
                available_commands=commands_to_v2(commands), meta=meta
            )
        case v1.SessionInfoUpdate():
            return recast(update, v2.SessionInfoUpdate)
        case v1.UsageUpdate():
            return recast(update, v2.UsageUpdate)
        case v1.Notice():
            return recast(update, v2.Notice)
        case v1.CompactionUpdate():
            return recast(update, v2.CompactionUpdate)
        case v1.CompactionSummaryChunk():
            return recast(update, v2.CompactionSummaryChunk)
        case _ as never:
            assert_never(never)


def _unknown(kind: str, body: dict[str, Any]) -> v2.SessionUpdate:
    """An unstable plan is one of version 2; what nobody knows stays unknown."""
    if kind == "plan_update":
        try:
            return decoder(v2.PlanUpdate).decode(msgspec.json.encode(body))
        except msgspec.ValidationError:
            pass
    return v2.UnknownUpdate(kind=kind, body=body)
