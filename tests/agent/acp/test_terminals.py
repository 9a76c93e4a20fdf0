"""What a command prints on this machine, live, for clients that show it as a terminal."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.acp.schema import v1, v2
from punie.agent.acp.terminals import Terminals
from punie.agent.acp.updates import Updates
from punie.agent.events import Location, TextContent, ToolCallUpdate
from punie.agent.sessions.replay import replay

COMMAND = "run printf one; sleep 0.2; printf two; exit 3"


def capabilities(**meta: bool) -> v1.ClientCapabilities:
    return v1.ClientCapabilities(meta=meta)


def of_command(client: Any) -> list[Any]:
    return [*client.of(v1.ToolCall), *client.of(v1.ToolCallUpdate)]


@pytest.mark.parametrize("key", ["terminal_output", "terminal_output_delta"])
async def test_a_client_that_understands_the_key_is_told_what_is_printed(
    opened: Any, editor: Any, project: Path, key: str
) -> None:
    async with opened(editor, capabilities(**{key: True})) as client:
        await client.ask(COMMAND)
        (call, *updates) = of_command(client)
    terminal = call.tool_call_id
    assert call.content == [v1.Terminal(terminal_id=terminal)]
    assert call.meta == {"terminal_info": {"terminal_id": terminal, "cwd": str(project)}}
    said = [one.meta[key] for one in updates if one.meta and key in one.meta]
    assert "".join(one["data"] for one in said) == "onetwo"
    assert {one["terminal_id"] for one in said} == {terminal}
    end = updates[-1]
    assert end.meta == {"terminal_exit": {"terminal_id": terminal, "exit_code": 3, "signal": None}}
    assert end.content[0] == v1.Terminal(terminal_id=terminal)
    assert end.content[1].content.text.startswith("exit code 3 in ")


@pytest.mark.parametrize(
    "client_has", [capabilities(), capabilities(terminal_output=False, terminal_output_delta=False)]
)
async def test_any_other_client_gets_the_output_as_text(
    opened: Any, editor: Any, client_has: v1.ClientCapabilities
) -> None:
    async with opened(editor, client_has) as client:
        await client.ask(COMMAND)
        contents = [one.content for one in of_command(client) if one.content]
    assert contents[-1][0].content.text.endswith("\nonetwo")
    assert not any(isinstance(one, v1.Terminal) for content in contents for one in content)


STARTED = ToolCallUpdate(
    tool_call_id="c",
    title="make",
    name="run_command",
    kind="execute",
    status="pending",
    raw_input={"command": "make"},
    locations=(Location(path="/p"),),
)
RUNS = ToolCallUpdate(tool_call_id="c", status="in_progress")
PRINTS = [
    ToolCallUpdate(tool_call_id="c", content=(TextContent(text=so_far),), printed=new)
    for so_far, new in (("a", "a"), ("aé", "é"))
]
ENDS = ToolCallUpdate(
    tool_call_id="c",
    status="completed",
    raw_output={"ok": True, "exit_code": 0},
    content=(TextContent(text="exit code 0 in 1 s\naé"),),
)


def written(*events: ToolCallUpdate) -> list[v2.SessionUpdate]:
    updates = Updates(Terminals("terminal"))
    return [update for event in events for update in updates.of(event)]


def test_version_2_has_a_terminal_that_begins_with_the_command_and_gets_each_piece_once() -> None:
    _, begun, runs, *pieces, exited, ended = written(STARTED, RUNS, *PRINTS, ENDS)
    assert begun == v2.TerminalUpdate(terminal_id="c", command="make", cwd="/p")
    assert isinstance(runs, v2.ToolCallUpdate)
    assert runs.content == [v2.Terminal(terminal_id="c")]
    data = [piece.data for piece in pieces if isinstance(piece, v2.TerminalOutputChunk)]
    assert [base64.b64decode(one).decode() for one in data] == ["a", "é"]
    status = v2.TerminalExitStatus(exit_code=0)
    assert exited == v2.TerminalUpdate(terminal_id="c", exit_status=status)
    head = v2.Content(content=v2.TextContent(text="exit code 0 in 1 s"))
    assert isinstance(ended, v2.ToolCallUpdate)
    assert ended.content == [v2.Terminal(terminal_id="c"), head]


def test_who_comes_in_the_middle_gets_what_was_printed_and_then_the_rest() -> None:
    begun, _, rest, *_ = written(*replay([STARTED, RUNS, PRINTS[0]]), PRINTS[1], ENDS)
    assert isinstance(begun, v2.TerminalUpdate)
    assert isinstance(begun.output, v2.TerminalOutput)
    assert base64.b64decode(begun.output.data) == b"a"
    assert isinstance(rest, v2.TerminalOutputChunk)


def test_who_comes_later_reads_the_result_as_text() -> None:
    (whole,) = written(*replay([STARTED, RUNS, *PRINTS, ENDS]))
    assert isinstance(whole, v2.ToolCallUpdate)
    assert whole.content == [v2.Content(content=v2.TextContent(text="exit code 0 in 1 s\naé"))]


def test_a_command_that_was_refused_has_no_terminal_in_version_2() -> None:
    refused = ToolCallUpdate(
        tool_call_id="c", status="failed", content=(TextContent(text="Permission denied"),)
    )
    assert not any(isinstance(one, v2.TerminalUpdate) for one in written(STARTED, refused))


def test_a_call_of_a_server_that_has_a_command_among_its_arguments_stays_text() -> None:
    begun = msgspec.structs.replace(STARTED, name="idea_execute", kind="other")
    *_, ended = written(begun, RUNS, ENDS)
    assert isinstance(ended, v2.ToolCallUpdate)
    assert ended.content == [v2.Content(content=v2.TextContent(text="exit code 0 in 1 s\naé"))]


def test_a_command_that_was_cancelled_ends_its_terminal_without_a_code() -> None:
    cancelled = ToolCallUpdate(tool_call_id="c", status="cancelled")
    *_, exited, _ = written(STARTED, RUNS, PRINTS[0], cancelled)
    assert exited == v2.TerminalUpdate(terminal_id="c", exit_status=v2.TerminalExitStatus())
