"""What a newcomer sees: no server, no account, one command, a real tool, the true figures."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., "subprocess.CompletedProcess[str]"]

# Without a fast BLAS the model reads 10 tokens a second.
pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


def last_line(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_it_runs_the_tests_and_states_the_figures_pytest_gave(ask: Ask) -> None:
    answer = last_line(ask("--json", "Run the tests in tests"))
    (call,) = answer["tool_calls"]
    assert (call["name"], call["arguments"]) == ("run_tests", {"path": "tests"})
    figures = re.findall(r"\d+", answer["text"])
    assert {"4", "2"} <= set(figures), answer["text"]


def test_it_copies_a_path_from_the_prompt(ask: Ask) -> None:
    answer = last_line(ask("--json", "please lint prices.py"))
    (call,) = answer["tool_calls"]
    assert (call["name"], call["arguments"]) == ("lint", {"path": "prices.py"})
    assert "1" in re.findall(r"\d+", answer["text"])


def test_a_question_gets_an_answer_and_no_tool(ask: Ask) -> None:
    answer = last_line(ask("--json", "What is a pytest fixture?"))
    assert answer["tool_calls"] == []
    assert answer["text"].strip()


def test_a_prompt_over_raw_stdio_makes_a_real_tool_call(
    project: Path, environment: dict[str, str], punie: list[str]
) -> None:
    agent = subprocess.Popen(
        [*punie, "acp", "--model", "embedded"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert agent.stdin is not None
    assert agent.stdout is not None

    def call(number: int, method: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        frame = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        agent.stdin.write(json.dumps(frame).encode() + b"\n")  # type: ignore[union-attr]
        agent.stdin.flush()  # type: ignore[union-attr]
        seen: list[dict[str, Any]] = []
        for line in agent.stdout:  # type: ignore[union-attr]
            seen.append(json.loads(line))
            if seen[-1].get("id") == number:
                return seen
        raise AssertionError(f"{method} was not answered; seen: {seen}")

    with agent:
        call(1, "initialize", {"protocolVersion": 1, "clientCapabilities": {}})
        new = call(2, "session/new", {"cwd": str(project), "mcpServers": []})[-1]
        prompt = [{"type": "text", "text": "run tests/test_prices.py"}]
        session_id = new["result"]["sessionId"]
        *updates, answer = call(3, "session/prompt", {"sessionId": session_id, "prompt": prompt})
        agent.stdin.close()
    assert answer["result"]["stopReason"] == "end_turn"
    parts = [update["params"]["update"] for update in updates]
    calls = [part for part in parts if part["sessionUpdate"] == "tool_call"]
    assert [part["rawInput"] for part in calls] == [{"path": "tests/test_prices.py"}]
    done = [part for part in parts if part.get("status") == "completed"]
    assert [(part["rawOutput"]["passed"], part["rawOutput"]["failed"]) for part in done] == [(4, 2)]
