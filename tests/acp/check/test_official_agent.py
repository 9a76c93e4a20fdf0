"""What the check finds in a small agent of the official Python SDK."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from punie.acp.check import Finding, examine

pytest.importorskip("acp", reason="the official Python SDK is not installed")

AGENT = """
import asyncio
import acp
from acp.schema import Implementation

class Agent(acp.Agent):
    def on_connect(self, conn):
        self.client = conn
        self.turns = {}
    async def initialize(self, protocol_version, client_capabilities=None, client_info=None, **kw):
        return acp.InitializeResponse(
            protocol_version=1, agent_info=Implementation(name="official", version="1")
        )
    async def new_session(self, cwd, mcp_servers=None, **kw):
        return acp.NewSessionResponse(session_id="s")
    async def cancel(self, session_id, **kw):
        self.turns[session_id].set()
    async def prompt(self, session_id, prompt, **kw):
        cancelled = self.turns[session_id] = asyncio.Event()
        for number in range(100):
            await self.client.session_update(session_id, acp.update_agent_message_text("x"))
            try:
                await asyncio.wait_for(cancelled.wait(), 0.05)
            except TimeoutError:
                continue
            return acp.PromptResponse(stop_reason="cancelled")
        return acp.PromptResponse(stop_reason="end_turn")

asyncio.run(acp.run_agent(Agent()))
"""


async def found(tmp_path: Path, *only: str) -> dict[str, Finding]:
    script = tmp_path / "official.py"
    script.write_text(AGENT, encoding="utf-8")
    verdicts = await examine([sys.executable, str(script)], timeout=20.0, only=only)
    return {verdict.id: verdict for verdict in verdicts}


async def test_a_scalar_and_an_array_kill_it_and_malformed_json_is_ignored(tmp_path: Path) -> None:
    only = ("wire.parse-error", "wire.scalar", "wire.array", "wire.survives")
    verdicts = await found(tmp_path, *only)
    assert {verdict.outcome for verdict in verdicts.values()} == {"violated"}
    assert verdicts["wire.parse-error"].seen == "`{nope`: no answer"
    assert (
        "`42`: no answer; then no answer: the agent exited with 1" in verdicts["wire.scalar"].seen
    )
    assert "the agent exited with 1" in verdicts["wire.array"].seen
    assert "the agent exited with 1" in verdicts["wire.survives"].seen


async def test_it_cancels_a_turn_but_ignores_a_cancelled_request(tmp_path: Path) -> None:
    verdicts = await found(tmp_path, "prompt.cancel", "prompt.cancel-request")
    assert verdicts["prompt.cancel"].outcome == "held"
    assert verdicts["prompt.cancel-request"].outcome == "violated"
    assert verdicts["prompt.cancel-request"].seen == "no answer within 2 s"
