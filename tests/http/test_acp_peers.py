"""Who else drives the hub over ACP: the official SDK, and the check of the protocol's requirements."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from punie.acp.check.run import examine
from punie.http.config import Settings

BRIDGE = Path(__file__).parents[2] / "examples" / "acp_bridge.py"

CHECKED = (
    "wire.parse-error",
    "wire.survives",
    "session.config",
    "session.order",
    "permission.rejected",
    "v2.replay",
    "v2.permission",
    "v2.rejected",
)
"""One of each kind; `python -m punie.acp check -- python examples/acp_bridge.py URL` plays all."""


async def test_the_official_sdk_drives_the_hub_over_its_own_websocket(
    run_hub: Any, settings: Settings
) -> None:
    acp = pytest.importorskip("acp", reason="the official Python SDK is not installed")
    ws = pytest.importorskip("acp.ws.client", reason="its extra `http` is not installed")

    class Client(acp.Client):
        def __init__(self) -> None:
            self.text = ""
            self.asked: list[str] = []

        async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
            if update.session_update == "agent_message_chunk":
                self.text += update.content.text

        async def request_permission(
            self, options: Any, session_id: str, tool_call: Any, **_: Any
        ) -> Any:
            self.asked.append(tool_call.title)
            chosen = next(one for one in options if one.kind == "allow_once")
            outcome = acp.schema.AllowedOutcome(outcome="selected", option_id=chosen.option_id)
            return acp.RequestPermissionResponse(outcome=outcome)

    async with run_hub() as running:
        await running.ready()
        client = Client()
        stream = await ws.create_websocket_stream(
            running.address.url.replace("http", "ws") + "/acp",
            headers={"Authorization": f"Bearer {running.address.token}"},
        )
        async with acp.connect_to_agent(client, stream) as agent:
            hello = await agent.initialize(protocol_version=1)
            assert hello.agent_info.name == "punie-hub"
            session = await agent.new_session(cwd=str(settings.folder), mcp_servers=[])
            said = [acp.text_block("write notes.txt hello")]
            ended = await agent.prompt(session_id=session.session_id, prompt=said)
            assert ended.stop_reason == "end_turn"
            assert client.asked == ["Write notes.txt"]
            assert (settings.folder / "notes.txt").read_text() == "hello"
        (answer,) = (await running.get("/api/audit"))["answers"]
        assert answer["by"] == "client"


async def test_the_hub_keeps_what_the_protocol_asks_of_an_agent(
    run_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_hub() as running:
        await running.ready()
        monkeypatch.setenv("PUNIE_HUB_TOKEN", running.address.token)
        url = running.address.url.replace("http", "ws") + "/acp"
        command = (sys.executable, str(BRIDGE), url)
        found = await examine(command, only=CHECKED)
        assert [one for one in found if one.outcome != "held"] == []
