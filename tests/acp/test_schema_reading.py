"""Malformed fields, unknown variants and patches: what counts as not there, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from punie.acp import jsonrpc
from punie.acp.errors import RequestError
from punie.acp.methods import BY_NAME, decoder
from punie.acp.schema import v1, v2
from punie.acp.schema.reading import Reader, plain, write
from punie.acp.schema.v1 import unstable


def read(of: Any, value: Any) -> Any:
    return Reader(of).decode(msgspec.json.encode(value))


def test_a_malformed_optional_field_counts_as_not_there() -> None:
    call = {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "Run", "kind": "invented"}
    assert read(v1.SessionUpdate, call) == v1.ToolCall(tool_call_id="t", title="Run")


def test_a_malformed_field_deep_inside_takes_its_default_and_the_rest_is_kept() -> None:
    wanted = v1.AgentCapabilities(
        load_session=True, prompt_capabilities=v1.PromptCapabilities(image=True)
    )
    answer = {
        "protocolVersion": 1,
        "agentCapabilities": {
            "loadSession": True,
            "promptCapabilities": {"image": True, "audio": "loud"},
        },
    }
    assert read(v1.InitializeResponse, answer).agent_capabilities == wanted


def test_a_list_loses_only_the_items_that_cannot_be_read() -> None:
    update = {"sessionUpdate": "plan", "entries": [{"content": 1}, PLAN_ENTRY]}
    entry = v1.PlanEntry(content="Test", priority="high", status="pending")
    assert read(v1.SessionUpdate, update) == v1.Plan(entries=[entry])


PLAN_ENTRY = {"content": "Test", "priority": "high", "status": "pending"}


def test_a_required_list_of_version_1_that_is_none_counts_as_empty() -> None:
    assert read(v1.ListSessionsResponse, {"sessions": 5}) == v1.ListSessionsResponse(sessions=[])


def test_null_counts_as_no_servers_and_anything_else_is_refused() -> None:
    new = {"cwd": "/", "mcpServers": None, "additionalDirectories": None}
    assert read(v1.NewSessionRequest, new) == v1.NewSessionRequest(cwd="/", mcp_servers=[])
    with pytest.raises(msgspec.ValidationError, match=r"`\$.mcpServers`"):
        read(v1.NewSessionRequest, {"cwd": "/", "mcpServers": "none"})


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (v1.NewSessionRequest, {"cwd": "/"}),
        (v1.LoadSessionRequest, {"sessionId": "s", "cwd": "/"}),
        (v1.ResumeSessionRequest, {"sessionId": "s", "cwd": "/"}),
    ],
)
def test_servers_that_a_client_leaves_out_are_none(of: Any, value: Any) -> None:
    """JetBrains IDEs open earlier sessions like this; the specification asks for the list."""
    assert read(of, value).mcp_servers == []
    with pytest.raises(msgspec.ValidationError, match="cwd"):
        read(of, {"sessionId": "s"})


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (v1.ListSessionsRequest, {"cursor": 1}),
        (v1.ReadTextFileRequest, {"sessionId": "s", "path": "/a", "line": -1}),
        (v1.CancelNotification, {"sessionId": None}),
        (v1.CancelNotification, {}),
        (v1.PromptRequest, {"sessionId": "s", "prompt": [{"type": "hologram"}]}),
        (v2.PromptRequest, {"sessionId": "s", "prompt": []}),
        (v2.ResumeSessionRequest, {"sessionId": "s", "cwd": "/", "replayFrom": 1}),
        (v2.ConfigOptionUpdate, {"sessionUpdate": "config_option_update", "configOptions": 1}),
        (v2.SetSessionConfigOptionRequest, SET := {"sessionId": "s", "configId": "c"}),
        (v2.SetSessionConfigOptionRequest, SET | {"type": "boolean", "value": "yes"}),
        (v1.CreateElicitationRequest, {"message": "?", "mode": "form", "sessionId": "s"}),
        (v1.CreateElicitationRequest, {"message": "?", "mode": "url", "sessionId": "s"}),
        (v2.CreateElicitationRequest, {"message": "?", "mode": "_own"}),
    ],
)
def test_what_the_specification_does_not_forgive_is_refused(of: Any, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(of, value)


def test_params_with_a_malformed_optional_field_are_served() -> None:
    new = b'{"cwd":"/","mcpServers":[],"additionalDirectories":null,"_meta":7}'
    method = BY_NAME["session/new"]
    params = jsonrpc.decode_params(decoder(method.params), msgspec.Raw(new))
    assert params == v1.NewSessionRequest(cwd="/", mcp_servers=[])


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        Reader(v1.CancelNotification).decode(b'{"sessionId":')


def test_json_nested_too_deep_to_look_at_again_is_refused_for_its_first_fault() -> None:
    deep = b'{"sessionId":1,"prompt":[],"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    with pytest.raises((msgspec.ValidationError, RecursionError)):
        Reader(v1.PromptRequest).decode(deep)


def test_background_work_that_cannot_all_be_read_counts_as_not_told() -> None:
    state = {"sessionUpdate": "state_update", "state": "running"}
    known = {"type": "terminal", "terminalId": "t"}
    update = read(v2.SessionUpdate, state | {"background": [known]})
    assert update.background == [v2.BackgroundTerminal(terminal_id="t")]
    assert read(v2.SessionUpdate, state | {"background": [known, 1]}).background is None


@pytest.mark.parametrize(
    ("of", "value", "unknown"),
    [
        (v2.ContentBlock, {"type": "hologram", "data": [1]}, v2.UnknownVariant),
        (v2.SessionUpdate, {"sessionUpdate": "_own", "x": {"y": 1}}, v2.UnknownUpdate),
        (v2.DiffChange, {"operation": "merge", "path": "/a"}, v2.UnknownDiffChange),
        (v2.RequestPermissionOutcome, {"outcome": "later"}, v2.UnknownPermissionOutcome),
        (v1.SessionUpdate, {"sessionUpdate": "plan_update", "plan": {}}, v1.UnknownUpdate),
    ],
)
def test_an_unknown_variant_is_kept_and_sent_on_as_it_came(
    of: Any, value: dict[str, Any], unknown: type[Any]
) -> None:
    received = read(of, value)
    assert isinstance(received, unknown)
    assert msgspec.json.decode(write([received])) == [value]


def test_an_unknown_variant_deep_inside_is_kept_too() -> None:
    content = [{"type": "hologram", "data": 1}, {"type": "text", "text": "hi"}]
    message = {"sessionUpdate": "agent_message", "messageId": "m", "content": content}
    received = read(v2.SessionUpdate, message)
    assert isinstance(received, v2.AgentMessage)
    assert plain(received) == message


def test_what_looks_like_an_unknown_variant_in_free_values_stays_as_it_is() -> None:
    raw: dict[str, Any] = {"type": "_unknown", "kind": "x", "body": {}}
    update = v2.ToolCallUpdate(tool_call_id="t", raw_input=raw)
    assert plain(update)["rawInput"] == raw


def test_a_patch_tells_keep_from_clear_from_replace() -> None:
    patch = {"sessionUpdate": "tool_call_update", "toolCallId": "t", "title": None, "name": "ls"}
    update = read(v2.SessionUpdate, patch)
    assert (update.kind, update.title, update.name) == (UNSET, None, "ls")
    assert plain(update) == patch


def test_a_malformed_field_of_a_patch_keeps_what_is_there() -> None:
    patch = {"sessionUpdate": "tool_call_update", "toolCallId": "t", "locations": 1}
    assert read(v2.SessionUpdate, patch).locations is UNSET


def test_values_that_nobody_knows_are_values_in_version_2() -> None:
    option = {"optionId": "o", "name": "Maybe", "kind": "_own"}
    assert read(v2.PermissionOption, option).kind == "_own"


def test_the_stable_path_loads_neither_elicitation_nor_unstable_types_nor_version_2() -> None:
    script = (
        "import sys, punie.acp.agent_side, punie.acp.client_side, punie.acp.methods\n"
        "print([n for n in sys.modules if 'elicit' in n or 'unstable' in n or 'schema.v2' in n])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_version_1_has_no_other_names() -> None:
    assert v1.StringFormat is not None
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = v1.Nonsense  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (unstable.MessageMcpResponse, {}),
        (unstable.MessageMcpResponse, {"result": 1, "error": {"code": 1, "message": "x"}}),
        (v2.CreateElicitationRequest, {"message": "x", "mode": "form"}),
        (v2.CreateElicitationRequest, {"message": "x", "mode": "form", "sessionId": "s"}),
        (v2.CreateElicitationRequest, {"message": "x", "mode": "url", "sessionId": "s"}),
    ],
)
def test_fields_that_go_together_are_there_together(of: Any, value: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(of, value)


def test_an_answer_of_an_mcp_server_is_a_result_or_an_error() -> None:
    assert read(unstable.MessageMcpResponse, {"result": 1}).result == 1


def test_parameters_that_are_no_text_are_a_parse_error() -> None:
    raw = msgspec.Raw(b'{"sessionId":"\xff"}')
    with pytest.raises(RequestError) as refused:
        jsonrpc.decode_params(Reader(v1.CancelNotification), raw)
    assert refused.value.code == -32700


def test_an_unknown_session_is_named() -> None:
    error = RequestError.session_not_found("s")
    assert (error.code, error.data) == (-32002, {"sessionId": "s"})
