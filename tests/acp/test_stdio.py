"""A real agent process, spoken to in bytes: bad lines, stray prints, and its end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

StartChild = Callable[..., Any]

BODY = """
import asyncio, os, signal, subprocess, sys, threading, time
from punie.acp.agent_side import serve_stdio
from punie.acp.schema import v1

class Base:
    def __init__(self, client):
        self.client = client
    async def initialize(self, params):
        return v1.InitializeResponse(protocol_version=1)
    async def new_session(self, params):
        return v1.NewSessionResponse(session_id="s")
    async def prompt(self, params):
        return v1.PromptResponse(stop_reason="end_turn")
    async def cancel(self, params):
        pass
    async def close(self):
        print("closed", file=sys.stderr, flush=True)

"""
RUN = "\nsys.exit(serve_stdio(Agent))\n"

HANGS = {
    "waits for ever": "await asyncio.Event().wait()",
    "refuses to be cancelled": """
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass""",
    "left a thread behind": "await asyncio.to_thread(time.sleep, 50)",
}


def agent(prompt: str, *more: str) -> str:
    head = "class Agent(Base):\n    async def prompt(self, params):\n        "
    say = "print('started', file=sys.stderr, flush=True)\n        "
    return BODY + head + say + prompt + "\n" + "\n".join(more) + RUN


def prompt(child: Any) -> None:
    child.write({
        "jsonrpc": "2.0",
        "id": 9,
        "method": "session/prompt",
        "params": {"sessionId": "s", "prompt": []},
    })


def seconds_until_exit(child: Any) -> float:
    started = time.monotonic()
    child.process.wait(timeout=10)
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"{nope", -32700, None),
        (b"\xff\xfe{}", -32700, None),
        (b"\x00", -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"[]", -32600, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"initialize"}]', -32600, None),
        (b"42", -32600, None),
        (b'{"foo":1}', -32600, None),
        (b'{"jsonrpc":"2.0","id":"z","method":7}', -32600, "z"),
        (b'{"jsonrpc":"2.0","id":"z","method":"nope"}', -32601, "z"),
        (b'{"jsonrpc":"2.0","id":null,"method":"nope"}', -32601, None),
        (b'{"jsonrpc":"2.0","id":8,"method":"session/new","params":{"cwd":5}}', -32602, 8),
        (b'{"jsonrpc":"2.0","id":8,"method":"session/prompt","params":[]}', -32602, 8),
    ],
)
def test_a_bad_line_gets_its_code_and_the_connection_lives_on(
    start: StartChild, line: bytes, code: int, request_id: Any
) -> None:
    child = start()
    child.initialize()
    answer = child.ask(line)
    assert (answer["error"]["code"], answer["id"]) == (code, request_id)
    assert answer["jsonrpc"] == "2.0"
    assert child.new_session() == "echo-1"


def test_lines_without_a_due_answer_get_none(start: StartChild) -> None:
    child = start()
    child.initialize()
    child.write(
        b"",
        b" \r",
        b'{"jsonrpc":"2.0","method":"nope"}',
        b'{"jsonrpc":"2.0","method":"session/cancel","params":{"sessionId":5}}',
        b'{"jsonrpc":"2.0","method":"$/cancel_request","params":{}}',
        b'{"jsonrpc":"2.0","id":77,"result":{}}',
        b'{"jsonrpc":"2.0","id":77,"error":{"code":1}}',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
    )
    assert child.new_session() == "echo-1"


def test_a_prompt_of_ten_megabytes_comes_back(start: StartChild) -> None:
    child = start()
    child.initialize()
    session_id = child.new_session()
    text = "x" * 10_000_000
    params = {"sessionId": session_id, "prompt": [{"type": "text", "text": text}]}
    child.write({"jsonrpc": "2.0", "id": 2, "method": "session/prompt", "params": params})
    assert child.read()["params"]["update"]["content"]["text"] == text
    assert child.read()["result"] == {"stopReason": "end_turn"}


def test_prints_of_the_agent_its_libraries_and_its_children_go_to_stderr(
    start: StartChild,
) -> None:
    child = start(
        agent(
            """print("from python")
        os.write(1, b"from c\\n")
        subprocess.run(["echo", "from a child"])
        return v1.PromptResponse(stop_reason="end_turn")"""
        )
    )
    child.initialize()
    child.new_session()
    prompt(child)
    assert child.read()["result"] == {"stopReason": "end_turn"}
    child.stdin.close()
    child.process.wait(timeout=10)
    assert child.stdout.read() == b""
    shown = child.stderr.read().decode()
    assert all(text in shown for text in ("from python", "from c", "from a child"))


@pytest.mark.parametrize("hang", HANGS)
@pytest.mark.parametrize("how", ["end of stdin", "SIGTERM"])
def test_the_process_ends_at_once_even_when_a_turn(start: StartChild, hang: str, how: str) -> None:
    child = start(agent(HANGS[hang]))
    child.initialize()
    child.new_session()
    prompt(child)
    assert child.stderr.readline() == b"started\n"
    if how == "SIGTERM":
        child.process.send_signal(signal.SIGTERM)
    else:
        child.stdin.close()
    # Half a second is promised; the rest is for a loaded machine.
    assert seconds_until_exit(child) < 2
    assert child.process.returncode == 0
    assert b"closed" in child.stderr.read()


def test_sigterm_ends_a_process_whose_event_loop_is_blocked(start: StartChild) -> None:
    child = start(agent("time.sleep(50)"))
    child.initialize()
    child.new_session()
    prompt(child)
    assert child.stderr.readline() == b"started\n"
    child.process.send_signal(signal.SIGTERM)
    assert seconds_until_exit(child) < 2


def test_sigint_is_130(start: StartChild) -> None:
    child = start()
    child.initialize()
    child.process.send_signal(signal.SIGINT)
    assert seconds_until_exit(child) < 2
    assert child.process.returncode == 130


def test_a_client_that_closes_only_the_agents_stdout_ends_it(start: StartChild) -> None:
    child = start()
    child.initialize()
    child._lines.close()
    child.stdout.close()
    assert seconds_until_exit(child) < 2


def test_lines_piped_in_are_answered_before_the_end(start: StartChild) -> None:
    child = start()
    new = {"cwd": "/", "mcpServers": []}
    child.write(
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 1}},
        {"jsonrpc": "2.0", "id": 2, "method": "session/new", "params": new},
    )
    child.stdin.close()
    assert [child.read()["id"], child.read()["id"]] == [1, 2]
    child.process.wait(timeout=10)


def test_values_of_bad_requests_and_meta_are_in_no_log(start: StartChild) -> None:
    child = start()
    secret = {"token": "SECRET"}
    params = {"protocolVersion": 1, "_meta": secret}
    child.ask({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    bad = {"cwd": 5, "mcpServers": "SECRET", "_meta": secret}
    answer = child.ask({"jsonrpc": "2.0", "id": 2, "method": "session/new", "params": bad})
    child.write({
        "jsonrpc": "2.0",
        "method": "session/cancel",
        "params": {"sessionId": 1, "_meta": secret},
    })
    child.stdin.close()
    child.process.wait(timeout=10)
    assert "SECRET" not in str(answer)
    logged = child.stderr.read()
    assert b"session/cancel" in logged
    assert b"SECRET" not in logged


def test_the_agents_side_imports_nothing_heavy() -> None:
    heavy = ["pydantic", "aiohttp", "mlx", "structlog", "httpx2", "rich", "click", "acp"]
    script = (
        "import sys, punie.acp.agent_side, punie.acp.transports.stdio\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
