"""The programs in `examples/` run and print what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
    ],
    ids=["client with the echo agent", "client with punie"],
)
def test_an_example_answers(root: Path, command: list[str], answer: str) -> None:
    ran = run(root, *command)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == answer
