"""The first request of a session: its whole body, as a model server gets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from punie.agent.runtime import Runtime
from punie.agent.testing.fake_server import open_fake_server
from punie.agent.tools.catalog import FOR_SMALL_MODELS, select

LIMIT = 6_000
"""Characters: what a local model reads before it says its first word."""
SMALL_LIMIT = 2_500
"""The same for a model of a few billion parameters."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_first_request_with_all_tools_is_small(tmp_path: Path) -> None:
    script: list[Any] = [{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}]
    async with open_fake_server() as server:
        server.scripts[:] = [script]
        runtime = Runtime(model=f"local:{server.url}/fake", environ={"HOME": str(tmp_path)})
        session = runtime.open_session(tmp_path)
        outcome = await session.prompt("hello")
        await runtime.aclose()
    assert outcome.text == "hi"
    (body,) = server.requests
    assert [tool["function"]["name"] for tool in body["tools"]] == [
        tool.name for tool in select(())
    ]
    size = len(json.dumps(body, ensure_ascii=False))
    print(f"the first request with {len(select(()))} tools has {size} characters")
    assert size <= LIMIT


async def test_the_first_request_to_a_small_model_is_smaller_still(tmp_path: Path) -> None:
    script: list[Any] = [{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}]
    name = "Qwen2.5-Coder-1.5B-Instruct"
    async with open_fake_server(name) as server:
        server.scripts[:] = [script]
        runtime = Runtime(model=f"local:{server.url}/{name}", environ={"HOME": str(tmp_path)})
        await runtime.open_session(tmp_path).prompt("hello")
        await runtime.aclose()
    (body,) = server.requests
    size = len(json.dumps(body, ensure_ascii=False))
    print(f"the first request with {len(FOR_SMALL_MODELS)} tools has {size} characters")
    assert (len(body["tools"]), size <= SMALL_LIMIT) == (len(FOR_SMALL_MODELS), True)


async def test_a_project_can_ask_for_more_groups_of_tools(tmp_path: Path) -> None:
    settings = '[tool.punie]\ntools = ["core", "navigation"]\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    script: list[Any] = [{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}]
    async with open_fake_server() as server:
        server.scripts[:] = [script]
        runtime = Runtime(model=f"local:{server.url}/fake", environ={"HOME": str(tmp_path)})
        await runtime.open_session(tmp_path).prompt("hello")
        await runtime.aclose()
    (body,) = server.requests
    assert [tool["function"]["name"] for tool in body["tools"]] == [
        tool.name for tool in select(["core", "navigation"])
    ]
    size = len(json.dumps(body, ensure_ascii=False))
    print(f"the first request with core and navigation has {size} characters")
    assert size <= LIMIT


async def test_a_group_that_does_not_exist_ends_the_turn_with_the_choices(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.punie]\ntools = ["navgation"]\n')
    runtime = Runtime(model="test", environ={"HOME": str(tmp_path)})
    outcome = await runtime.open_session(tmp_path).prompt("hello")
    await runtime.aclose()
    assert outcome.error.startswith("there is no tool 'navgation': choose from read_file, ")
