"""Agents as child processes: started, gone with everything they started, or refused clearly."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from punie.acp.errors import AgentStartError, ConnectionClosedError
from punie.acp.process import start_agent
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient

EXAMPLES = Path(__file__).parents[2] / "examples"
ECHO = [sys.executable, str(EXAMPLES / "acp_agent.py")]

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(f'{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"{grandchild.pid}",'
      f'"update":{{"sessionUpdate":"plan","entries":[]}}}}}}', flush=True)
while True:
    time.sleep(60)
"""


class Listening(RecordingClient):
    """Tells when the first update came."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    async def session_update(self, params: v1.SessionNotification) -> None:
        await super().session_update(params)
        self.told.set()


async def test_a_turn_with_the_example_agent() -> None:
    client = RecordingClient()
    async with start_agent(ECHO, client) as agent:
        await agent.initialize(INITIALIZE)
        session = await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
        prompt = v1.PromptRequest(
            session_id=session.session_id, prompt=[v1.TextContent(text="hello")]
        )
        await agent.prompt(prompt)
    assert client.text == "hello"


@pytest.mark.parametrize(
    ("client", "agent", "last_words"),
    [
        ("acp_client.py", "acp_agent.py", "stopped: end_turn"),
        ("acp_client.py", "acp_dual_agent.py", "stopped: end_turn"),
        ("acp_dual_client.py", "acp_agent.py", "version 1, stopped: end_turn"),
        ("acp_dual_client.py", "acp_dual_agent.py", "version 2, stopped: end_turn"),
    ],
)
def test_the_example_clients_print_the_answers_of_the_example_agents(
    client: str, agent: str, last_words: str
) -> None:
    command = ["Good", "day", "--", sys.executable, str(EXAMPLES / agent)]
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / client), *command],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert (ran.stdout, ran.stderr) == ("Good day\n", f"{last_words}\n")


def test_without_a_command_the_example_clients_start_an_example_agent() -> None:
    for client in ("acp_client.py", "acp_dual_client.py"):
        ran = subprocess.run(
            [sys.executable, str(EXAMPLES / client), "Hi"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert ran.stdout == "Hi\n"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a strange process on Linux")
async def test_a_stubborn_agent_and_its_children_are_killed(tmp_path: Path) -> None:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN, encoding="utf-8")
    client = Listening()
    async with start_agent([sys.executable, str(script)], client, grace=0.1) as agent:
        waiting = asyncio.ensure_future(agent.initialize(INITIALIZE))
        await client.told.wait()
        pid = int(client.updates[0].session_id)
        grandchild = os.pidfd_open(pid)
        assert select.select([grandchild], [], [], 0)[0] == []  # it runs
    with pytest.raises(ConnectionClosedError):
        await waiting
    assert select.select([grandchild], [], [], 5)[0] == [grandchild]  # it ended
    os.close(grandchild)


def open_files() -> int:
    """Descriptors of this process; 0 where that cannot be told."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def test_a_program_that_is_not_there_is_named() -> None:
    before = open_files()
    with pytest.raises(AgentStartError) as failed:
        async with start_agent(["/no/such/agent"], RecordingClient()):
            pass
    assert failed.value.program == "/no/such/agent"
    assert open_files() == before


async def test_an_agent_that_dies_fails_the_call() -> None:
    argv = [sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(3)"]
    async with start_agent(argv, RecordingClient()) as agent:
        with pytest.raises(ConnectionClosedError):
            await agent.initialize(INITIALIZE)
        assert agent.closed


async def test_a_slow_client_holds_a_fast_agent_back_and_loses_nothing() -> None:
    class Slow(RecordingClient):
        async def session_update(self, params: v1.SessionNotification) -> None:
            await asyncio.sleep(0)
            await super().session_update(params)

    client = Slow()
    pieces = [f"{number:0100}," for number in range(5000)]
    async with start_agent(ECHO, client) as agent:
        await agent.initialize(INITIALIZE)
        session = await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
        await agent.prompt(
            v1.PromptRequest(
                session_id=session.session_id,
                prompt=[v1.TextContent(text=piece) for piece in pieces],
            )
        )
    assert client.text == "".join(pieces)
