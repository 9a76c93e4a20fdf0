"""The official Python SDK over stdio: as the client of an agent made here, and the reverse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from punie.acp.process import start_agent
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient

acp = pytest.importorskip("acp", reason="the official Python SDK is not installed")

# One turn that uses all that a client offers; the same in both dialects.
OURS = """
import sys
from punie.acp.agent_side import serve_stdio
from punie.acp.schema import v1

class Agent:
    def __init__(self, client):
        self.client = client
    async def initialize(self, params):
        return v1.InitializeResponse(
            protocol_version=1,
            agent_capabilities=v1.AgentCapabilities(load_session=False),
            agent_info=v1.Implementation(name="ours", version="1"),
        )
    async def new_session(self, params):
        await self.client.session_update("s", v1.AvailableCommandsUpdate(available_commands=[]))
        mode = v1.SessionMode(id="ask", name="Ask")
        option = v1.SessionConfigSelect(
            id="model", name="Model", category="model", current_value="a",
            options=[v1.SessionConfigSelectOption(value="a", name="A")],
        )
        return v1.NewSessionResponse(
            session_id="s",
            modes=v1.SessionModeState(current_mode_id="ask", available_modes=[mode]),
            config_options=[option],
        )
    async def set_session_mode(self, params):
        return v1.SetSessionModeResponse()
    async def prompt(self, params):
        path, tell = params.prompt[0].text, self.client.session_update
        await tell("s", v1.AgentThoughtChunk(content=v1.TextContent(text="hm"), message_id="m0"))
        diff = v1.Diff(path=path, new_text="new")
        await tell("s", v1.ToolCall(
            tool_call_id="t", title="Edit", kind="edit", status="pending", content=[diff],
            locations=[v1.ToolCallLocation(path=path, line=1)], raw_input={"path": path},
        ))
        answer = await self.client.request_permission(v1.RequestPermissionRequest(
            session_id="s",
            tool_call=v1.ToolCallUpdate(tool_call_id="t", title="Edit"),
            options=[
                v1.PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
                v1.PermissionOption(option_id="no", name="No", kind="reject_once"),
            ],
        ))
        status = "failed"
        if answer.outcome == v1.SelectedPermissionOutcome(option_id="yes"):
            old = await self.client.read_text_file("s", path)
            await self.client.write_text_file("s", path, old + "new")
            status = "completed"
        await tell("s", v1.ToolCallUpdate(tool_call_id="t", status=status))
        entry = v1.PlanEntry(content="done", priority="low", status="completed")
        await tell("s", v1.Plan(entries=[entry]))
        await tell("s", v1.AgentMessageChunk(content=v1.TextContent(text=status), message_id="m1"))
        return v1.PromptResponse(stop_reason="end_turn")
    async def cancel(self, params):
        pass
    async def close(self):
        pass

sys.exit(serve_stdio(Agent))
"""
THEIRS = """
import asyncio
import acp
from acp.schema import *

class Agent(acp.Agent):
    def on_connect(self, conn):
        self.client = conn
    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **kw):
        return InitializeResponse(
            protocol_version=1, agent_info=Implementation(name="theirs", version="1")
        )
    async def new_session(self, cwd, mcp_servers=None, **kw):
        return NewSessionResponse(session_id="s")
    async def prompt(self, session_id, prompt, **kw):
        path, tell = prompt[0].text, self.client.session_update
        await tell("s", acp.start_tool_call("t", "Edit", kind="edit", status="pending"))
        answer = await self.client.request_permission(
            session_id="s",
            tool_call=ToolCallUpdate(tool_call_id="t", title="Edit"),
            options=[PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
                     PermissionOption(option_id="no", name="No", kind="reject_once")],
        )
        status = "failed"
        if answer.outcome.outcome == "selected" and answer.outcome.option_id == "yes":
            old = (await self.client.read_text_file(session_id="s", path=path)).content
            await self.client.write_text_file(session_id="s", path=path, content=old + "new")
            status = "completed"
        await tell("s", acp.update_tool_call("t", status=status))
        await tell("s", acp.update_agent_message_text(status))
        return PromptResponse(stop_reason="end_turn")

asyncio.run(acp.run_agent(Agent()))
"""


class OfficialClient(acp.Client):
    """Records updates and answers with one option."""

    def __init__(self, option_id: str, files: dict[str, str]) -> None:
        self.option_id = option_id
        self.files = files
        self.updates: list[Any] = []

    async def request_permission(
        self, options: Any, session_id: str, tool_call: Any, **_: Any
    ) -> Any:
        outcome = acp.schema.AllowedOutcome(outcome="selected", option_id=self.option_id)
        return acp.RequestPermissionResponse(outcome=outcome)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)

    async def read_text_file(self, path: str, session_id: str, **_: Any) -> Any:
        return acp.ReadTextFileResponse(content=self.files[path])

    async def write_text_file(self, content: str, path: str, session_id: str, **_: Any) -> Any:
        self.files[path] = content
        return acp.WriteTextFileResponse()

    def on_connect(self, conn: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("option_id", "answer", "after"), [("yes", "completed", "oldnew"), ("no", "failed", "old")]
)
async def test_the_official_client_drives_an_agent_made_here(
    tmp_path: Path, option_id: str, answer: str, after: str
) -> None:
    script = tmp_path / "ours.py"
    script.write_text(OURS, encoding="utf-8")
    client = OfficialClient(option_id, {"/a": "old"})
    spawned = acp.spawn_agent_process(client, sys.executable, str(script))
    async with spawned as (agent, process):
        capabilities = acp.schema.ClientCapabilities(
            fs=acp.schema.FileSystemCapabilities(read_text_file=True, write_text_file=True)
        )
        hello = await agent.initialize(protocol_version=1, client_capabilities=capabilities)
        assert (hello.protocol_version, hello.agent_info.name) == (1, "ours")
        session = await agent.new_session(cwd="/", mcp_servers=[])
        assert session.modes.current_mode_id == "ask"
        assert session.config_options[0].id == "model"
        await agent.set_session_mode(session_id="s", mode_id="ask")
        prompt = [acp.text_block("/a")]
        done = await agent.prompt(session_id="s", prompt=prompt)
        assert done.stop_reason == "end_turn"
    assert process.returncode == 0
    assert client.files == {"/a": after}
    assert [update.session_update for update in client.updates] == [
        "available_commands_update",
        "agent_thought_chunk",
        "tool_call",
        "tool_call_update",
        "plan",
        "agent_message_chunk",
    ]
    assert client.updates[-1].content.text == answer


@pytest.mark.parametrize(
    ("allow", "answer", "after"), [(True, "completed", "oldnew"), (False, "failed", "old")]
)
async def test_an_agent_of_the_official_sdk_is_driven_from_here(
    tmp_path: Path, allow: bool, answer: str, after: str
) -> None:
    script = tmp_path / "theirs.py"
    script.write_text(THEIRS, encoding="utf-8")
    client = RecordingClient(allow=allow, files={"/a": "old"})
    async with start_agent([sys.executable, str(script)], client) as agent:
        await agent.initialize(INITIALIZE)
        assert agent.info == v1.Implementation(name="theirs", version="1")
        new = v1.NewSessionRequest(cwd="/", mcp_servers=[])
        session_id = (await agent.new_session(new)).session_id
        prompt = v1.PromptRequest(session_id=session_id, prompt=[v1.TextContent(text="/a")])
        assert (await agent.prompt(prompt)).stop_reason == "end_turn"
        assert client.text == answer
    assert client.files == {"/a": after}
    kinds = [type(notification.update) for notification in client.updates]
    assert kinds == [v1.ToolCall, v1.ToolCallUpdate, v1.AgentMessageChunk]
