"""`punie acp` as the process that an IDE starts: light, clean on stdout, and gone when told."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import acp  # the official SDK: what it does not accept is not the protocol
import pytest

from .conftest import PUNIE_ACP, Process  # type: ignore[import-not-found]

HEAVY = ("pydantic", "pydantic_ai", "aiohttp", "mlx", "structlog", "httpx2", "platformdirs", "rich")


def gone(pid: int) -> None:
    """Wait until a process group is no more; the test's time-out ends it otherwise."""
    while True:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)


def test_nothing_heavy_is_loaded_up_to_the_answer_of_initialize(
    environment: dict[str, str],
) -> None:
    # `-X importtime` lists on stderr what a real process imported.
    done = subprocess.run(
        [PUNIE_ACP[0], "-X", "importtime", *PUNIE_ACP[1:], "--model", "test"],
        input=b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}\n',
        capture_output=True,
        env=environment,
        check=True,
        timeout=20,
    )
    assert json.loads(done.stdout)["result"]["protocolVersion"] == 1
    lines = done.stderr.decode().splitlines()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "msgspec" in loaded
    assert loaded.isdisjoint(HEAVY)


def cpu_of(code: str) -> float:
    """Seconds of CPU that a bare Python takes for some code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_starting_takes_few_times_what_the_event_loop_alone_takes(
    process: Process, project: Path
) -> None:
    process.ask("initialize", {"protocolVersion": 1, "clientCapabilities": {}})
    initialized = process.cpu()
    process.ask("session/new", {"cwd": str(project), "mcpServers": []})
    opened = process.cpu()
    loop = sorted(cpu_of("import asyncio, json") for _ in range(3))[1]
    print(f"CPU: {loop:.2f} s alone, initialize {initialized:.2f} s, session/new {opened:.2f} s")
    assert initialized <= 4 * loop
    assert opened <= 6 * loop


def test_the_first_prompt_comes_after_session_new_and_its_updates_before_its_answer(
    process: Process, project: Path
) -> None:
    session_id = process.open(project)
    process.until(id=process.prompt(session_id, "read a.txt"))
    order = [line.get("method", "answer") for line in process.lines]
    assert order[:2] == ["answer", "answer"]
    assert order[-1] == "answer"
    assert set(order[2:-1]) == {"session/update"}
    for line in process.lines[2:-1]:
        acp.schema.SessionNotification.model_validate(line["params"])


@pytest.mark.parametrize("how", ["eof", "sigterm"])
def test_a_process_that_is_told_to_end_ends_at_once_with_its_children(
    process: Process, project: Path, how: str
) -> None:
    session_id = process.open(project)
    process.ask("session/set_mode", {"sessionId": session_id, "modeId": "bypass"})
    process.prompt(session_id, "run echo $$; trap '' TERM; sleep 600")
    pid = 0
    while not pid:
        content = process.read().get("params", {}).get("update", {}).get("content")
        if content:
            pid = int(content[0]["content"]["text"].split()[0])
    began = time.monotonic()
    if how == "eof":
        assert process.child.stdin is not None
        process.child.stdin.close()
    else:
        process.child.send_signal(signal.SIGTERM)
    assert process.child.wait(timeout=5) == 0
    assert time.monotonic() - began < 2.0  # half a second on a machine with nothing else to do
    gone(pid)


def test_only_protocol_is_written_to_stdout(process: Process, project: Path) -> None:
    session_id = process.open(project)
    process.ask("session/set_mode", {"sessionId": session_id, "modeId": "bypass"})
    process.until(id=process.prompt(session_id, "run echo to stdout; echo to stderr >&2"))
    for line in process.lines:
        assert line["jsonrpc"] == "2.0"


class Client(acp.Client):
    """A client made of the official SDK, that chooses one kind of option."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.updates: list[Any] = []

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update)

    async def request_permission(
        self, session_id: str, tool_call: Any, options: Any, **_: Any
    ) -> Any:
        assert any(update.session_update == "tool_call" for update in self.updates)
        assert tool_call.content[0].new_text == "text"
        option_id = next(option.option_id for option in options if option.kind == self.kind)
        outcome = acp.schema.AllowedOutcome(outcome="selected", option_id=option_id)
        return acp.RequestPermissionResponse(outcome=outcome)

    def on_connect(self, conn: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "files"), [("allow_once", ["a.txt", "b.txt"]), ("reject_once", ["a.txt"])]
)
async def test_the_official_client_completes_a_turn_with_a_permission(
    project: Path, environment: dict[str, str], kind: str, files: list[str]
) -> None:
    client = Client(kind)
    command = [*PUNIE_ACP, "--model", "test"]
    async with acp.spawn_agent_process(client, *command, env=environment) as (agent, child):
        await agent.initialize(protocol_version=1)
        session = await agent.new_session(cwd=str(project), mcp_servers=[])
        assert session.modes.current_mode_id == session.config_options[0].current_value == "ask"
        prompt = [acp.text_block("write b.txt text")]
        done = await agent.prompt(session_id=session.session_id, prompt=prompt)
        assert done.stop_reason == "end_turn"
    assert child.returncode == 0
    assert sorted(path.name for path in project.iterdir()) == files  # noqa: ASYNC240
    kinds = [update.session_update for update in client.updates]
    assert kinds.index("tool_call") < kinds.index("agent_message_chunk")
