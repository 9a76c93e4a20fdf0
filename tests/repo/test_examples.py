"""The programs in `examples/` run and print what they promise."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from punie.agent.testing.fake_server import chunk, open_fake_server

PUNIE = (sys.executable, "-m", "punie", "acp", "--model", "test")


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["examples/acp_client.py", "Hello there"], "Hello there"),
        (["examples/acp_client.py", "Hello", "--", *PUNIE], "Hello from Punie's test model."),
        (["examples/acp_dual_client.py", "Hello", "--", *PUNIE], "Hello from Punie's test model."),
    ],
    ids=["client with the echo agent", "client with punie", "client of either version with punie"],
)
def test_an_example_answers(root: Path, command: list[str], answer: str) -> None:
    ran = run(root, *command)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == answer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_example_with_a_model_server_asks_it_twice(root: Path) -> None:
    async with open_fake_server() as server:
        server.scripts = [
            [chunk(content="All pass."), chunk(finish="stop")],
            [chunk(content="They pass."), chunk(finish="stop")],
        ]
        code, output, errors = await run_local(root, f"local:{server.url}/fake")
    assert (code, errors) == (0, "")
    assert output == "All pass.\nThey pass.\n"
    roles = [message["role"] for message in server.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


async def test_the_example_with_a_model_server_says_when_there_is_none(root: Path) -> None:
    code, output, errors = await run_local(root, "local:http://127.0.0.1:9/v1/none")
    assert (code, output) == (3, "")
    assert "No model: " in errors
    assert "127.0.0.1:9" in errors


async def run_local(root: Path, model: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "examples/15_local_model_server.py",
        cwd=root,
        env={**os.environ, "PUNIE_MODEL": model},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.model
def test_the_example_of_the_embedded_model_answers(root: Path) -> None:
    ran = run(root, "examples/embedded_model.py", "What is git status for?")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    assert "tokens read" in ran.stderr
