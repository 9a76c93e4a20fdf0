"""What an agent of version 1 tells, in the words of version 2."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Struct

from punie.acp.errors import CapabilityError
from punie.acp.methods import decoder
from punie.acp.schema import v1, v2
from punie.acp.schema.reading import write
from punie.acp.versions.diffs import FileDiff, diff_to_v2, file_diff, git_patch
from punie.acp.versions.hello import capabilities_to_v1, initialized_to_v2, servers_to_v1
from punie.acp.versions.options import options_to_v2
from punie.acp.versions.to_v2 import ToV2

TEXT = v1.TextContent(text="x")


def translated(update: v1.SessionUpdate) -> v2.SessionUpdate:
    return ToV2("s").update(update)


def ids(*updates: v1.SessionUpdate) -> list[str]:
    """The message ids that a row of updates gets; those without are left out."""
    to_v2 = ToV2("s")
    told = [to_v2.update(update) for update in updates]
    return [getattr(one, "message_id") for one in told if hasattr(one, "message_id")]  # noqa: B009


def plain(value: Any) -> Any:
    """An update as it would go over a wire of version 2."""
    if isinstance(value, v2.ToolCallUpdate) and isinstance(value.content, list):
        content = [diff_to_v2(one) if isinstance(one, v2.Diff) else one for one in value.content]
        return msgspec.structs.replace(value, content=content)
    return value


@pytest.mark.parametrize(
    "kind",
    [
        v1.UserMessageChunk,
        v1.AgentMessageChunk,
        v1.AgentThoughtChunk,
        v1.ToolCall,
        v1.ToolCallUpdate,
        v1.Plan,
        v1.AvailableCommandsUpdate,
        v1.CurrentModeUpdate,
        v1.ConfigOptionUpdate,
        v1.SessionInfoUpdate,
        v1.UsageUpdate,
        v1.Notice,
        v1.CompactionUpdate,
        v1.CompactionSummaryChunk,
        v1.UnknownUpdate,
    ],
)
def test_any_update_is_one_that_version_2_knows(
    kind: type[Struct], wire_objects: Callable[[type[Struct]], st.SearchStrategy[Any]]
) -> None:
    @given(wire_objects(kind))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(update: Any) -> None:
        told = plain(translated(update))
        assert decoder(v2.SessionUpdate).decode(write(told)) == told
        assert isinstance(told, v2.UnknownUpdate) == isinstance(update, v1.UnknownUpdate)

    check()


def test_chunks_of_one_kind_are_one_message_until_another_kind_or_a_tool_call_comes() -> None:
    said, thought = v1.AgentMessageChunk(content=TEXT), v1.AgentThoughtChunk(content=TEXT)
    usage = v1.UsageUpdate(used=1, size=2)
    call = v1.ToolCall(tool_call_id="t", title="T")
    assert ids(said, said, usage, said, thought, said, call, said) == [
        "s-1",
        "s-1",
        "s-1",
        "s-2",
        "s-3",
        "s-4",
    ]


def test_the_agents_own_message_ids_are_kept() -> None:
    first = v1.AgentMessageChunk(content=TEXT, message_id="m")
    other = v1.AgentMessageChunk(content=TEXT, message_id="n")
    bare = v1.AgentMessageChunk(content=TEXT)
    assert ids(first, first, other, first, bare, bare) == ["m", "m", "n", "m", "s-1", "s-1"]


def test_a_session_says_when_a_message_ends() -> None:
    to_v2 = ToV2("s")
    said = v1.AgentMessageChunk(content=TEXT)
    first = to_v2.update(said)
    to_v2.end_message()
    second = to_v2.update(said)
    assert isinstance(first, v2.AgentMessageChunk)
    assert isinstance(second, v2.AgentMessageChunk)
    assert first.message_id != second.message_id


def test_what_version_1_leaves_out_of_a_tool_call_is_kept() -> None:
    told = translated(v1.ToolCallUpdate(tool_call_id="t", status="failed"))
    assert told == v2.ToolCallUpdate(tool_call_id="t", status="failed")
    assert isinstance(told, v2.ToolCallUpdate)
    assert told.raw_input is UNSET


def test_a_line_0_is_no_line() -> None:
    places = [v1.ToolCallLocation(path="/a", line=0), v1.ToolCallLocation(path="/b", line=7)]
    told = translated(v1.ToolCall(tool_call_id="t", title="T", locations=places))
    assert isinstance(told, v2.ToolCallUpdate)
    assert told.locations == [
        v2.ToolCallLocation(path="/a"),
        v2.ToolCallLocation(path="/b", line=7),
    ]


def test_a_new_file_is_an_addition_and_meta_is_passed_on() -> None:
    diff = v1.Diff(path="/a", new_text="x", meta={"k": 1})
    picture = v1.Content(content=v1.ImageContent(data="AA==", mime_type="image/png"))
    told = translated(v1.ToolCall(tool_call_id="t", title="T", content=[diff, picture]))
    assert isinstance(told, v2.ToolCallUpdate)
    assert isinstance(told.content, list)
    made, shown = told.content
    assert isinstance(made, FileDiff)
    assert made.changes == [v2.DiffAdd(path="/a", file_type="text")]
    assert (made.old_text, made.new_text, made.meta) == (None, "x", {"k": 1})
    assert shown == v2.Content(content=v2.ImageContent(data="AA==", mime_type="image/png"))


def test_a_plan_has_an_id() -> None:
    entry = v1.PlanEntry(content="x", priority="high", status="pending")
    assert translated(v1.Plan(entries=[entry])) == v2.PlanUpdate(
        plan=v2.PlanItems(
            plan_id="plan",
            entries=[v2.PlanEntry(content="x", priority="high", status="pending")],
        )
    )


def test_an_unstable_plan_is_one_and_what_is_malformed_stays_unknown() -> None:
    body = {"sessionUpdate": "plan_update", "plan": {"type": "items", "planId": "p", "entries": []}}
    told = translated(v1.UnknownUpdate(kind="plan_update", body=body))
    assert told == v2.PlanUpdate(plan=v2.PlanItems(plan_id="p", entries=[]))
    broken = {"sessionUpdate": "plan_update", "plan": 5}
    told = translated(v1.UnknownUpdate(kind="plan_update", body=broken))
    assert told == v2.UnknownUpdate(kind="plan_update", body=broken)


def test_commands_keep_their_hints() -> None:
    hint = v1.UnstructuredCommandInput(hint="what")
    commands = [
        v1.AvailableCommand(name="a", description="A", input=hint),
        v1.AvailableCommand(name="b", description="B"),
    ]
    told = translated(v1.AvailableCommandsUpdate(available_commands=commands))
    assert isinstance(told, v2.AvailableCommandsUpdate)
    assert told.available_commands == [
        v2.Command(name="a", description="A", input=v2.TextCommandInput(hint="what")),
        v2.Command(name="b", description="B"),
    ]


def test_grouped_options_stay_grouped_and_an_empty_select_is_left_out() -> None:
    small = v1.SessionConfigSelectOption(value="s", name="S")
    group = v1.SessionConfigSelectGroup(group="g", name="G", options=[small])
    grouped = v1.SessionConfigSelect(id="m", name="M", current_value="s", options=[group])
    empty = v1.SessionConfigSelect(id="e", name="E", current_value="", options=[])
    (option,) = options_to_v2([grouped, empty])
    assert isinstance(option, v2.SessionConfigSelect)
    assert option.options[0].group_id == "g"
    assert option.options[0].options == [v2.SessionConfigSelectItem(value="s", name="S")]


def test_the_mode_option_has_a_name_of_its_own_where_mode_is_taken() -> None:
    to_v2 = ToV2("s")
    modes = v1.SessionModeState(
        current_mode_id="a", available_modes=[v1.SessionMode(id="a", name="A")]
    )
    taken = v1.SessionConfigBoolean(id="mode", name="Not a mode", current_value=True)
    mode, _ = to_v2.configure(modes, [taken])
    assert isinstance(mode, v2.SessionConfigSelect)
    assert mode.config_id == "_mode"
    assert to_v2.is_mode_option("_mode")
    assert not to_v2.is_mode_option("mode")
    assert to_v2.configure(None, None) == []
    assert not to_v2.is_mode_option("mode")
    assert to_v2.set_mode("a") == []


def test_an_agent_of_version_1_says_what_it_can() -> None:
    sessions = v1.SessionCapabilities(
        delete=v1.SessionDeleteCapabilities(),
        additional_directories=v1.SessionAdditionalDirectoriesCapabilities(),
    )
    answer = v1.InitializeResponse(
        protocol_version=1,
        agent_info=v1.Implementation(name="a", version="1", title="A"),
        agent_capabilities=v1.AgentCapabilities(
            prompt_capabilities=v1.PromptCapabilities(
                image=True, audio=True, embedded_context=True
            ),
            mcp_capabilities=v1.McpCapabilities(http=True),
            session_capabilities=sessions,
        ),
        auth_methods=[
            v1.AuthMethodAgent(id="a", name="A"),
            v1.AuthMethodTerminal(id="t", name="T", args=["login"], env={"K": "V"}),
            v1.AuthMethodTerminal(id="u", name="U"),
            v1.AuthMethod(id="x", name="X", type="_own"),
        ],
    )
    told = initialized_to_v2(answer)
    assert decoder(v2.InitializeResponse).decode(write(told)) == told
    assert told.info == v2.Implementation(name="a", version="1", title="A")
    session = told.capabilities.session
    assert session is not None
    assert session.prompt == v2.PromptCapabilities(
        image=v2.PromptImageCapabilities(),
        audio=v2.PromptAudioCapabilities(),
        embedded_context=v2.PromptEmbeddedContextCapabilities(),
    )
    assert session.mcp is not None
    assert session.mcp.http is not None
    assert session.delete is not None
    assert session.additional_directories is not None
    assert told.auth_methods == [
        v2.AuthMethodAgent(method_id="a", name="A"),
        v2.AuthMethodTerminal(
            method_id="t", name="T", args=["login"], env=[v2.EnvVariable(name="K", value="V")]
        ),
        v2.AuthMethodTerminal(method_id="u", name="U"),
        v2.UnknownVariant(kind="_own", body={"type": "_own", "methodId": "x", "name": "X"}),
    ]


def test_a_client_offers_version_1_what_it_has() -> None:
    capabilities = v2.ClientCapabilities(
        auth=v2.ClientAuthCapabilities(terminal=v2.TerminalAuthCapabilities()),
        elicitation=v2.ElicitationCapabilities(form=v2.ElicitationFormCapabilities()),
        meta={"k": 1},
    )
    offered = capabilities_to_v1(capabilities, object())
    assert offered.auth == v1.AuthCapabilities(terminal=True)
    assert offered.elicitation == v1.ElicitationCapabilities(form=v1.ElicitationFormCapabilities())
    assert offered.fs == v1.FileSystemCapabilities()
    assert offered.meta == {"k": 1}


def test_mcp_servers_are_passed_on_and_kinds_of_nobody_refused() -> None:
    env, header = v2.EnvVariable(name="K", value="V"), v2.HttpHeader(name="H", value="V")
    stdio = v2.McpServerStdio(name="a", command="/a", args=["x"], env=[env])
    http = v2.McpServerHttp(name="b", url="http://b", headers=[header])
    assert servers_to_v1([stdio, http]) == [
        v1.McpServerStdio(
            name="a", command="/a", args=["x"], env=[v1.EnvVariable(name="K", value="V")]
        ),
        v1.McpServerHttp(name="b", url="http://b", headers=[v1.HttpHeader(name="H", value="V")]),
    ]
    with pytest.raises(CapabilityError, match="_own"):
        servers_to_v1([v2.UnknownVariant(kind="_own", body={"type": "_own"})])


def test_the_patch_of_a_file_that_is_gone_is_one_that_git_writes() -> None:
    gone = file_diff("/a", old_text="x", new_text=None)
    assert gone.changes == [v2.DiffDelete(path="/a", file_type="text")]
    assert git_patch(gone) == (
        "diff --git a/a b/a\ndeleted file mode 100644\n--- a/a\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n"
    )


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")
@given(st.text(alphabet="ab\n", max_size=12), st.text(alphabet="ab\n", max_size=12))
@settings(max_examples=25, deadline=None)
def test_git_applies_the_patches(old: str, new: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a").write_text(old, encoding="utf-8", newline="")
        patch = git_patch(file_diff("/a", old_text=old, new_text=new))
        if old == new:
            return
        subprocess.run(["git", "apply"], cwd=folder, input=patch.encode(), check=True)
        assert (Path(folder) / "a").read_text(encoding="utf-8") == new
