"""Terminals in the content of tool calls, for a client of version 1."""

from __future__ import annotations

from punie.acp.schema import v1, v2
from punie.acp.versions.tool_calls import ToolCalls


def test_a_terminal_of_the_client_is_shown_live_and_one_of_the_agent_as_text() -> None:
    calls = ToolCalls({"client's"})
    content: list[v2.ToolCallContent] = [
        v2.Terminal(terminal_id="client's"),
        v2.Terminal(terminal_id="agent's"),
    ]
    call = calls.update(v2.ToolCallPatch(tool_call_id="t", title="T", content=content))
    assert call is not None
    assert call.content is not None
    assert call.content[0] == v1.Terminal(terminal_id="client's")
    assert all(isinstance(one, v1.Content) for one in call.content[1:])
