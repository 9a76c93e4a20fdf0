"""What was chosen last: found by the next session in the folder, bounded by the project."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from punie.agent.events import UserMessage
from punie.agent.runtime import Runtime
from punie.agent.sessions.modes import for_a_turn
from punie.agent.sessions.preferences import Preference, Preferences
from punie.agent.testing.fake_server import chunk, open_fake_server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}


async def chosen(environ: dict[str, str], folder: Path, **choice: str) -> None:
    runtime = Runtime(environ=environ)
    await runtime.choose(runtime.open_session(folder), **choice)  # type: ignore[arg-type]
    await runtime.aclose()


async def test_mode_and_model_are_found_by_the_next_session_in_the_folder(
    project: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    await chosen(environ, project, mode="edit", model="test")
    next_one = Runtime(environ=environ)
    assert next_one.preference(project) == Preference(mode="edit", model="test")
    assert next_one.preference(tmp_path) == Preference()


def test_only_the_owner_may_read_what_was_chosen(tmp_path: Path) -> None:
    Preferences(tmp_path).keep(tmp_path, Preference(mode="edit"))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_bypass_is_not_remembered(project: Path, environ: dict[str, str]) -> None:
    await chosen(environ, project, mode="edit")
    await chosen(environ, project, mode="bypass")
    assert Runtime(environ=environ).preference(project).mode == ""


async def test_a_project_tightens_what_was_chosen(project: Path, environ: dict[str, str]) -> None:
    await chosen(environ, project, mode="edit")
    (project / "pyproject.toml").write_text('[tool.punie]\nmode = "plan"\n')
    assert Runtime(environ=environ).preference(project).mode == "plan"


@pytest.mark.parametrize(
    ("choice", "within", "after"),
    [({"model": "test"}, "plan", "edit"), ({"mode": "plan"}, "plan", "plan")],
)
async def test_a_mode_for_one_turn_is_chosen_only_by_who_chooses_it(
    project: Path, environ: dict[str, str], choice: dict[str, str], within: str, after: str
) -> None:
    runtime = Runtime(environ=environ)
    session = runtime.open_session(project, mode="edit")
    async with for_a_turn(session, "plan"):
        await runtime.choose(session, **choice)  # type: ignore[arg-type]
        assert session.mode == within
    assert session.mode == after
    assert runtime.preference(project).mode == after
    await runtime.aclose()


@pytest.mark.parametrize("how", ["option", "environment"])
async def test_a_model_on_the_command_line_is_above_the_one_chosen_last(
    project: Path, environ: dict[str, str], how: str
) -> None:
    await chosen(environ, project, model="local:x")
    if how == "option":
        runtime = Runtime(environ=environ, model="test")
    else:
        runtime = Runtime(environ=environ | {"PUNIE_MODEL": "test"})
    assert runtime.preference(project).model == ""


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"x": 1}', b"\xff"])
def test_a_file_that_cannot_be_read_counts_as_empty_and_is_replaced(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "preferences.json").write_bytes(content)
    preferences = Preferences(tmp_path)
    assert preferences.of(tmp_path) == Preference()
    preferences.keep(tmp_path, Preference(mode="edit"))
    assert Preferences(tmp_path).of(tmp_path).mode == "edit"


def test_the_folders_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    preferences = Preferences(tmp_path)
    for number in range(502):
        preferences.keep(tmp_path / str(number), Preference(mode="edit"))
    assert preferences.of(tmp_path / "1").mode == ""
    assert preferences.of(tmp_path / "2").mode == "edit"


def test_where_nothing_can_be_written_the_choice_is_not_kept(tmp_path: Path, caplog) -> None:
    (tmp_path / "state").write_text("not a folder")
    Preferences(tmp_path / "state").keep(tmp_path, Preference(mode="edit"))
    assert "cannot be kept for the next session" in caplog.text


async def test_another_model_goes_on_with_the_conversation(
    project: Path, environ: dict[str, str]
) -> None:
    """Two servers, each with its own model; the second is told what the first one said."""
    async with open_fake_server("first") as first, open_fake_server("second") as second:
        first.scripts = [[chunk(content="one"), chunk(finish="stop")]]
        second.scripts = [[chunk(content="two"), chunk(finish="stop")]]
        runtime = Runtime(environ=environ, model=f"local:{first.url}/first")
        session = runtime.open_session(project)
        assert (await session.prompt("begin")).text == "one"
        await runtime.choose(session, model=f"local:{second.url}/second")
        assert (await session.prompt("go on")).text == "two"
        await runtime.aclose()
    said = [message["content"] for message in second.requests[0]["messages"][1:]]
    assert said == ["begin", "one", "go on"]
    assert [event.text for event in session.events if isinstance(event, UserMessage)] == [
        "begin",
        "go on",
    ]


async def test_a_loaded_session_has_the_model_that_was_chosen_for_it(
    project: Path, environ: dict[str, str]
) -> None:
    runtime = Runtime(environ=environ, model="local:x")
    session = runtime.open_session(project)
    await runtime.choose(session, model="test")
    await session.prompt("hello")
    await runtime.aclose()
    again = Runtime(environ=environ, model="local:x")
    loaded = await again.load_session(session.id)
    assert loaded.model == "test"
    assert (await loaded.prompt("hello")).stop_reason == "end_turn"
    await again.aclose()


async def test_the_menu_lists_the_default_the_settings_and_what_answers(
    project: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from punie.agent.models import servers

    (project / "pyproject.toml").write_text('[tool.punie]\nmodel = "openai:gpt-5"\n')
    async with open_fake_server("qwen") as server:
        known = servers.Known(name="x", url=server.url, start="x")
        monkeypatch.setattr(servers, "KNOWN", (known,))
        runtime = Runtime(environ=environ)
        session = runtime.open_session(project)
        before = [choice.value for choice in runtime.models_for(session)]
        assert await runtime.look()
        assert not await runtime.look()
        await runtime.choose(session, model="mlx:elsewhere")
        after = [choice.value for choice in runtime.models_for(session)]
    await runtime.aclose()
    assert before[:2] == ["default", "openai:gpt-5"]
    assert set(before[2:]) <= {"embedded"}
    assert after == [*before, f"local:{server.url}/qwen", "mlx:elsewhere"]


async def test_sessions_that_are_opened_together_look_around_once(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from punie.agent.models import choices

    looks: list[str] = []
    served = choices.ModelChoice("local:x", "x")

    def look_around() -> list[choices.ModelChoice]:
        looks.append("looked")
        return [served]

    monkeypatch.setattr(choices, "look_around", look_around)
    runtime = Runtime(environ=environ)
    assert await asyncio.gather(*[runtime.look() for _ in range(5)]) == [True] * 5
    await runtime.aclose()
    assert looks == ["looked"]
