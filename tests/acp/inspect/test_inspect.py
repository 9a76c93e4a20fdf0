"""The process in the middle changes nothing, shows everything but secrets, and ends with the agent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from punie.acp.inspect import Describer
from punie.acp.process import start_agent
from punie.acp.recording import read_recording
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient

INSPECT = [sys.executable, "-m", "punie.acp", "inspect"]
BENCH = [sys.executable, "-m", "punie.acp.testing.bench_agent"]
ECHO = [sys.executable, "-c", "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"]


def inspected(command: list[str], data: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*INSPECT, *options, "--", *command],
        input=data,
        capture_output=True,
        timeout=20,
        check=False,
    )


def test_bytes_pass_unchanged_and_each_line_is_shown_once_for_each_way() -> None:
    data = b'{"id": 1}\n[1,\n\n \xff\xfe\nno line end'
    ran = inspected(ECHO, data)
    assert (ran.returncode, ran.stdout) == (0, data)
    lines = ran.stderr.decode().splitlines()
    assert sum("client -> agent" in line for line in lines) == 4
    assert sum("client <- agent" in line for line in lines) == 4


async def test_a_turn_through_it_and_the_recording_beside_it(tmp_path: Path) -> None:
    record, log = tmp_path / "wire.jsonl", tmp_path / "stderr"
    client = RecordingClient()
    command = [*INSPECT, "--record", str(record), "--", *BENCH]
    with log.open("wb") as stderr:
        async with start_agent(command, client, stderr=stderr) as agent:
            await agent.initialize(INITIALIZE)
            session = await agent.new_session(
                v1.NewSessionRequest(cwd="/", mcp_servers=[], meta={"token": "hush"})
            )
            prompt = [v1.TextContent(text="bench:stream:2:3")]
            await agent.prompt(v1.PromptRequest(session_id=session.session_id, prompt=prompt))
    assert client.text == "xxxxxx"
    shown = log.read_text("utf-8")
    assert "session/update  bench-1 agent_message_chunk" in shown
    assert "session/prompt #3 answered after" in shown
    assert len(read_recording(record)) == 8
    assert "hush" not in shown + record.read_text("utf-8")


def test_the_exit_code_of_the_agent_is_passed_on_while_stdin_is_open() -> None:
    agent = [sys.executable, "-c", "import sys; print('bye', flush=True); sys.exit(7)"]
    with subprocess.Popen(
        [*INSPECT, "--", *agent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == b"bye\n"
        assert process.wait(10) == 7
        assert "NOT JSON" in process.stderr.read().decode()


def test_an_agent_that_does_not_listen_any_more_is_waited_for() -> None:
    script = "import os, time; os.close(0); print('deaf', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [*INSPECT, "--", sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"deaf\n"
        process.stdin.write(b'{"method":"m"}\n{"method":"n"}\n')
        process.stdin.close()
        while b"client -> agent" not in process.stderr.readline():
            pass
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM


def test_sigterm_is_passed_on() -> None:
    agent = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with subprocess.Popen(
        [*INSPECT, "--", *agent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=-3
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect"],
        ["inspect", "--", "/nowhere/agent"],
        ["inspect", "--record", "/no/file", "--", "x"],
        [],
    ],
)
def test_wrong_use_exits_with_2_and_says_why(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "punie.acp", *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.strip()
    assert "Traceback" not in ran.stderr


def shown(describer: Describer, sender: Any, frame: Any, at: float = 0.0) -> str:
    return describer.line(sender, json.dumps(frame).encode(), at)


def test_an_answer_names_its_method_and_how_long_it_took() -> None:
    describer = Describer()
    shown(describer, "agent", {"id": 1, "method": "fs/read_text_file", "params": {}}, 1.0)
    answer = shown(describer, "client", {"id": 1, "error": {"code": -32603}}, 1.25)
    assert answer.endswith(
        'client -> agent  fs/read_text_file #1 FAILED after 250 ms  {"code":-32603}'
    )


def test_ids_of_both_sides_are_kept_apart() -> None:
    describer = Describer()
    shown(describer, "agent", {"id": 1, "method": "fs/read_text_file"})
    shown(describer, "client", {"id": 1, "method": "session/prompt"})
    assert "session/prompt #1 answered" in shown(describer, "agent", {"id": 1, "result": {}})


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (42, "NOT A MESSAGE  42"),
        ({"id": [1], "result": None}, "nothing that was asked #[1] answered"),
        ({"method": "x\u001b[31m\n", "params": None}, "x?[31m?  null"),
        ({"method": "session/update", "params": {"odd": 1}}, 'session/update  {"odd":1}'),
        (
            {"method": "session/update", "params": {"sessionId": "s", "update": {"sessionUpdate": "plan", "entries": []}}},
            's plan  {"entries":[]}',
        ),
        ({"method": "m", "params": {"a": "y" * 500}}, "... (508 characters)"),
    ],
)  # fmt: skip
def test_odd_frames_are_shown_on_one_line(frame: Any, text: str) -> None:
    line = shown(Describer(), "agent", frame)
    assert text in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("update", "text"),
    [
        ({"sessionUpdate": "state_update", "state": "running"}, "s state_update  running"),
        (
            {"sessionUpdate": "state_update", "state": "idle", "stopReason": "end_turn"},
            "s state_update  idle, end_turn",
        ),
        (
            {"sessionUpdate": "terminal_output_chunk", "terminalId": "t", "data": "aGk="},
            's terminal_output_chunk  t  "hi"',
        ),
        (
            {"sessionUpdate": "terminal_output_chunk", "terminalId": "t", "data": "no base64"},
            's terminal_output_chunk  t  "no base64"',
        ),
        (
            {
                "sessionUpdate": "user_message",
                "messageId": "m",
                "content": [{"type": "text", "text": "Hello"}],
            },
            's user_message  "Hello"',
        ),
    ],
)
def test_updates_of_version_2_are_shown_by_what_they_say(update: dict[str, Any], text: str) -> None:
    frame = {"method": "session/update", "params": {"sessionId": "s", "update": update}}
    assert shown(Describer(), "agent", frame).endswith(text)
