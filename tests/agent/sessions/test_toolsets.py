"""Tools of other distributions: the one in `examples/toolset`, and ones that are broken."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from punie.agent.codemode import sandbox
from punie.agent.codemode.stubs import stubs_of
from punie.agent.errors import ConfigError
from punie.agent.events import DiffContent, Notice, ToolCallUpdate
from punie.agent.models.spec import ModelSpec
from punie.agent.policies.load import load_installed
from punie.agent.runtime import Runtime
from punie.agent.skills import skill_tool
from punie.agent.testing import Answers, Call
from punie.agent.tools import catalog, toolsets
from punie.agent.tools.catalog import CATALOG, select
from punie.agent.tools.results import Result

EXAMPLE = Path(__file__).parents[3] / "examples" / "toolset"
ALL = ModelSpec(spec="test", tools=("core", "todos"))
TEXT = "import os  # TODO: sort\n# TODO: drop me\nx = 1\n"


def install(site: Path, name: str, groups: dict[str, dict[str, str]]) -> None:
    """Write what an installer writes of a distribution and its entry points."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder in which distributions are installed, for this process and those it starts."""
    folder = tmp_path_factory.mktemp("site")
    source = str(EXAMPLE / "src")
    monkeypatch.setattr(sys, "path", [str(folder), source, *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), source]))
    toolsets.installed.cache_clear()
    yield folder
    toolsets.installed.cache_clear()


@pytest.fixture
def example(site: Path) -> None:
    """The example, installed as its own pyproject.toml says."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(site, project["name"], project["entry-points"])


@pytest.fixture
def plug(site: Path) -> Callable[..., None]:
    """Install one toolset: `plug("name", source)`; its entry point names the module."""

    def install_one(name: str, source: str) -> None:
        sys.modules.pop(f"{name}_module", None)
        (site / f"{name}_module.py").write_text(source)
        install(site, f"dist-{name}", {toolsets.GROUP: {name: f"{name}_module"}})

    return install_one


@pytest.mark.usefixtures("example")
async def test_a_model_calls_a_tool_of_another_distribution(play: Callable[..., Any]) -> None:
    scene = play([[Call("todos", {"path": "a.py"})], ["two"]], spec=ALL)
    (scene.root / "a.py").write_text(TEXT)
    await scene.session.prompt("which?")
    (part,) = scene.requests[1][0][-1].parts
    assert part.model_response_str() == "2 TODO comments in a.py\n1: sort\n2: drop me"


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(
    ("kind", "left"), [("allow_once", "import os  # TODO: sort\nx = 1\n"), ("reject_once", TEXT)]
)
async def test_it_is_shown_and_asked_about_as_any_other(
    play: Callable[..., Any], kind: str, left: str
) -> None:
    person = Answers(kind)
    call = Call("drop_todo", {"path": "a.py", "text": "drop me"})
    scene = play([[call], ["done"]], spec=ALL, person=person)
    file = scene.root / "a.py"
    file.write_text(TEXT)
    await scene.session.prompt("drop it")
    (shown, *_) = scene.heard.of(ToolCallUpdate)
    changed = DiffContent(
        path=str(file), old_text=TEXT, new_text="import os  # TODO: sort\nx = 1\n"
    )
    assert shown.content == (changed,)
    assert [ask.title for ask in person.asked] == ["Take a TODO comment out of a.py"]
    assert file.read_text() == left


@pytest.mark.usefixtures("example")
async def test_what_it_reaches_outside_the_project_is_asked_about(
    play: Callable[..., Any],
) -> None:
    scene = play([[Call("todos", {"path": "../a.py"})], ["no"]], spec=ALL)
    outcome = await scene.session.prompt("which?")
    assert outcome.denied


@pytest.mark.usefixtures("example")
async def test_what_it_changed_can_be_taken_back(process: Callable[..., Any], root: Path) -> None:
    (root / "a.py").write_text(TEXT)
    call = Call("drop_todo", {"path": "a.py", "text": "drop me"})
    async with process([[call], ["done"]], mode="edit", spec=ALL) as here:
        session = here.open()
        await session.prompt("drop it")
        assert (root / "a.py").read_text() != TEXT
        await session.undo()
    assert (root / "a.py").read_text() == TEXT


@pytest.mark.usefixtures("example")
@pytest.mark.skipif(not sandbox.installed(), reason="the sandbox is not installed")
async def test_code_of_the_model_calls_it_typed_and_through_the_gate(
    play: Callable[..., Any],
) -> None:
    code = 'for todo in (await todos("a.py"))["todos"]:\n    await drop_todo("a.py", todo["text"])'
    spec = ModelSpec(spec="test", tools=("core", "todos"), code_mode=True)
    person = Answers("allow_once")
    scene = play([[Call("execute_python", {"code": code})], ["done"]], spec=spec, person=person)
    (scene.root / "a.py").write_text(TEXT)
    await scene.session.prompt("drop them")
    await scene.session.aclose()
    assert len(person.asked) == 2
    assert (scene.root / "a.py").read_text() == "import os\nx = 1\n"


@pytest.mark.usefixtures("example")
def test_its_policy_finds_what_a_change_brings() -> None:
    loaded = load_installed()
    assert loaded.broken == {}
    assert "todos/new" in {policy.name for policy in loaded.policies}


@pytest.mark.usefixtures("example")
async def test_a_session_is_offered_it_without_being_told_to(tmp_path: Path) -> None:
    runtime = Runtime(model="test", environ={"HOME": str(tmp_path)})
    brain = await runtime.brain(tmp_path)
    assert [tool for tool in brain.tools if tool not in CATALOG] == ["todos", "drop_todo"]
    await runtime.aclose()


@pytest.mark.usefixtures("example")
def test_what_a_spec_leaves_open_is_the_same_wherever_punie_runs() -> None:
    """Training and evaluation choose so, and must not depend on what is installed beside them."""
    assert {tool.name for tool in select(())} <= set(CATALOG)


def test_the_tool_of_the_documentation_fits(plug: Callable[..., None]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text()
    plug("documented", page.partition("```python\n")[2].partition("```")[0])
    loaded = catalog.plugged_in()
    assert (loaded.broken, list(loaded.tools)) == ({}, ["count_lines"])


@pytest.mark.usefixtures("example")
def test_it_can_be_chosen_whole_by_name_or_with_some_arguments() -> None:
    assert [tool.name for tool in select(["todos"])] == ["todos", "drop_todo"]
    (tool,) = select(["drop_todo(path,text)"])
    assert tool.shown == ("path", "text")


TOOL = """
from msgspec import Struct
from punie.agent.tools.base import Tool
from punie.agent.tools.results import Result

class Args(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: str = "."

async def run(call, args):
    return Result(ok=True)

def tool(**changes):
    said = dict(name="wrecked", kind="read", risk="read", description="Do it.", arguments=Args,
                result=Result, run=run, title=lambda args: "Do it", path_arguments=("path",))
    return Tool(**(said | changes))

"""
BROKEN = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "raise SystemExit": "SystemExit",
    "import nothing_like_it": "ModuleNotFoundError: No module named 'nothing_like_it'",
    "": "wreck_module holds no tool",
    TOOL + 'A = tool(name="Bad Name")': "the tool 'Bad Name' needs a name of small letters",
    TOOL + 'A = tool(name="read_file")': "the tool 'read_file' has a name that is taken",
    TOOL + 'A = tool(name="skill")': "the tool 'skill' has a name that is taken",
    TOOL + "A, B = tool(), tool()": "the tool 'wrecked' has a name that is taken",
    TOOL + 'A = tool(risk="none")': "the tool 'wrecked' has an unknown risk 'none'",
    TOOL + 'A = tool(kind="none")': "the tool 'wrecked' has an unknown kind 'none'",
    TOOL + 'A = tool(risk="write")': "the tool 'wrecked' changes files, so it needs a preview",
    TOOL + "A = tool(result=dict)": "the tool 'wrecked' has a result that is no",
    TOOL + "A = tool(arguments=dict)": "the tool 'wrecked' has arguments that are no",
    TOOL + 'A = tool(group="navigation")': "the tool 'wrecked' cannot join the group",
    TOOL + "A = tool(path_arguments=())": "the tool 'wrecked' does not name path among its",
    TOOL + 'A = tool(copied_arguments=("x",))': "the tool 'wrecked' names an argument 'x'",
    TOOL
    + "class More(Args, frozen=True, kw_only=True):\n    at: float = 0\nA = tool(arguments=More)": (
        "the tool 'wrecked' has arguments that are not all str, int, bool or a tuple"
    ),
    TOOL + 'class Open(Struct):\n    path: str = ""\nA = tool(arguments=Open)': (
        "the tool 'wrecked' takes arguments that nobody declared"
    ),
}


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(("source", "reason"), BROKEN.items(), ids=range(len(BROKEN)))
def test_one_that_does_not_fit_is_left_out_with_its_reason_and_the_others_work(
    plug: Callable[..., None], source: str, reason: str
) -> None:
    plug("wreck", source)
    loaded = catalog.plugged_in()
    assert list(loaded.broken) == ["wreck"]
    assert loaded.broken["wreck"].startswith(reason)
    assert list(loaded.tools) == ["todos", "drop_todo"]
    with pytest.raises(ConfigError, match="the toolset wreck cannot be used: "):
        select(["wreck"])


async def test_the_person_is_told_once_what_is_broken(
    play: Callable[..., Any], plug: Callable[..., None]
) -> None:
    plug("rubble", "1 / 0")
    scene = play([["hi"], ["again"]])
    await scene.session.prompt("hello")
    await scene.session.prompt("hello")
    (notice,) = scene.heard.of(Notice)
    assert (notice.title, notice.description) == (
        "The toolset rubble cannot be used",
        "ZeroDivisionError: division by zero",
    )


@pytest.mark.parametrize("wrong", ["raise SystemExit(3)", "return None", "raise ValueError"])
async def test_a_tool_that_breaks_when_it_runs_costs_one_call(
    play: Callable[..., Any], plug: Callable[..., None], wrong: str
) -> None:
    plug("late", TOOL.replace("return Result(ok=True)", wrong) + "A = tool()")
    spec = ModelSpec(spec="test", tools=("late",))
    scene = play([[Call("wrecked")], ["I see"]], spec=spec)
    outcome = await scene.session.prompt("do it")
    assert outcome.text == "I see"
    assert [call.ok for call in outcome.tool_calls] == [False]


def test_of_two_with_the_same_name_the_first_distribution_counts(site: Path) -> None:
    (site / "one.py").write_text(TOOL + 'A = tool(name="first")')
    (site / "two.py").write_text(TOOL + 'A = tool(name="second")')
    install(site, "b-dist", {toolsets.GROUP: {"same": "two"}})
    install(site, "a-dist", {toolsets.GROUP: {"same": "one"}})
    loaded = toolsets.load(entry_points(group=toolsets.GROUP), ())
    assert list(loaded.tools) == ["first"]


@pytest.mark.usefixtures("example")
def test_punie_plugins_lists_it_and_what_is_broken(plug: Callable[..., None], site: Path) -> None:
    plug("ruin", TOOL + 'A = tool(risk="write")')
    (site / "nothing.py").write_text("here = 3")
    install(
        site,
        "dist-nothing",
        {"punie.policies": {"none": "nothing"}, "punie.panels": {"none": "nothing:here"}},
    )
    ran = subprocess.run(
        [sys.executable, "-m", "punie", "plugins", "--json"],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    reasons = {(row["group"], row["name"]): row["reason"] for row in rows}
    assert reasons["punie.toolsets", "todos"] == ""
    assert reasons["punie.policies", "todos"] == ""
    assert reasons["punie.toolsets", "ruin"].startswith("the tool 'wrecked' changes files")
    assert reasons["punie.policies", "none"] == "it holds no policy"
    assert reasons["punie.panels", "none"] == "it is no folder"


def test_names_that_sessions_add_are_reserved() -> None:
    added = [skill_tool({}), sandbox.code_tool({})]
    assert {name for tool in added for name in (tool.name, tool.group)} <= catalog.RESERVED


def test_types_of_two_makes_with_the_same_name_stay_apart() -> None:
    class SearchResult(Result, frozen=True, kw_only=True):
        colour: str = ""

    other = dataclasses.replace(CATALOG["search"], name="paint", result=SearchResult)
    stubs = stubs_of([CATALOG["search"], other])
    assert "-> SearchResult: ..." in stubs
    assert "async def paint(query: str, path: str = '.') -> SearchResult2: ..." in stubs
    assert "class SearchResult2(TypedDict):\n    ok: bool\n    error: str\n    colour: str" in stubs


def test_a_field_that_code_mode_does_not_know_is_an_object() -> None:
    class Dated(Result, frozen=True, kw_only=True):
        at: Path = Path()
        more: tuple[Struct, ...] = ()

    assert "    at: object" in stubs_of([dataclasses.replace(CATALOG["search"], result=Dated)])
