"""What the tree promises: one namespace, small modules, docstrings, nothing of one machine."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

LONGEST = 400
"""Lines of a module."""
LONGEST_TEST = 700
"""Lines of a file of tests: it grows by cases, not by ideas."""

ALLOWED_LONGER: dict[str, int] = {}
"""Modules that are longer, with their length: entries may only shrink or go."""

PLACES = re.compile(
    "|".join([
        r"(?<![\w.~])/(?:work|root)/",
        # In two pieces, because this file must not name such a place either.
        r"\bpypi\." r"(?:org|python)",
        r"python" r"hosted",
        r"debian\." r"org",
        r"npm" r"js",
    ])
)
"""Paths of one machine and hosts of package registries."""


def sources(tracked: tuple[Path, ...]) -> list[Path]:
    """The Python modules that the distributions ship."""
    return [path for path in tracked if path.suffix == ".py" and "src" in path.parts]


def test_there_are_modules_to_look_at(tracked: tuple[Path, ...]) -> None:
    assert {path.parts[1] for path in sources(tracked) if path.parts[0] == "packages"} == {
        "punie-acp",
        "punie-agent",
        "punie-cli",
        "punie-http",
        "punie-train",
    }


def test_the_namespace_belongs_to_no_distribution(tracked: tuple[Path, ...]) -> None:
    assert [path for path in tracked if path.parts[-3:] == ("src", "punie", "__init__.py")] == []


def test_every_package_says_that_it_is_typed(root: Path) -> None:
    folders = sorted(root.glob("packages/*/src/punie/*/__init__.py"))
    assert len(folders) == 5
    assert [init for init in folders if not (init.parent / "py.typed").is_file()] == []


def test_pytest_is_given_every_folder_of_tests(root: Path, tracked: tuple[Path, ...]) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = {"/".join(p.parts[:2]) for p in tracked if p.parts[0] == "tests" and len(p.parts) > 2}
    assert sorted(settings["testpaths"]) == sorted(folders)


def test_no_module_grows_long(root: Path, tracked: tuple[Path, ...]) -> None:
    modules = [path for path in tracked if path.suffix == ".py"]
    lengths = {path: len((root / path).read_text().splitlines()) for path in modules}
    longer = {str(path): length for path, length in lengths.items() if length > limit(path)}
    assert longer == ALLOWED_LONGER


def limit(path: Path) -> int:
    return LONGEST_TEST if path.parts[0] == "tests" else LONGEST


def test_every_module_says_what_it_is_for(root: Path, tracked: tuple[Path, ...]) -> None:
    silent = [
        str(path)
        for path in tracked
        if path.suffix == ".py" and not ast.get_docstring(ast.parse((root / path).read_text()))
    ]
    assert silent == []


def test_nothing_names_one_machine_or_a_registry(root: Path, tracked: tuple[Path, ...]) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path in tracked
        if path != Path("uv.lock") and (text := text_of(root / path)) is not None
        for number, line in enumerate(text.splitlines(), 1)
        if PLACES.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "parts", [("see /", "work/x"), ("from pypi", ".org"), ("at /", "root/.cache")]
)
def test_a_path_of_one_machine_would_be_found(parts: tuple[str, str]) -> None:
    assert PLACES.search("".join(parts))


@pytest.mark.parametrize("line", ["packages/work/x", "~/work" + "/", "a pypi package", "./root/x"])
def test_an_ordinary_path_is_fine(line: str) -> None:
    assert not PLACES.search(line)


def text_of(path: Path) -> str | None:
    """The text of a file; `None` for a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
