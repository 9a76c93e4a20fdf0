"""An agent for a person's own program: no session, no extra arguments."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic_ai.messages import ToolReturnPart

from punie.agent.errors import ConfigError, ModelUnavailableError
from punie.agent.events import AnyEvent, ToolCallUpdate
from punie.agent.factory import create_pydantic_agent
from punie.agent.testing import Answers, Call, scripted_model


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_named_model_is_opened_by_the_first_run(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi\n")
    agent = create_pydantic_agent("test", cwd=tmp_path)
    result = await agent.run("read a.txt")
    assert result.output == "read_file: a.txt, 1 line"


async def test_a_model_that_is_not_there_fails_in_the_run_and_not_before(tmp_path: Path) -> None:
    agent = create_pydantic_agent("nonsense", cwd=tmp_path)
    with pytest.raises(ModelUnavailableError, match="unknown model 'nonsense'"):
        await agent.run("hello")


async def test_without_anybody_to_ask_a_write_is_denied(tmp_path: Path) -> None:
    agent = create_pydantic_agent("test", cwd=tmp_path)
    result = await agent.run("write a.txt hello")
    assert "Permission denied" in result.output
    assert names(tmp_path) == []


async def test_a_person_or_a_mode_allows_it(tmp_path: Path) -> None:
    person = Answers("allow_once")
    await create_pydantic_agent("test", cwd=tmp_path, ask=person).run("write a.txt asked")
    await create_pydantic_agent("test", cwd=tmp_path, mode="edit").run("write b.txt free")
    assert [ask.title for ask in person.asked] == ["Write a.txt"]
    assert (tmp_path / "a.txt").read_text() == "asked"
    assert (tmp_path / "b.txt").read_text() == "free"


async def test_events_can_be_heard(tmp_path: Path) -> None:
    heard: list[AnyEvent] = []

    async def listen(event: AnyEvent) -> None:
        heard.append(event)

    await create_pydantic_agent("test", cwd=tmp_path, on_event=listen).run("read nothing.txt")
    statuses = [event.status for event in heard if isinstance(event, ToolCallUpdate)]
    assert statuses == ["pending", "in_progress", "failed"]


async def test_runs_do_not_share_their_limits(tmp_path: Path) -> None:
    look = Call("list_files", {"path": "."})
    model = scripted_model([[look], [look], ["one"], [look], [look], ["two"]])
    agent = create_pydantic_agent(model, cwd=tmp_path)
    assert [(await agent.run("a")).output, (await agent.run("b")).output] == ["one", "two"]


async def test_a_history_can_be_passed_on(tmp_path: Path) -> None:
    agent = create_pydantic_agent("test", cwd=tmp_path, mode="edit")
    first = await agent.run("write a.txt x")
    second = await agent.run("read a.txt", message_history=first.all_messages())
    returns = [
        part.tool_name
        for message in second.all_messages()
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    ]
    assert returns == ["write_file", "read_file"]


def test_it_runs_without_an_event_loop_too(tmp_path: Path) -> None:
    agent = create_pydantic_agent("test", cwd=tmp_path)
    loop = asyncio.new_event_loop()  # `run_sync` would make one and leave it open
    asyncio.set_event_loop(loop)
    try:
        assert "test model" in agent.run_sync("hello").output
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def rules(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.punie]\n{text}\n")


async def test_the_rules_of_the_project_hold_for_it(tmp_path: Path) -> None:
    rules(tmp_path, 'permissions.deny = ["write_file(a.txt)"]')
    person = Answers("allow_once")
    agent = create_pydantic_agent("test", cwd=tmp_path, mode="edit", ask=person)
    result = await agent.run("write a.txt hello")
    assert "the rule write_file(a.txt) denies it" in result.output
    assert person.asked == []
    await agent.run("write b.txt hello")
    assert names(tmp_path) == ["b.txt", "pyproject.toml"]


async def test_a_project_can_make_it_stricter_and_not_freer(tmp_path: Path) -> None:
    rules(tmp_path, 'mode = "read-only"')
    person = Answers("allow_once")
    result = await create_pydantic_agent("test", cwd=tmp_path, ask=person).run("write a.txt x")
    assert "mode read-only does not allow" in result.output
    rules(tmp_path, 'mode = "bypass"')
    result = await create_pydantic_agent("test", cwd=tmp_path).run("write a.txt x")
    assert "Permission denied" in result.output
    assert names(tmp_path) == ["pyproject.toml"]


async def test_what_the_person_always_allowed_in_the_project_it_may(tmp_path: Path) -> None:
    person = Answers("allow_always")
    await create_pydantic_agent("test", cwd=tmp_path, ask=person).run("run touch a")
    await create_pydantic_agent("test", cwd=tmp_path).run("run touch a")
    assert [option.name for option in person.asked[0].options][1] == (
        "Always allow `touch a` in this project"
    )
    result = await create_pydantic_agent("test", cwd=tmp_path).run("run touch b")
    assert "Permission denied" in result.output
    assert names(tmp_path) == ["a"]


def test_a_rule_that_cannot_be_kept_makes_no_agent(tmp_path: Path) -> None:
    rules(tmp_path, 'permissions.deny = ["write_fiel"]')
    with pytest.raises(ConfigError, match="did you mean write_file"):
        create_pydantic_agent("test", cwd=tmp_path)


@pytest.mark.parametrize("options", [{"mode": "yolo"}, {"cwd": "/does/not/exist"}])
def test_wrong_options_are_refused_at_once(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        create_pydantic_agent("test", **options)  # type: ignore[arg-type]
