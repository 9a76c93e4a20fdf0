"""Finding one's way by names, asked of real language servers."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG
from punie.agent.tools.language import service
from punie.agent.tools.language.service import Languages
from punie.agent.workspaces.local import LocalWorkspace

SHAPES = '''\
"""Shapes."""


class Shape:
    """Something with an area."""

    def area(self, scale: int = 1) -> float:
        """Tell how large it is."""
        return 0.0 * scale


def total(shapes: list[Shape]) -> float:
    return sum(shape.area() for shape in shapes)
'''
USER = """\
from geometry import Shape


def area() -> float:
    größe = "ü"; return Shape().area()
"""

SERVERS = {server[0]: server for server in service.SERVERS if server[0] != "pylsp"}


@pytest.fixture(params=["ty", "pyright-langserver"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each answer must come from each server."""
    monkeypatch.setattr(service, "SERVERS", (SERVERS[request.param],))
    return request.param


@pytest.fixture
async def asked(root: Path, write: Any) -> AsyncIterator[Call]:
    write("src/geometry/__init__.py", "from geometry.shapes import Shape as Shape\n")
    write("src/geometry/shapes.py", SHAPES)
    write("src/app/user.py", USER)
    workspace = LocalWorkspace(root)
    call = Call(workspace)
    yield call
    await call.services.aclose()
    workspace.close()


async def ask(call: Call, name: str, **arguments: Any) -> Any:
    tool = CATALOG[name]
    result = await tool.run(call, tool.parse(arguments))
    assert isinstance(result, tool.result)
    return result


@pytest.mark.parametrize(
    "name",
    ["geometry.shapes.Shape.area", "shapes.Shape.area", "Shape.area", "geometry.Shape.area"],
)
async def test_a_method_is_found_by_its_whole_name_or_the_end_of_it(
    asked: Call, server: str, name: str
) -> None:
    """`geometry.Shape` is imported from elsewhere under that name."""
    found = await ask(asked, "definition", symbol=name)
    assert (found.error, found.symbol) == ("", "geometry.shapes.Shape.area")
    assert (found.path, found.line, found.end_line) == ("src/geometry/shapes.py", 7, 9)
    assert found.source.splitlines()[0] == "    def area(self, scale: int = 1) -> float:"


async def test_a_name_that_fits_several_symbols_lists_them(asked: Call, server: str) -> None:
    found = await ask(asked, "definition", symbol="area")
    assert found.error == "2 symbols are called area: use the whole name of one"
    assert sorted(place.shown() for place in found.choices) == [
        "src/app/user.py:4: function app.user.area",
        "src/geometry/shapes.py:7: method geometry.shapes.Shape.area",
    ]
    assert not found.ok


async def test_a_name_that_is_not_there_gets_near_ones(asked: Call, server: str) -> None:
    found = await ask(asked, "definition", symbol="geometry.shapes.total_area")
    assert found.error == (
        "the project defines no symbol geometry.shapes.total_area; "
        "did you mean geometry.shapes.total?"
    )


async def test_uses_are_found_across_files(asked: Call, server: str) -> None:
    found = await ask(asked, "references", symbol="Shape.area")
    assert found.headline() == "3 references to geometry.shapes.Shape.area in 2 files"
    assert [(place.path, place.line) for place in found.places] == [
        ("src/app/user.py", 5),
        ("src/geometry/shapes.py", 7),
        ("src/geometry/shapes.py", 13),
    ]
    assert found.places[0].text == 'größe = "ü"; return Shape().area()'


async def test_hover_shows_signature_and_documentation(asked: Call, server: str) -> None:
    found = await ask(asked, "hover", symbol="Shape.area")
    assert "scale: int" in found.text
    assert "Tell how large it is." in found.text


async def test_an_outline_lists_what_a_file_defines(asked: Call, server: str) -> None:
    found = await ask(asked, "outline", path="src/geometry/shapes.py")
    names = {place.name: (place.kind, place.line) for place in found.places}
    assert names["Shape"] == ("class", 4)
    assert names["Shape.area"] == ("method", 7)
    assert names["total"] == ("function", 12)


async def test_symbols_are_found_by_a_part_of_their_name(asked: Call, server: str) -> None:
    found = await ask(asked, "symbols", query="total")
    assert [(place.path, place.kind, place.line) for place in found.places] == [
        ("src/geometry/shapes.py", "function", 12)
    ]


async def test_diagnostics_are_those_of_the_text_that_was_written_last(
    asked: Call, server: str, write: Any
) -> None:
    clean = await ask(asked, "diagnostics", path="src/geometry/shapes.py")
    assert (clean.ok, clean.headline()) == (True, "no problems")
    write("src/geometry/shapes.py", SHAPES.replace("return 0.0 * scale", "return 'nothing'"))
    broken = await ask(asked, "diagnostics", path="src/geometry/shapes.py")
    assert (broken.ok, broken.errors, broken.findings[0].line) == (False, 1, 9)
    write("src/geometry/shapes.py", SHAPES)
    assert (await ask(asked, "diagnostics", path="src/geometry/shapes.py")).ok


async def test_a_file_that_changed_on_disk_is_seen_in_others(
    asked: Call, server: str, write: Any
) -> None:
    await ask(asked, "definition", symbol="Shape.area")
    write("src/app/more.py", "from geometry.shapes import total\n\ntotal([])\n")
    found = await ask(asked, "references", symbol="geometry.shapes.total")
    assert "src/app/more.py" in {place.path for place in found.places}


class Unsaved(LocalWorkspace):
    """An editor in which one file was changed and not saved."""

    text: str = ""

    async def read_text(self, path: Path) -> str:
        return self.text if path.name == "user.py" else await super().read_text(path)


async def test_unsaved_text_is_what_the_server_answers_about(
    asked: Call, server: str, root: Path
) -> None:
    workspace = Unsaved(root)
    workspace.text = USER + "\n\ndef later() -> int:\n    return 'text'\n"
    call = Call(workspace, services=asked.services)
    found = await ask(call, "definition", symbol="app.user.later")
    assert (found.line, found.source) == (8, "def later() -> int:\n    return 'text'")
    assert (await ask(call, "diagnostics", path="src/app/user.py")).errors == 1
    workspace.close()


async def test_a_server_that_crashed_is_started_again(asked: Call, server: str) -> None:
    await ask(asked, "definition", symbol="Shape.area")
    languages = asked.services.find(Languages)
    assert languages is not None
    first = languages.server
    assert first is not None
    assert first._peer is not None
    os.killpg(first._peer._child.pid, signal.SIGKILL)
    found = await ask(asked, "definition", symbol="Shape.area")
    assert found.ok
    assert languages.server is not first


async def test_the_server_ends_with_the_session(asked: Call, server: str) -> None:
    await ask(asked, "outline", path="src/app/user.py")
    languages = asked.services.find(Languages)
    assert languages is not None
    assert languages.server is not None
    peer = languages.server._peer
    await asked.services.aclose()
    assert peer is not None
    assert not peer._child.running


@pytest.fixture
def bare(root: Path) -> Iterator[Call]:
    workspace = LocalWorkspace(root, programs=[])
    yield Call(workspace)
    workspace.close()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("definition", {"symbol": "a.b"}),
        ("references", {"symbol": "a.b"}),
        ("hover", {"symbol": "a.b"}),
        ("outline", {"path": "pyproject.toml"}),
        ("symbols", {"query": "a"}),
        ("diagnostics", {"path": "pyproject.toml"}),
    ],
)
async def test_without_a_server_the_result_says_how_to_get_one(
    bare: Call, name: str, arguments: dict[str, str]
) -> None:
    found = await ask(bare, name, **arguments)
    assert not found.ok
    assert found.error == (
        "no language server is installed in the project's environment: uv add --dev ty"
    )


async def test_a_server_that_fails_at_once_says_why(root: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ty").write_text("#!/bin/sh\necho 'no licence' >&2\nexit 3\n")
    (programs / "ty").chmod(0o755)
    workspace = LocalWorkspace(root, programs=[programs])
    call = Call(workspace)
    for _ in range(2):
        found = await ask(call, "outline", path="pyproject.toml")
        assert found.error == "the language server ty does not come up: it ended: no licence"
    workspace.close()
