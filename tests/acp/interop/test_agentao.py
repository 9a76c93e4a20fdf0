"""What the check finds in agentao 0.5.17, an agent with a JSON-RPC of its own.

Optional: `uv tool install 'agentao[cli]==0.5.17'` brings it. It runs offline up to its first prompt.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from punie.acp.check import Finding, examine

VERSION = "0.5.17"


@pytest.fixture(scope="session")
def agentao() -> list[str]:
    program = shutil.which("agentao")
    if program is None:
        pytest.skip(f"agentao is not here: uv tool install 'agentao[cli]=={VERSION}'")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if VERSION not in told.stdout:
        pytest.skip(f"what is said here is true of agentao {VERSION}, not of {told.stdout.strip()}")
    return [program, "--acp"]


@pytest.fixture
def no_account(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is never called."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_MODEL", "none")


async def found(argv: list[str], *only: str) -> dict[str, Finding]:
    verdicts = await examine(argv, timeout=10.0, only=only)
    return {verdict.id: verdict for verdict in verdicts}


async def test_bytes_that_are_not_utf_8_end_it(agentao: list[str], no_account: None) -> None:
    verdicts = await found(agentao, "wire.parse-error", "wire.survives")
    assert {verdict.outcome for verdict in verdicts.values()} == {"violated"}
    assert "after invalid UTF-8: no answer: the agent exited with 0" in (
        verdicts["wire.survives"].seen
    )


async def test_an_unknown_session_gets_another_code(agentao: list[str], no_account: None) -> None:
    assert (await found(agentao, "session.unknown"))["session.unknown"].outcome == "violated"


async def test_arrays_scalars_and_versions_are_right(agentao: list[str], no_account: None) -> None:
    only = ("wire.array", "wire.scalar", "initialize.version-newer", "initialize.repeated")
    verdicts = await found(agentao, *only)
    assert {verdict.outcome for verdict in verdicts.values()} == {"held"}
