"""How much a model is to reason: offered where its spec says so, sent as the spec says, remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from punie.acp.agent_side import serve_dual
from punie.acp.errors import RequestError
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, served
from punie.acp.transports.base import Transport
from punie.agent.acp.agent import PunieAgent
from punie.agent.models.spec import ModelSpec
from punie.agent.runtime import Runtime
from punie.agent.testing.fake_server import FakeServer, open_fake_server
from punie.agent.turns.thought import level_in, level_settings

SAYS: list[Any] = [{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}]
LEVELS = 'thought_levels = ["low", "high"]\n'


@pytest.fixture
def reasoning(
    tmp_path: Path, project: Path, environment: dict[str, str], editor_of: Callable[[], Any]
) -> Callable[..., Any]:
    """Open a session with a served model whose folder on this machine has a spec."""
    folder = tmp_path / "model"
    folder.mkdir()

    @asynccontextmanager
    async def open_session(spec: str) -> AsyncIterator[tuple[Any, FakeServer, Any]]:
        (folder / "punie.toml").write_text(f'spec = "local"\n{spec}')
        async with open_fake_server(str(folder)) as server:
            server.scripts[:] = [SAYS] * 5

            def make(transport: Transport) -> Any:
                host = lambda: Runtime(model=f"local:{server.url}", environ=environment)  # noqa: E731
                return serve_dual(lambda proxy: PunieAgent(proxy, host), transport)

            async with served(make, client := editor_of()) as agent:
                client.agent = agent
                await agent.initialize(INITIALIZE)
                opened = await agent.new_session(
                    v1.NewSessionRequest(cwd=str(project), mcp_servers=[])
                )
                client.session_id = opened.session_id
                yield client, server, opened

    return open_session


def level(options: list[Any]) -> tuple[list[str], str] | None:
    for option in options:
        if option.id == "thought_level":
            assert option.category == "thought_level"
            return [item.value for item in option.options], option.current_value
    return None


async def choose(client: Any, value: str) -> Any:
    request = v1.SetSessionConfigOptionRequest(
        session_id=client.session_id, config_id="thought_level", value=value
    )
    answer = await client.agent.set_session_config_option(request)
    return level(answer.config_options)


def told(client: Any) -> Any:
    updates = client.of(v1.ConfigOptionUpdate)
    return level(updates[-1].config_options) if updates else None


async def test_the_levels_of_a_model_are_offered_once_it_is_open_and_sent_when_chosen(
    reasoning: Any,
) -> None:
    async with reasoning(LEVELS) as (client, server, opened):
        assert level(opened.config_options) is None  # nobody knows its model yet
        await client.until(lambda: told(client) is not None)
        assert told(client) == (["default", "low", "high"], "default")
        await client.ask("hello")
        assert await choose(client, "high") == (["default", "low", "high"], "high")
        await client.ask("hello")
        assert await choose(client, "default") == (["default", "low", "high"], "default")
        await client.ask("hello")
    sent = [body.get("reasoning_effort") for body in server.requests]
    assert sent == [None, "high", None]


async def test_the_chosen_level_is_what_the_next_session_begins_with(
    reasoning: Any, project: Path
) -> None:
    async with reasoning(LEVELS) as (client, server, _):
        await client.until(lambda: told(client) is not None)
        await choose(client, "high")
        first = client.session_id
        request = v1.NewSessionRequest(cwd=str(project), mcp_servers=[])
        client.session_id = (await client.agent.new_session(request)).session_id
        await client.ask("hello")
        assert told(client) == (["default", "low", "high"], "high")
    assert [body["reasoning_effort"] for body in server.requests] == ["high"]
    async with reasoning(LEVELS) as (client, server, _):
        client.session_id = first
        await client.agent.load_session(
            v1.LoadSessionRequest(session_id=first, cwd=str(project), mcp_servers=[])
        )
        await client.ask("hello")
    assert [body["reasoning_effort"] for body in server.requests] == ["high"]


async def test_a_switch_ends_the_prompt_only_where_the_spec_says_so(reasoning: Any) -> None:
    switch = 'thought_levels = ["off", "on"]\nthought_by = "no_think"\n'
    async with reasoning(switch) as (client, server, _):
        await client.ask("one")
        await choose(client, "off")
        await client.ask("two")
        await choose(client, "on")
        await client.ask("three")
    said = [m["content"] for m in server.requests[-1]["messages"] if m["role"] == "user"]
    assert said == ["one", "two /no_think", "three"]
    assert not any("reasoning_effort" in body for body in server.requests)


async def test_a_model_without_levels_has_no_such_option(reasoning: Any) -> None:
    async with reasoning("") as (client, server, _):
        await client.ask("hello")
        assert told(client) is None
        with pytest.raises(RequestError) as refused:
            await choose(client, "high")
        assert "$.configId" in str(refused.value.data)
    assert "reasoning_effort" not in server.requests[0]


async def test_a_level_that_the_model_does_not_have_cannot_be_chosen(reasoning: Any) -> None:
    async with reasoning(LEVELS) as (client, _, _opened):
        await client.until(lambda: told(client) is not None)
        with pytest.raises(RequestError) as refused:
            await choose(client, "extreme")
        assert "must be one of default, low, high" in str(refused.value.data)


@pytest.mark.parametrize(
    ("chosen", "settings"),
    [
        ("off", {"thinking": False}),
        ("low", {"thinking": "low"}),
        ("", {}),
        ("extreme", {}),
    ],
)
def test_a_cloud_model_is_told_in_the_way_of_its_provider(chosen: str, settings: Any) -> None:
    spec = ModelSpec(spec="x:y", thought_levels=("off", "low"), thought_by="provider")
    assert level_settings(spec, level_in(spec, chosen)) == settings
