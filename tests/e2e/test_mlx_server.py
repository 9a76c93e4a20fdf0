"""The real mlx_lm.server with the real SmolLM2 and the shipped adapter: a tool call and an answer."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from punie.agent.models.embedded.convert import ensure_embedded_model
from punie.agent.models.embedded.spec import embedded_spec, shipped_adapter
from punie.agent.models.http import ChatModel
from punie.agent.models.probe import probe
from punie.agent.models.served import ask_about
from punie.agent.sessions.brain import Brain
from punie.agent.sessions.session import Session
from punie.agent.testing import Recorder
from punie.agent.tools.catalog import select
from punie.agent.turns.build import build_agent
from punie.agent.workspaces.local import LocalWorkspace

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with its adapter merged, in the only dtype that a CPU computes fast."""
    from mlx_lm.utils import save_model  # noqa: TID251

    from punie.agent.models.embedded.loading import load

    made, source = tmp_path_factory.mktemp("smollm2"), ensure_embedded_model()
    save_model(made, load(source, adapter=shipped_adapter()).model)
    for path in source.iterdir():
        if path.is_file() and path.suffix != ".safetensors" and not (made / path.name).exists():
            shutil.copy(path, made)
    return made


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this machine; its base URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlx_lm.server", "--model", str(folder), "--port", str(port)]
    place = tmp_path_factory.mktemp("server")
    log = place / "log"
    (place / "hub").mkdir()  # without it, the server breaks off when it should list its models
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(place)}
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            _wait_for(port, server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(log.read_text())


def _model(folder: Path, url: str) -> ChatModel:
    return ChatModel(str(folder), url, spec=embedded_spec())


async def test_the_server_is_the_one_that_was_asked_for(folder: Path, url: str) -> None:
    answer = await probe(_model(folder, url), "What is the capital of France?")
    assert answer.strip()
    served = await asyncio.to_thread(ask_about, url, str(folder))
    assert (served.server, served.window) == ("mlx_lm.server", 8_192)


async def test_a_turn_calls_a_real_tool_reports_its_figures_and_keeps_the_prefix(
    folder: Path, url: str, project: Path
) -> None:
    spec = embedded_spec()
    tools = {tool.name: tool for tool in select(spec.tools)}
    brain = Brain(agent=build_agent(_model(folder, url)), spec=spec, tools=tools)

    async def open_brain(*, on_progress: Any) -> Brain:
        return brain

    workspace = LocalWorkspace(project)
    session = Session("s", workspace=workspace, mode="bypass", open_brain=open_brain)
    heard = Recorder()
    session.attach(heard)
    outcome = await session.prompt("Run the tests in tests")
    workspace.close()
    assert outcome.error == ""
    (call,) = outcome.tool_calls
    assert (call.name, call.arguments) == ("run_tests", {"path": "tests"})
    assert {"4", "2"} <= set(re.findall(r"\d+", outcome.text)), outcome.text
    assert outcome.usage.cached_tokens > 0
