"""Whatever an agent of version 2 tells: version 1 gets all of it, in order, and nothing it cannot read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Struct

from punie.acp.schema import v1, v2
from punie.acp.versions.diffs import file_diff
from punie.acp.versions.to_v1 import SessionWriter, outcome_to_v2

SHOWS = v1.ClientCapabilities(
    session=v1.ClientSessionCapabilities(
        config_options=v1.SessionConfigOptionsCapabilities(
            boolean=v1.BooleanConfigOptionCapabilities()
        ),
        notices=v1.NoticeCapabilities(),
        compaction=v1.CompactionCapabilities(),
    )
)
KINDS = (
    v2.UserMessageChunk,
    v2.UserMessage,
    v2.AgentMessageChunk,
    v2.AgentMessage,
    v2.AgentThoughtChunk,
    v2.AgentThought,
    v2.ToolCallContentChunk,
    v2.ToolCallUpdate,
    v2.TerminalUpdate,
    v2.TerminalOutputChunk,
    v2.PlanUpdate,
    v2.AvailableCommandsUpdate,
    v2.ConfigOptionUpdate,
    v2.SessionInfoUpdate,
    v2.UsageUpdate,
    v2.Notice,
    v2.CompactionUpdate,
    v2.CompactionSummaryChunk,
    v2.RunningStateUpdate,
)
IDS = ("message_id", "tool_call_id", "terminal_id", "compaction_id")
Objects = Callable[[type[Struct]], st.SearchStrategy[Any]]


def with_few_ids(update: Any, number: int) -> Any:
    """Let updates meet: of each kind of id there are two."""
    ids = {name: f"{name}-{number}" for name in IDS if hasattr(update, name)}
    return msgspec.structs.replace(update, **ids)


@pytest.fixture
def streams(wire_objects: Objects) -> st.SearchStrategy[list[Any]]:
    updates = st.one_of([wire_objects(kind) for kind in KINDS])
    return st.lists(st.builds(with_few_ids, updates, st.integers(0, 1)), max_size=12)


def notifications(stream: list[Any], capabilities: v1.ClientCapabilities) -> list[Any]:
    """What a client reads: JSON values."""
    writer = SessionWriter(capabilities, client_terminals={"terminal_id-1"})
    return [
        msgspec.to_builtins(v1.SessionNotification(session_id="s", update=written))
        for update in stream
        for written in writer.write(update)
    ]


@pytest.mark.parametrize("capabilities", [SHOWS, v1.ClientCapabilities()], ids=["all", "none"])
def test_every_update_is_one_that_version_1_reads(
    streams: st.SearchStrategy[list[Any]], capabilities: v1.ClientCapabilities
) -> None:
    @settings(max_examples=60, deadline=None)
    @given(streams)
    def check(stream: list[Any]) -> None:
        for value in notifications(stream, capabilities):
            msgspec.convert(value, v1.SessionNotification)

    check()


def test_every_update_fits_the_official_schema(
    streams: st.SearchStrategy[list[Any]], schemas: dict[str, dict[str, Any]]
) -> None:
    root = {"$ref": "#/$defs/SessionNotification", "$defs": schemas["v1"]}
    validator = jsonschema.Draft202012Validator(root)

    @settings(max_examples=60, deadline=None)
    @given(streams)
    def check(stream: list[Any]) -> None:
        for value in notifications(stream, SHOWS):
            validator.validate(value)

    check()


def test_a_call_begins_once_and_then_changes(streams: st.SearchStrategy[list[Any]]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(streams)
    def check(stream: list[Any]) -> None:
        begun: set[str] = set()
        for value in notifications(stream, SHOWS):
            update = value["update"]
            if update["sessionUpdate"] == "tool_call":
                assert update["toolCallId"] not in begun
                begun.add(update["toolCallId"])
            elif update["sessionUpdate"] == "tool_call_update":
                assert update["toolCallId"] in begun
        told = {one.tool_call_id for one in stream if hasattr(one, "tool_call_id")}
        assert begun == told

    check()


TEXTS = st.lists(
    st.tuples(
        st.sampled_from([v2.AgentMessageChunk, v2.AgentThoughtChunk, v2.UserMessageChunk]),
        st.sampled_from("ab"),
        st.text(max_size=5),
    ),
    max_size=20,
)


@given(TEXTS)
def test_no_text_is_lost_or_out_of_place(chunks: list[tuple[Any, str, str]]) -> None:
    writer = SessionWriter(v1.ClientCapabilities())
    written: list[Any] = []
    for kind, message_id, said in chunks:
        update = kind(message_id=message_id, content=v2.TextContent(text=said))
        written += writer.write(update)
    assert [(type(one).__name__, one.message_id, one.content.text) for one in written] == [
        (kind.__name__, message_id, said) for kind, message_id, said in chunks
    ]


PIECES = st.lists(st.one_of(st.binary(max_size=5), st.none()), max_size=8)


@given(PIECES)
def test_a_terminal_shows_all_that_was_printed(pieces: list[bytes | None]) -> None:
    """`None` is a snapshot that replaces what was there with `*`."""
    writer = SessionWriter(v1.ClientCapabilities())
    writer.write(
        v2.ToolCallUpdate(tool_call_id="c", title="Run", content=[v2.Terminal(terminal_id="t")])
    )
    shown, printed = "", b""
    for piece in pieces:
        if piece is None:
            printed = b"*"
            output = v2.TerminalOutput(data=base64.b64encode(b"*").decode())
            told: Any = v2.TerminalUpdate(terminal_id="t", output=output)
        else:
            printed += piece
            data = base64.b64encode(piece).decode()
            told = v2.TerminalOutputChunk(terminal_id="t", data=data)
        for update in writer.write(told):
            shown = update.content[0].content.text if update.content else ""
    text = printed.decode(errors="replace")
    assert text in shown
    assert bool(shown) == bool(text)


def call(**fields: Any) -> v2.ToolCallUpdate:
    return v2.ToolCallUpdate(tool_call_id="c", **fields)


def write(*updates: Any, capabilities: v1.ClientCapabilities = SHOWS) -> list[Any]:
    writer = SessionWriter(capabilities)
    return [written for update in updates for written in writer.write(update)]


def test_a_cancelled_call_has_failed_and_a_paused_one_goes_on() -> None:
    begun, *changed = write(
        call(title="T", status="pending"),
        *(call(status=status) for status in ("paused", "cancelled", None, "_own")),
    )
    assert begun == v1.ToolCall(tool_call_id="c", title="T", status="pending")
    assert [one.status for one in changed] == ["in_progress", "failed", "pending"]


def test_cleared_fields_are_empty_or_what_they_are_at_first() -> None:
    before = call(
        title="T",
        kind="edit",
        content=[v2.Content(content=v2.TextContent(text="x"))],
        locations=[v2.ToolCallLocation(path="/a", line=3)],
        raw_input={"a": 1},
        raw_output=2,
        name="tool",
    )
    _, cleared = write(
        before,
        call(
            title=None,
            kind=None,
            content=None,
            locations=None,
            raw_input=None,
            raw_output=None,
            name=None,
        ),
    )
    assert cleared == v1.ToolCallUpdate(
        tool_call_id="c", title="c", kind="other", content=[], locations=[]
    )


def test_what_version_1_cannot_show_of_a_call_is_no_update() -> None:
    able = v2.ToolCallCapabilities(cancel=v2.ToolCallCancelCapabilities())
    assert len(write(call(title="T"), call(capabilities=able))) == 1


def test_a_chunk_of_content_repeats_what_was_there() -> None:
    def block(text: str) -> v2.Content:
        return v2.Content(content=v2.TextContent(text=text))

    chunk = v2.ToolCallContentChunk(tool_call_id="c", content=block("two"))
    begun, whole = write(call(title="T", content=[block("one")]), chunk)
    assert [one.content.text for one in begun.content] == ["one"]
    assert [one.content.text for one in whole.content] == ["one", "two"]
    (first,) = write(chunk)
    assert (first.title, first.content[0].content.text) == ("c", "two")


@pytest.mark.parametrize(
    ("diff", "shown"),
    [
        (
            v2.Diff(changes=[], patch=v2.DiffPatch(format="git_patch", text="-a\n+b\n")),
            "```diff\n-a\n+b\n```",
        ),
        (
            v2.Diff(
                changes=[
                    v2.DiffAdd(path="/a"),
                    v2.DiffMove(old_path="/b", path="/c"),
                    v2.DiffCopy(old_path="/d", path="/e"),
                    v2.UnknownDiffChange(kind="_own", body={}),
                ]
            ),
            "```diff\nadd /a\nmove /b to /c\ncopy /d to /e\n_own\n```",
        ),
    ],
)
def test_a_diff_without_texts_is_shown_as_text(diff: v2.Diff, shown: str) -> None:
    (begun,) = write(call(title="T", content=[diff]))
    assert begun.content == [v1.Content(content=v1.TextContent(text=shown))]


def test_a_diff_with_texts_is_a_diff() -> None:
    gone = file_diff("/a", old_text="x", new_text=None)
    (begun,) = write(call(title="T", content=[gone]))
    assert begun.content == [v1.Diff(path="/a", old_text="x", new_text="")]


def test_a_terminal_tells_its_command_and_how_it_ended() -> None:
    shows = call(title="T", content=[v2.Terminal(terminal_id="t")])
    ended = v2.TerminalExitStatus(exit_code=3)
    killed = v2.TerminalExitStatus(signal="SIGKILL")
    begun, *changed = write(
        shows,
        v2.TerminalUpdate(terminal_id="t", command="make"),
        v2.TerminalOutputChunk(terminal_id="t", data="not base64!"),
        v2.TerminalUpdate(terminal_id="t", exit_status=ended),
        v2.TerminalUpdate(terminal_id="t", exit_status=killed),
        v2.TerminalUpdate(terminal_id="t", exit_status=v2.TerminalExitStatus(exit_code=0)),
        v2.TerminalUpdate(terminal_id="t", command=None, output=None, exit_status=None),
    )
    assert begun.content == []
    texts = [one.content[0].content.text if one.content else "" for one in changed]
    assert texts == [
        "```console\n$ make\n```",
        "```console\n$ make\n\nexit code 3\n```",
        "```console\n$ make\n\nended by SIGKILL\n```",
        "```console\n$ make\n```",
        "",
    ]


def test_text_that_replaces_other_text_is_said_again_under_a_new_id() -> None:
    def message(*texts: str) -> v2.AgentMessage:
        return v2.AgentMessage(message_id="m", content=[v2.TextContent(text=t) for t in texts])

    written = write(
        v2.AgentMessage(message_id="m"),
        message("one", "two"),
        v2.AgentMessageChunk(message_id="m", content=v2.TextContent(text="three")),
        message("four"),
        v2.AgentMessage(message_id="m", content=None),
    )
    assert [(one.message_id, one.content.text) for one in written] == [
        ("m-2", "one"),
        ("m-2", "two"),
        ("m-2", "three"),
        ("m-3", "four"),
    ]


def test_several_plans_are_one_and_cancelled_steps_leave_it() -> None:
    def plan(plan_id: str, *entries: tuple[str, str, str]) -> v2.PlanUpdate:
        rows = [v2.PlanEntry(content=c, priority=p, status=s) for c, p, s in entries]
        return v2.PlanUpdate(plan=v2.PlanItems(plan_id=plan_id, entries=rows))

    *_, last = write(
        plan("a", ("one", "_own", "completed"), ("two", "high", "cancelled")),
        plan("b", ("three", "low", "_own")),
    )
    assert last.entries == [
        v1.PlanEntry(content="one", priority="medium", status="completed"),
        v1.PlanEntry(content="three", priority="low", status="pending"),
    ]


def test_what_a_client_does_not_show_is_told_as_reasoning_or_left_out() -> None:
    written = write(
        v2.Notice(severity="warning", title="Careful", description="It is slow."),
        v2.CompactionUpdate(compaction_id="c", status="in_progress"),
        v2.CompactionSummaryChunk(compaction_id="c", content=v2.TextContent(text="x")),
        v2.CompactionUpdate(compaction_id="c", status="completed"),
        capabilities=v1.ClientCapabilities(),
    )
    assert [(type(one), one.message_id, one.content.text) for one in written] == [
        (v1.AgentThoughtChunk, "notice-1", "Careful\nIt is slow.\n"),
        (v1.AgentThoughtChunk, "notice-2", "The conversation was shortened to make room\n"),
    ]


def test_what_a_client_shows_is_told_as_it_is() -> None:
    notice = v2.Notice(severity="info", title="News")
    summary = v2.CompactionUpdate(
        compaction_id="c", status="completed", summary=[v2.TextContent(text="x")], error=None
    )
    assert write(notice, summary, v2.UsageUpdate(used=1, size=2, cost=UNSET)) == [
        v1.Notice(severity="info", title="News"),
        v1.CompactionUpdate(
            compaction_id="c", status="completed", summary=[v1.TextContent(text="x")]
        ),
        v1.UsageUpdate(used=1, size=2),
    ]


def test_unknown_blocks_are_named() -> None:
    block = v2.UnknownVariant(kind="_own", body={"type": "_own"})
    said, begun = write(
        v2.AgentMessageChunk(message_id="m", content=block), call(title="T", content=[block])
    )
    assert said.content == v1.TextContent(text="[_own]")
    assert begun.content == [v1.Content(content=v1.TextContent(text="[_own]"))]


def test_states_and_empty_news_are_no_updates() -> None:
    unknown = v2.PlanUpdate(plan=v2.UnknownVariant(kind="_own", body={}))
    nothing = v2.SessionInfoUpdate(title=None)
    assert write(v2.RunningStateUpdate(), unknown, nothing) == []


def test_the_mode_is_told_when_it_changes() -> None:
    def modes(current: str) -> v2.ConfigOptionUpdate:
        options = [v2.SessionConfigSelectOption(value=name, name=name) for name in ("a", "b")]
        mode = v2.SessionConfigSelect(
            config_id="m", name="Mode", category="mode", current_value=current, options=options
        )
        return v2.ConfigOptionUpdate(config_options=[mode])

    written = write(modes("a"), modes("a"), modes("b"), v2.ConfigOptionUpdate(config_options=[]))
    assert [type(one).__name__ for one in written] == [
        "CurrentModeUpdate",
        "ConfigOptionUpdate",
        "ConfigOptionUpdate",
        "CurrentModeUpdate",
        "ConfigOptionUpdate",
        "ConfigOptionUpdate",
    ]


def test_grouped_modes_are_a_flat_list() -> None:
    from punie.acp.versions.config import modes_to_v1

    inner = [v2.SessionConfigSelectOption(value="a", name="A")]
    group = v2.SessionConfigSelectGroup(group_id="g", name="G", options=inner)
    option = v2.SessionConfigSelect(
        config_id="m", name="Mode", category="mode", current_value="a", options=[group]
    )
    state = modes_to_v1([option])
    assert state is not None
    assert [mode.id for mode in state.available_modes] == ["a"]


def test_a_question_about_a_call_that_was_never_told_tells_it_first() -> None:
    writer = SessionWriter(SHOWS)
    subject = v2.ToolCallPermissionSubject(tool_call=v2.ToolCallPatch(tool_call_id="c"))
    option = v2.PermissionOption(option_id="y", name="Yes", kind="allow_once")
    asked = v2.RequestPermissionRequest(
        session_id="s", title="Run it?", subject=subject, options=[option]
    )
    question = writer.question(asked)
    assert question.before == [v1.ToolCall(tool_call_id="c", title="Run it?")]
    assert (question.request.tool_call.title, question.after) == ("Run it?", [])
    assert writer.question(asked).before == []


def test_a_question_about_the_command_of_a_known_call_repeats_the_call() -> None:
    writer = SessionWriter(SHOWS)
    writer.write(call(title="Run ls", kind="execute"))
    subject = v2.CommandPermissionSubject(command="ls", cwd="/", tool_call_id="c")
    option = v2.PermissionOption(option_id="y", name="Yes", kind="allow_once")
    asked = v2.RequestPermissionRequest(
        session_id="s", title="Run?", subject=subject, options=[option]
    )
    question = writer.question(asked)
    assert (question.before, question.after) == ([], [])
    assert question.request.tool_call.title == "Run ls"


def test_a_question_about_the_command_of_an_unknown_call_makes_it_and_ends_it() -> None:
    writer = SessionWriter(SHOWS)
    subject = v2.CommandPermissionSubject(command="ls", cwd="/", tool_call_id="c")
    option = v2.PermissionOption(option_id="y", name="Yes", kind="allow_once")
    asked = v2.RequestPermissionRequest(
        session_id="s", title="Run?", subject=subject, options=[option]
    )
    question = writer.question(asked)
    (begun,) = question.before
    assert isinstance(begun, v1.ToolCall)
    assert (begun.tool_call_id, begun.kind, begun.status) == ("c", "execute", "pending")
    assert question.after == [v1.ToolCallUpdate(tool_call_id="c", status="completed")]


def test_a_block_of_code_is_fenced_whatever_it_holds() -> None:
    diff = v2.Diff(changes=[], patch=v2.DiffPatch(format="git_patch", text="+```\n"))
    (begun,) = write(call(title="T", content=[diff]))
    assert begun.content[0].content.text == "````diff\n+```\n````"


def test_what_was_chosen_reaches_the_agent() -> None:
    chosen = v1.RequestPermissionResponse(outcome=v1.SelectedPermissionOutcome(option_id="y"))
    assert outcome_to_v2(chosen).outcome == v2.SelectedPermissionOutcome(option_id="y")
    nobody = v1.RequestPermissionResponse(outcome=v1.CancelledPermissionOutcome())
    assert outcome_to_v2(nobody).outcome == v2.CancelledPermissionOutcome()
