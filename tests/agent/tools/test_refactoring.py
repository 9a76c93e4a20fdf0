"""Renaming, moving, imports and several edits at once, with the real programs."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG
from punie.agent.tools.language import service
from punie.agent.tools.refactor import edits
from punie.agent.workspaces.local import LocalWorkspace

SHAPES = '''\
"""Shapes."""


class Shape:
    """A Shape."""

    def area(self, scale: int = 1) -> float:
        return 0.0 * scale


class Circle(Shape):
    def area(self, scale: int = 1) -> float:
        return super().area(scale=scale)


def total(shapes: "list[Shape]") -> float:
    return sum(shape.area(scale=1) for shape in shapes)
'''
APP = """\
import geometry.shapes as gs
from geometry import Shape


def f(s: Shape, c: gs.Circle, t) -> float:
    größe = "ü"; return s.area() + t.area() + gs.Shape().area() + c.area() + gs.total([])
"""
TEST = """\
from app import f
from geometry.shapes import Circle, Shape, total


def test_f():
    assert f(Shape(), Circle(), Shape()) == 0
    assert total([]) == 0
"""
SERVERS = {server[0]: server for server in service.SERVERS}


@pytest.fixture(params=["ty", "pyright-langserver"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(service, "SERVERS", (SERVERS[request.param],))
    return request.param


@pytest.fixture
async def project(root: Path, write: Any) -> AsyncIterator[Call]:
    write("src/geometry/__init__.py", 'from geometry.shapes import Shape\n\n__all__ = ["Shape"]\n')
    write("src/geometry/shapes.py", SHAPES)
    write("src/app.py", APP)
    write("tests/test_app.py", TEST)
    workspace = LocalWorkspace(root)
    call = Call(workspace)
    yield call
    await call.services.aclose()
    workspace.close()


async def do(call: Call, name: str, **arguments: Any) -> Any:
    """Preview, then run: what was shown is what is done."""
    tool = CATALOG[name]
    args = tool.parse(arguments)
    assert tool.preview is not None
    shown = await tool.preview(call, args)
    result = await tool.run(call, args)
    assert isinstance(result, tool.result)
    if result.ok:
        for diff in shown:
            assert read(Path(diff.path)) == diff.new_text
    else:
        assert shown == ()
    return result


def passes(root: Path) -> bool:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    env = {"PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(argv, cwd=root, env=env, capture_output=True).returncode == 0


def read(root: Path, path: str = "") -> str:
    return (root / path).read_bytes().decode()


async def test_a_class_is_renamed_in_every_file_and_the_tests_still_pass(
    project: Call, server: str, root: Path
) -> None:
    assert passes(root)
    done = await do(project, "rename_symbol", symbol="geometry.shapes.Shape", new_name="Form")
    assert done.error == ""
    assert done.files == (
        "src/app.py",
        "src/geometry/__init__.py",
        "src/geometry/shapes.py",
        "tests/test_app.py",
    )
    assert read(root, "src/geometry/__init__.py") == (
        'from geometry.shapes import Form\n\n__all__ = ["Form"]\n'
    )
    assert 'def total(shapes: "list[Form]")' in read(root, "src/geometry/shapes.py")
    assert "def f(s: Form, c: gs.Circle, t)" in read(root, "src/app.py")
    assert done.left == ('src/geometry/shapes.py:5: """A Shape."""',)
    assert passes(root)


async def test_a_method_is_renamed_with_those_that_override_it(
    project: Call, server: str, root: Path
) -> None:
    done = await do(project, "rename_symbol", symbol="Shape.area", new_name="surface")
    assert done.error == ""
    shapes = read(root, "src/geometry/shapes.py")
    assert shapes.count("def surface(self") == 2
    assert "super().surface(scale=scale)" in shapes
    assert "shape.surface(scale=1)" in shapes
    assert (
        'größe = "ü"; return s.surface() + t.area() + gs.Shape().surface() + c.surface()'
        in read(root, "src/app.py")
    )
    # What nobody can know is left, and said.
    assert [line.partition(": ")[0] for line in done.left] == ["src/app.py:6"]


async def test_a_name_that_is_taken_is_refused(project: Call, server: str, root: Path) -> None:
    done = await do(project, "rename_symbol", symbol="geometry.shapes.Shape", new_name="Circle")
    assert "Circle is defined already in " in done.error
    assert read(root, "src/geometry/shapes.py") == SHAPES


@pytest.mark.parametrize("new_name", ["class", "two words", "", "a.b", "1st"])
async def test_a_name_that_is_none_is_refused(project: Call, new_name: str) -> None:
    done = await do(project, "rename_symbol", symbol="Shape", new_name=new_name)
    assert done.error == f"{new_name!r} cannot be the name of a symbol: use one plain word"


async def test_line_endings_survive_a_renaming(
    project: Call, server: str, write: Any, root: Path
) -> None:
    write("src/geometry/shapes.py", SHAPES.replace("\n", "\r\n"))
    done = await do(project, "rename_symbol", symbol="Shape.area", new_name="surface")
    assert done.error == ""
    expected = SHAPES.replace("area", "surface").replace("\n", "\r\n")
    assert (root / "src/geometry/shapes.py").read_bytes().decode() == expected


class Full(LocalWorkspace):
    """A disk on which one file cannot be written."""

    async def write_text(self, path: Path, text: str) -> None:
        if path.name == "test_app.py":
            raise OSError(errno.ENOSPC, "No space left on device")
        await super().write_text(path, text)


async def test_when_one_file_cannot_be_written_none_is_changed(
    project: Call, server: str, root: Path
) -> None:
    workspace = Full(root)
    tool = CATALOG["rename_symbol"]
    args = tool.parse({"symbol": "geometry.shapes.Shape", "new_name": "Form"})
    done = await tool.run(Call(workspace, services=project.services), args)
    workspace.close()
    assert not done.ok
    assert "tests/test_app.py cannot be written: " in done.error
    assert done.error.endswith("; nothing changed")
    assert read(root, "src/geometry/shapes.py") == SHAPES
    assert read(root, "src/app.py") == APP


async def test_a_function_moves_to_a_new_module_with_its_imports(project: Call, root: Path) -> None:
    done = await do(project, "move_symbol", symbol="shapes.total", path="src/geometry/sums.py")
    assert done.error == ""
    assert read(root, "src/geometry/sums.py").endswith(
        'def total(shapes: "list[Shape]") -> float:\n'
        "    return sum(shape.area(scale=1) for shape in shapes)\n"
    )
    assert "def total" not in read(root, "src/geometry/shapes.py")
    assert read(root, "src/geometry/shapes.py").startswith('"""Shapes."""\n\n\nclass Shape:')
    assert passes(root)


async def test_moving_out_of_the_project_is_refused(project: Call, root: Path) -> None:
    done = await do(project, "move_symbol", symbol="shapes.total", path="../sums.py")
    assert done.error == f"{root.parent}/sums.py is not a Python file of the project"


@pytest.mark.parametrize(
    ("before", "statement", "after"),
    [
        ('"""Doc."""\n\nx = 1\n', "import os", '"""Doc."""\n\nimport os\n\nx = 1\n'),
        ("import sys\n\nx = 1\n", "import os", "import os\nimport sys\n\nx = 1\n"),
        ("from a import b\n\nx = 1\n", "from a import c", "from a import b, c\n\nx = 1\n"),
        ("import os\n\nx = 1\n", "import  os", "import os\n\nx = 1\n"),
        ("x = 1\n", "from pathlib import Path", "from pathlib import Path\n\nx = 1\n"),
        (
            "import os\n\nx = 1\n",
            "from __future__ import annotations",
            "from __future__ import annotations\n\nimport os\n\nx = 1\n",
        ),
        ("x = 1\r\n", "import os", "import os\r\n\r\nx = 1\r\n"),
    ],
)
async def test_an_import_goes_to_its_place_once(
    project: Call, write: Any, before: str, statement: str, after: str
) -> None:
    file = write("src/m.py", before)
    done = await do(project, "add_import", path="src/m.py", statement=statement)
    assert done.ok
    assert file.read_bytes().decode() == after


@pytest.mark.parametrize("statement", ["x = 1", "import", "import os; import sys", "print()"])
async def test_what_is_no_import_is_not_added(project: Call, write: Any, statement: str) -> None:
    write("src/m.py", "x = 1\n")
    done = await do(project, "add_import", path="src/m.py", statement=statement)
    assert done.error == f"{statement!r} is not one import statement"


async def test_imports_are_sorted_and_unused_ones_go(project: Call, write: Any) -> None:
    file = write("src/m.py", "import sys\nimport os\nimport re\n\nprint(os, re)\n")
    done = await do(project, "organize_imports", path="src/m.py")
    assert done.headline() == "1 place changed in 1 file"
    assert file.read_text() == "import os\nimport re\n\nprint(os, re)\n"
    again = await do(project, "organize_imports", path="src/m.py")
    assert (again.ok, again.headline()) == (True, "nothing to change")


async def test_a_file_is_formatted_by_the_projects_settings(project: Call, write: Any) -> None:
    write("pyproject.toml", '[tool.ruff.format]\nquote-style = "single"\n')
    file = write("src/m.py", 'x = {"a":1}\r\n')
    done = await do(project, "format_file", path="src/m.py")
    assert done.ok
    assert file.read_bytes() == b"x = {'a': 1}\r\n"


async def test_what_does_not_parse_is_not_formatted(project: Call, write: Any) -> None:
    file = write("src/m.py", "x = (\n")
    done = await do(project, "format_file", path="src/m.py")
    assert done.error.startswith("ruff failed: ")
    assert file.read_text() == "x = (\n"


async def test_lint_is_mended_by_the_projects_rules_as_far_as_that_is_safe(
    project: Call, write: Any
) -> None:
    write("pyproject.toml", '[tool.ruff.lint]\nselect = ["F", "UP"]\n')
    file = write("src/m.py", "import os\nimport sys\n\nprint(set([1]), sys, undefined)\n")
    done = await do(project, "fix_lint", path="src/m.py")
    assert done.ok
    assert file.read_text() == "import sys\n\nprint(set([1]), sys, undefined)\n"


async def test_without_ruff_imports_are_not_organized(root: Path, write: Any) -> None:
    write("src/m.py", "import os\n")
    call = Call(LocalWorkspace(root, programs=[]))
    tool = CATALOG["organize_imports"]
    done = await tool.run(call, tool.parse({"path": "src/m.py"}))
    assert done.error == "ruff is not installed in the project's environment: uv add --dev ruff"


async def test_several_edits_are_made_in_one_step(project: Call, write: Any) -> None:
    file = write("x.txt", "one\ntwo\nthree\n")
    pairs = [{"old": "one", "new": "1"}, {"old": "1\ntwo", "new": "1\n2"}]
    done = await do(project, "multi_edit", path="x.txt", edits=pairs)
    assert done.headline() == "2 places changed in 1 file"
    assert file.read_text() == "1\n2\nthree\n"


async def test_one_edit_that_does_not_fit_undoes_none_and_makes_none(
    project: Call, write: Any
) -> None:
    file = write("x.txt", "one\ntwo\n")
    pairs = [{"old": "one", "new": "1"}, {"old": "three", "new": "3"}]
    done = await do(project, "multi_edit", path="x.txt", edits=pairs)
    assert done.error.startswith("nothing was changed: edit 2: old does not occur in the file")
    assert file.read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ("run(run)", "go(run)", {0}),
        ("run runner run", "run2 runner run2", {0, 11}),
        ("run2 = run", "run2 = go", {7}),
        ("run\r\nrun", "go\nrun", {0}),
        ("a run", "b go", set()),
    ],
)
def test_the_places_that_another_tool_replaced(old: str, new: str, places: set[int]) -> None:
    new_name = "run2" if "run2" in new and "run2" not in old else "go"
    assert edits.replaced(old, new, "run", new_name) == places
