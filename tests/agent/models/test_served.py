"""What each kind of server says about its model, asked over a real socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from punie.agent.models import registry
from punie.agent.models.served import OLLAMA_WINDOW, Served, ask_about, is_small
from punie.agent.testing.fake_server import FakeServer

LISTED = {"data": [{"id": "fake"}]}
LM_STUDIO = {
    "data": [{"id": "fake", "max_context_length": 131_072, "loaded_context_length": 4_096}]
}

SERVERS: dict[str, tuple[dict[str, Any], Served]] = {
    "vLLM": (
        {"/v1/models": {"data": [{"id": "fake", "owned_by": "vllm", "max_model_len": 16_384}]}},
        Served(server="vLLM", window=16_384),
    ),
    "llama.cpp": (
        {"/props": {"default_generation_settings": {"n_ctx": 12_288}, "total_slots": 1}},
        Served(server="llama.cpp", window=12_288),
    ),
    "LM Studio": (
        {"/api/v0/models": LM_STUDIO},
        Served(
            server="LM Studio",
            window=4_096,
            advice="load it in LM Studio with a context length of up to 131072",
        ),
    ),
    "Ollama, loaded": (
        {"/api/ps": {"models": [{"name": "fake:latest", "context_length": 65_536}]}},
        Served(server="Ollama", window=65_536),
    ),
    "Ollama, set in the model": (
        {"/api/ps": {"models": []}, "/api/show": {"parameters": "num_ctx    32768\ntop_k 20"}},
        Served(server="Ollama", window=32_768),
    ),
    "Ollama, not loaded": (
        {"/api/ps": {"models": []}, "/api/show": {"parameters": ""}},
        Served(
            server="Ollama",
            window=OLLAMA_WINDOW,
            advice="start Ollama with OLLAMA_CONTEXT_LENGTH=32768",
        ),
    ),
    "one that tells nothing": ({}, Served()),
    "one that talks nonsense": (
        {"/props": {"default_generation_settings": []}, "/api/v0/models": {"data": {}}},
        Served(),
    ),
}


@pytest.mark.parametrize(("pages", "expected"), SERVERS.values(), ids=SERVERS.keys())
async def test_the_window_is_found_wherever_a_server_tells_it(
    server: FakeServer, pages: dict[str, Any], expected: Served
) -> None:
    server.pages = {"/v1/models": LISTED, **pages}
    assert await asyncio.to_thread(ask_about, server.url, "fake") == expected


async def test_a_model_folder_on_this_machine_tells_its_own_window(
    server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 2_048}))
    server.pages = {"/v1/models": LISTED}
    served = await asyncio.to_thread(ask_about, server.url, str(tmp_path))
    assert served == Served(server="mlx_lm.server", window=2_048)


async def test_a_server_that_is_not_there_tells_nothing() -> None:
    assert await asyncio.to_thread(ask_about, "http://127.0.0.1:9/v1", "fake") == Served()


async def test_a_model_is_opened_with_the_window_that_its_server_tells(server: FakeServer) -> None:
    server.pages = {"/props": {"default_generation_settings": {"n_ctx": 12_288}}}
    opened = await registry.open_model(f"local:{server.url}/fake")
    assert opened.spec.context_window == 12_288


@pytest.mark.parametrize(
    "pages",
    [
        {
            "/props": {
                "default_generation_settings": {"n_ctx": 1},
                "modalities": {"vision": True, "audio": False},
            }
        },
        {"/api/v0/models": {"data": [{"id": "fake", "type": "vlm", "max_context_length": 1}]}},
        {"/api/ps": {"models": []}, "/api/show": {"capabilities": ["completion", "vision"]}},
    ],
    ids=["llama.cpp", "LM Studio", "Ollama"],
)
async def test_a_server_that_says_so_has_a_model_that_sees(
    server: FakeServer, pages: dict[str, Any]
) -> None:
    server.pages = {"/v1/models": LISTED, **pages}
    assert (await registry.open_model(f"local:{server.url}/fake")).spec.images


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("Qwen2.5-Coder-1.5B-Instruct", True),
        ("qwen3:4b", True),
        ("SmolLM2-135M-Instruct", True),
        ("mlx-community/Qwen3-30B-A3B-4bit", False),
        ("gpt-oss-20b", False),
        ("devstral-small-2505", False),
        ("Mixtral-8x7B", False),
        ("llama", False),
    ],
)
def test_the_size_in_a_name_tells_a_small_model(name: str, small: bool) -> None:
    assert is_small(name, 32_768) is small
