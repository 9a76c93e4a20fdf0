"""What a person chooses in the editor: options, modes, models and slash commands, kept in step."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from punie.acp.errors import RequestError
from punie.acp.schema import v1
from punie.agent.models import servers
from punie.agent.testing.fake_server import open_fake_server


async def put(editor: Any, option: str, value: str) -> list[Any]:
    request = v1.SetSessionConfigOptionRequest(
        session_id=editor.session_id, config_id=option, value=value
    )
    return (await editor.agent.set_session_config_option(request)).config_options


def current(options: list[Any]) -> dict[str, str]:
    return {option.id: option.current_value for option in options}


async def new_session(editor: Any, project: Path) -> v1.NewSessionResponse:
    return await editor.agent.new_session(v1.NewSessionRequest(cwd=str(project), mcp_servers=[]))


async def test_mode_and_model_are_options_of_their_categories(opened, editor, project) -> None:
    async with opened(editor) as client:
        options = (await new_session(client, project)).config_options
    assert [(option.id, option.category) for option in options] == [
        ("mode", "mode"),
        ("model", "model"),
    ]
    assert current(options) == {"mode": "ask", "model": "default"}
    values = [item.value for item in options[1].options]
    assert values[:2] == ["default", "test"]


async def test_what_is_chosen_is_what_the_next_session_begins_with(opened, editor, project) -> None:
    async with opened(editor) as client:
        assert current(await put(client, "mode", "plan"))["mode"] == "plan"
        assert current((await new_session(client, project)).config_options)["mode"] == "plan"


async def test_planning_a_task_is_in_mode_plan_and_the_editor_shows_it(opened, editor) -> None:
    async with opened(editor) as client:
        await put(client, "mode", "edit")
        client.updates.clear()
        await client.ask("/plan write x.txt hello")
        shown = [current(u.config_options)["mode"] for u in client.of(v1.ConfigOptionUpdate)]
        await put(client, "mode", "edit")
    assert shown == ["plan", "edit"]


async def test_choosing_the_same_again_tells_nothing_and_takes_no_time(opened, editor) -> None:
    """Some editors choose every option again before each prompt."""
    async with opened(editor) as client:
        await put(client, "mode", "edit")
        told = len(client.updates)
        times: list[float] = []
        for _ in range(50):
            began = time.perf_counter()
            await put(client, "mode", "edit")
            await put(client, "model", "default")
            times.append((time.perf_counter() - began) / 2)
        assert len(client.updates) == told
    assert sorted(times)[25] < 0.005  # the wire included, on a busy machine


@pytest.mark.parametrize(
    ("option", "value", "path"),
    [
        ("mode", "yolo", "$.value"),
        ("model", "no-such", "$.value"),
        ("colour", "red", "$.configId"),
    ],
)
async def test_what_does_not_exist_cannot_be_chosen(opened, editor, option, value, path) -> None:
    async with opened(editor) as client:
        with pytest.raises(RequestError) as refused:
            await put(client, option, value)
    assert refused.value.code == -32602
    assert path in str(refused.value.data)


async def test_the_menu_gets_the_models_of_local_servers_when_they_were_seen(
    opened, editor, project, monkeypatch
) -> None:
    async with open_fake_server("qwen") as server:
        known = servers.Known(name="x", url=server.url, start="x")
        monkeypatch.setattr(servers, "KNOWN", (known,))
        async with opened(editor) as client:
            await client.until(lambda: client.of(v1.ConfigOptionUpdate))
            options = client.of(v1.ConfigOptionUpdate)[-1].config_options
            value = f"local:{server.url}/qwen"
            assert value in [item.value for item in options[1].options]
            assert current(await put(client, "model", value))["model"] == value


async def test_commands_are_listed_after_the_answer_of_session_new_and_all_answer(
    opened, editor
) -> None:
    async with opened(editor) as client:
        await client.until(lambda: client.of(v1.AvailableCommandsUpdate))
        (listed,) = client.of(v1.AvailableCommandsUpdate)
        for command in listed.available_commands:
            before = len(client.of(v1.AgentMessageChunk))
            response = await client.ask(f"/{command.name}")
            assert response.stop_reason == "end_turn"
            said = client.of(v1.AgentMessageChunk)[before:]
            assert "".join(chunk.content.text for chunk in said).strip(), command.name


async def test_a_command_that_changes_the_mode_changes_the_menu(opened, editor) -> None:
    async with opened(editor) as client:
        await client.ask("/mode edit")
        assert client.of(v1.CurrentModeUpdate)[-1].current_mode_id == "edit"
        assert current(client.of(v1.ConfigOptionUpdate)[-1].config_options)["mode"] == "edit"
