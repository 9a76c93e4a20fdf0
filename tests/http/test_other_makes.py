"""Agents of other makes beside Punie's, in one hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.http.agents.external import configured, parse
from punie.http.config import AgentCommand, Settings
from punie.http.errors import SettingError

OFFICIAL = """
import asyncio
import acp
from acp.schema import Implementation, PermissionOption, ToolCallUpdate

class Agent(acp.Agent):
    def on_connect(self, conn):
        self.client = conn
    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **kw):
        return acp.InitializeResponse(
            protocol_version=1, agent_info=Implementation(name="official", version="1")
        )
    async def new_session(self, cwd, mcp_servers=None, **kw):
        return acp.NewSessionResponse(session_id="s")
    async def prompt(self, session_id, prompt, **kw):
        answer = await self.client.request_permission(
            session_id=session_id,
            tool_call=ToolCallUpdate(tool_call_id="t", title="Do it"),
            options=[PermissionOption(option_id="y", name="Yes", kind="allow_once")],
        )
        said = acp.update_agent_message_text(f"it was {answer.outcome.outcome}")
        await self.client.session_update(session_id, said)
        return acp.PromptResponse(stop_reason="end_turn")

asyncio.run(acp.run_agent(Agent()))
"""


@pytest.fixture
def with_official(settings: Settings, tmp_path: Path) -> Settings:
    pytest.importorskip("acp", reason="the official Python SDK is not installed")
    script = tmp_path / "official.py"
    script.write_text(OFFICIAL, encoding="utf-8")
    command = AgentCommand(name="official", command=(sys.executable, str(script)))
    return msgspec.structs.replace(settings, commands=(command,))


async def test_an_agent_of_the_official_sdk_is_supervised_beside_punies(
    run_hub: Any, with_official: Settings
) -> None:
    async with run_hub(with_official) as running:
        await running.ready(agents=2)
        ours = await running.new_session(agent="punie")
        theirs = await running.new_session(agent="official")
        await running.prompt(theirs, "go")
        asked = await running.asked(theirs)
        assert (asked["agent"], asked["title"]) == ("official", "Do it")
        await running.post(f"/api/inbox/{asked['id']}/select", {"option_id": "y"})
        await running.idle(theirs)
        await running.prompt(ours, "hello")
        await running.idle(ours)
        said = {
            one["key"]: one["snippet"] for one in (await running.get("/api/overview"))["sessions"]
        }
        assert said == {theirs: "it was selected", ours: "Hello from Punie's test model."}


@pytest.mark.parametrize("text", ["gemini", "=x", "gemini=", 'gemini="'])
def test_a_command_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse(text)


def test_a_project_names_its_agents_where_the_person_trusts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else serving in a folder that was only cloned would run what it says."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "pyproject.toml").write_text('[tool.punie.agents]\ngemini = "gemini --acp"\n')
    assert configured(tmp_path) == []
    person = tmp_path / "config" / "punie" / "config.toml"
    person.parent.mkdir(parents=True)
    person.write_text(f'[permissions]\ntrust = ["{tmp_path.parent}"]\n')
    assert configured(tmp_path) == [AgentCommand(name="gemini", command=("gemini", "--acp"))]
    person.write_text('[permissions]\ntrust = "/"\n')
    with pytest.raises(SettingError, match="Expected `array`"):
        configured(tmp_path)


def test_a_project_without_agents_has_none(tmp_path: Path) -> None:
    assert configured(tmp_path) == []


@pytest.mark.parametrize("table", ["agents = 3", "agents.gemini = 3", "agents = ["])
def test_a_table_of_another_shape_is_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.punie]\n{table}\n")
    with pytest.raises(SettingError):
        configured(tmp_path)
