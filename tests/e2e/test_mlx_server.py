"""The README's two terminals: mlx_lm.server with a model that was fused and quantized, and `punie ask --model local`.

The model is the real SmolLM2 with the shipped adapter, made by the stages of the pipeline.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from punie.agent.models.embedded.blas import preload_fast_blas
from punie.agent.models.embedded.spec import embedded_spec, shipped_adapter
from punie.agent.models.http import ChatModel
from punie.agent.models.probe import probe
from punie.agent.models.served import ask_about
from punie.train.phases import load_phase
from punie.train.phases.spec import Quantize
from punie.train.stages import compress
from punie.train.stages.base import Work

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

ASK = """
import sys
from msgspec.structs import replace
from punie.agent.models import servers
from punie.cli.main import main

port = sys.argv.pop(1)
servers.KNOWN = (replace(servers.KNOWN[0], url=f"http://127.0.0.1:{port}/v1"),)
main()
"""
"""`punie`, but for the port on which it looks for mlx_lm.server: 8080 may be taken."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages `fuse` and `quantize` make of the shipped adapter."""
    run, adapter = tmp_path_factory.mktemp("run"), shipped_adapter()
    assert adapter is not None
    (run / "adapter").symlink_to(adapter)
    phase = replace(load_phase("embedded"), fuse=True, quantize=Quantize(bits=8))
    work = Work(phase, run, lambda _: None)
    compress.fuse(work)
    compress.quantize(work)
    _compute_in_float32(run / "quantized")
    return run / "quantized"


def _compute_in_float32(folder: Path) -> None:
    """Widen scales and offsets: with float16 a CPU multiplies forty times slower. Same values."""
    preload_fast_blas()
    import mlx.core as mx  # noqa: TID251
    from mlx_lm.utils import load_model, save_model  # noqa: TID251

    model, _ = load_model(folder)
    model.set_dtype(mx.float32)
    save_model(folder, model)


@pytest.fixture(scope="module")
def port(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Terminal 1."""
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
            yield port
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


async def test_the_server_is_the_one_that_was_asked_for(folder: Path, port: int) -> None:
    url = f"http://127.0.0.1:{port}/v1"
    model = ChatModel(str(folder), url, spec=embedded_spec())
    answer = await probe(model, "What is the capital of France?")
    assert answer.strip()
    served = await asyncio.to_thread(ask_about, url, str(folder))
    assert (served.server, served.window) == ("mlx_lm.server", 8_192)


def test_local_calls_a_real_tool_reports_its_figures_and_keeps_the_prefix(
    port: int, project: Path, environment: dict[str, str]
) -> None:
    ask = ["ask", "--model", "local", "--json", "please lint prices.py"]
    run = subprocess.run(
        [sys.executable, "-c", ASK, str(port), *ask],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout.splitlines()[-1])
    (call,) = answer["tool_calls"]
    assert (call["name"], call["arguments"]) == ("lint", {"path": "prices.py"})
    assert {"1", "2"} <= set(re.findall(r"\d+", answer["text"])), answer["text"]
    assert answer["usage"]["cached_tokens"] > 0, answer["usage"]
