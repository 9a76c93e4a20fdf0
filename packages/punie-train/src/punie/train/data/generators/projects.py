"""Small real Python projects, built on the fly: modules, tests, git history, and real faults.

Sources are true code with true tests; faults are put in one by one, so that runs of tests, linter
and type checker find something, and each time something else.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from punie.train.data.generators import slots


class Function(NamedTuple):
    """A function and calls with their results."""

    name: str
    source: str
    checks: tuple[tuple[str, str], ...]


def _function(name: str, signature: str, body: str, *checks: str) -> Function:
    pairs = tuple((c.partition(" -> ")[0], c.partition(" -> ")[2]) for c in checks)
    return Function(name, f"def {name}{signature}:\n    {body}\n", pairs)


FUNCTIONS = (
    _function("clamp", "(value: int, low: int, high: int) -> int", "return max(low, min(value, high))",
              "clamp(5, 0, 3) -> 3", "clamp(-1, 0, 3) -> 0", "clamp(2, 0, 3) -> 2"),
    _function("slugify", "(text: str) -> str", 'return "-".join(text.lower().split())',
              "slugify('A b') -> 'a-b'", "slugify('') -> ''", "slugify(' X ') -> 'x'"),
    _function("mean", "(values: list[float]) -> float", "return sum(values) / len(values)",
              "mean([1, 3]) -> 2", "mean([4]) -> 4", "mean([1, 2, 3]) -> 2"),
    _function("dedupe", "(items: list[int]) -> list[int]", "return list(dict.fromkeys(items))",
              "dedupe([1, 1, 2]) -> [1, 2]", "dedupe([]) -> []", "dedupe([3, 2, 3]) -> [3, 2]"),
    _function("chunked", "(items: list[int], size: int) -> list[list[int]]",
              "return [items[i : i + size] for i in range(0, len(items), size)]",
              "chunked([1, 2, 3], 2) -> [[1, 2], [3]]", "chunked([], 2) -> []"),
    _function("flatten", "(rows: list[list[int]]) -> list[int]",
              "return [item for row in rows for item in row]",
              "flatten([[1], [2]]) -> [1, 2]", "flatten([]) -> []", "flatten([[], [4]]) -> [4]"),
    _function("initials", "(name: str) -> str", 'return "".join(part[0] for part in name.split())',
              "initials('Ada Love') -> 'AL'", "initials('') -> ''"),
    _function("is_palindrome", "(text: str) -> bool", "return text == text[::-1]",
              "is_palindrome('abba') -> True", "is_palindrome('ab') -> False"),
    _function("count_words", "(text: str) -> int", "return len(text.split())",
              "count_words('a b c') -> 3", "count_words('') -> 0", "count_words('one') -> 1"),
    _function("celsius", "(fahrenheit: float) -> float", "return (fahrenheit - 32) * 5 / 9",
              "celsius(32) -> 0", "celsius(212) -> 100", "celsius(50) -> 10"),
    _function("rotate", "(items: list[int], by: int) -> list[int]", "return items[by:] + items[:by]",
              "rotate([1, 2, 3], 1) -> [2, 3, 1]", "rotate([], 2) -> []"),
    _function("percent", "(part: float, whole: float) -> float",
              "return 100 * part / whole if whole else 0.0",
              "percent(1, 4) -> 25", "percent(1, 0) -> 0", "percent(3, 4) -> 75"),
    _function("truncate", "(text: str, length: int) -> str",
              'return text if len(text) <= length else text[: length - 1] + "."',
              "truncate('abc', 5) -> 'abc'", "truncate('abcdef', 4) -> 'abc.'"),
    _function("leap_year", "(year: int) -> bool",
              "return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)",
              "leap_year(2024) -> True", "leap_year(1900) -> False", "leap_year(2000) -> True"),
    _function("parse_pair", "(text: str) -> tuple[str, str]",
              'key, _, value = text.partition("=")\n    return key.strip(), value.strip()',
              "parse_pair('a=b') -> ('a', 'b')", "parse_pair('a') -> ('a', '')"),
    _function("transpose", "(rows: list[list[int]]) -> list[list[int]]",
              "return [list(column) for column in zip(*rows)]",
              "transpose([[1, 2], [3, 4]]) -> [[1, 3], [2, 4]]", "transpose([]) -> []"),
    _function("snake_case", "(name: str) -> str",
              'return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")',
              "snake_case('AbC') -> 'ab_c'", "snake_case('x') -> 'x'"),
    _function("total_price", "(prices: list[float], tax: float = 0.0) -> float",
              "return round(sum(prices) * (1 + tax), 2)",
              "total_price([1.5, 2]) -> 3.5", "total_price([10], 0.2) -> 12", "total_price([]) -> 0"),
)  # fmt: skip

_LINT_FAULTS = (
    "import os\n",
    "import sys, json\n",
    "from typing import List, Dict\n",
    "\n\ndef _unused() -> None:\n    leftover = 3\n",
    "\n\ndef _compare(x: object) -> bool:\n    return x == None\n",
    "\n\ndef _swallow() -> None:\n    try:\n        print(1)\n    except:\n        pass\n",
    '\n\nLABEL = f"constant"\n',
    "\n\ndef _ambiguous() -> int:\n    l = 1\n    return l\n",
    "\n\ndef _flag(x: bool) -> bool:\n    return x == True\n",
    "\n\nhandler = lambda event: event\n",
)
_TYPE_FAULTS = (
    "\n\ndef broken_return() -> int:\n    return 'text'\n",
    "\n\nLIMIT: int = 'ten'\n",
    "\n\ndef broken_call() -> str:\n    return len(5)\n",
    "\n\ndef broken_attribute(value: int) -> int:\n    return value.missing\n",
    "\n\ndef broken_none(name: str | None) -> str:\n    return name.upper()\n",
    "\n\ndef broken_argument() -> str:\n    return ' '.join(3)\n",
)
_TEST_EXTRAS = (
    "\n\n@pytest.mark.skip(reason='needs a server')\ndef test_{n}_online():\n    assert True\n",
    "\n\n@pytest.mark.xfail(reason='known bug')\ndef test_{n}_known_bug():\n    assert 1 == 2\n",
    "\n\n@pytest.fixture\ndef {n}_store():\n    raise RuntimeError('no {n} store')\n\n\n"
    "def test_{n}_store({n}_store):\n    assert {n}_store\n",
    "\n\n@pytest.mark.parametrize('size', [{sizes}])\ndef test_{n}_size(size):\n    assert size < {top}\n",
)
_PACKAGES = "click structlog json_repair pluggy iniconfig packaging pathspec platformdirs idna h11"
PACKAGES = tuple(_PACKAGES.split())
"""Installed packages that make good repositories."""


class Project(Struct, frozen=True, kw_only=True):
    """A folder with a repository in it."""

    name: str
    root: Path
    modules: tuple[str, ...]
    """Python files, relative."""
    tests: tuple[str, ...]
    """Test files, relative."""
    folders: tuple[str, ...]
    others: tuple[str, ...] = ()
    """Files in other languages, relative: read and searched, never checked."""


def build(root: Path, rng: random.Random) -> Project:
    """Write a project with modules, tests and a commit.

    Args:
        root: Made; must not exist.
        rng: Decides names, sizes and faults.
    """
    package = rng.choice(slots.WORDS) + rng.choice(("kit", "box", "lib", "core", "app", "s"))
    prefix = rng.choice(("src/", "", "lib/"))
    modules: list[str] = []
    tests: list[str] = []
    functions = rng.sample(FUNCTIONS, rng.randrange(4, 15))
    while functions:
        size = rng.randrange(1, 5)
        group, functions = functions[:size], functions[size:]
        stem = f"{rng.choice(slots.WORDS)}_{group[0].name.split('_')[0]}"
        folder = f"{prefix}{package}" + rng.choice(("", "", f"/{rng.choice(slots.PARTS)}"))
        module = f"{folder}/{stem}.py"
        test_folder = "tests" + rng.choice(("", "", "/unit", f"/{rng.choice(slots.PARTS)}"))
        test = f"{test_folder}/test_{stem}.py"
        _write(root / module, _module(stem, group, rng))
        _write(root / test, _tests(module, stem, group, rng))
        modules.append(module)
        tests.append(test)
    _write(root / "README.md", f"# {package}\n\nA small package with {len(modules)} modules.\n")
    _write(
        root / "pyproject.toml",
        f'[project]\nname = "{package}"\nversion = "0.{rng.randrange(9)}.0"\n',
    )
    _write(root / "conftest.py", '"""Shared by all tests."""\n')
    commit_all(root, "Start")
    return _project(root, package, modules, tests)


def copy_package(name: str, root: Path) -> Project | None:
    """Copy an installed package as a repository, if it is there."""
    source = Path(sysconfig.get_path("purelib"), name)
    if not source.is_dir():
        return None
    shutil.copytree(
        source, root / "src" / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyc")
    )
    commit_all(root, f"Import {name}")
    return project_of(root, name)


def project_of(root: Path, name: str, *, suffixes: tuple[str, ...] = ()) -> Project:
    """Describe a repository without tests.

    Args:
        root: Its folder.
        name: What it is called.
        suffixes: Endings of files that are asked about besides `.py`.
    """
    files = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    modules = [path for path in files if path.endswith(".py")]
    others = tuple(path for path in files if path.endswith(suffixes)) if suffixes else ()
    return msgspec.structs.replace(_project(root, name, modules, []), others=others)


def commit_all(root: Path, message: str) -> None:
    """Commit everything, making the repository first when there is none."""
    if not (root / ".git").is_dir():
        git(root, "init", "-q", "-b", "main")
        git(root, "config", "user.name", "Punie")
        git(root, "config", "user.email", "punie@example.org")
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)


def git(root: Path, *arguments: str) -> None:
    """Run git and insist on success."""
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def dirty(project: Project, rng: random.Random) -> None:
    """Leave the working tree in a new state: other branch, edits, staged and untracked files."""
    root = project.root
    git(root, "reset", "-q", "--hard")
    git(root, "clean", "-qfd")
    topic = f"{rng.choice(('feature', 'fix', 'wip'))}/{rng.choice(slots.VERBS)}-{rng.choice(slots.WORDS)}"
    git(root, "checkout", "-q", "-B", rng.choice(("main", "main", topic)))
    edited = rng.sample(project.modules, min(len(project.modules), rng.randrange(0, 5)))
    for path in edited:
        with (root / path).open("a", encoding="utf-8") as file:
            file.write(f"\nREVISION = {rng.randrange(1000)}\n")
        if rng.random() < 0.35:
            git(root, "add", path)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        _write(root / slots.path(rng.choice(("file", "code")), rng), "new\n")
    if rng.random() < 0.15 and project.tests:
        git(root, "rm", "-q", "-f", rng.choice(project.tests))


def _project(root: Path, name: str, modules: list[str], tests: list[str]) -> Project:
    folders = {str(Path(p).parent) for p in [*modules, *tests]} | {p.split("/")[0] for p in modules}
    if tests:
        folders.add("tests")
    folders.discard(".")
    return Project(
        name=name,
        root=root,
        modules=tuple(modules),
        tests=tuple(tests),
        folders=tuple(sorted(folders)),
    )


def _module(stem: str, group: list[Function], rng: random.Random) -> str:
    text = f'"""{stem.replace("_", " ").capitalize()}: {", ".join(f.name for f in group)}."""\n\n'
    if rng.random() < 0.4:
        text += "".join(f for f in rng.sample(_LINT_FAULTS[:3], rng.randrange(1, 3)))
    text += "\n\n" + "\n\n".join(function.source for function in group)
    if rng.random() < 0.35:
        text += "".join(rng.sample(_LINT_FAULTS[3:], rng.randrange(1, 4)))
    if rng.random() < 0.45:
        text += "".join(rng.sample(_TYPE_FAULTS, rng.randrange(1, 4)))
    return text


def _tests(module: str, stem: str, group: list[Function], rng: random.Random) -> str:
    text = _loader(module)
    for function in group:
        for number, (expression, expected) in enumerate(function.checks, 1):
            if rng.random() < 0.14:
                expected = rng.choice(("7", "'no'", "None", "[9]"))
            text += f"\n\ndef test_{function.name}_{number}():\n    assert module.{expression} == {expected}\n"
    if rng.random() < 0.5:
        sizes = [rng.randrange(1, 9) for _ in range(rng.randrange(2, 7))]
        name = stem.split("_")[0]
        text += rng.choice(_TEST_EXTRAS).format(
            n=name, sizes=", ".join(map(str, dict.fromkeys(sizes))), top=rng.choice((6, 9, 20))
        )
    return "import missing_module\n" + text if rng.random() < 0.06 else text


def _loader(module: str) -> str:
    """Import the module under test by its place, since nothing is installed."""
    return (
        "import importlib.util\n\nimport pytest\n\n"
        f"_spec = importlib.util.spec_from_file_location('module', {module!r})\n"
        "module = importlib.util.module_from_spec(_spec)\n"
        "_spec.loader.exec_module(module)\n"
    )


def _write(path: Path, text: str) -> None:
    if path.parent.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
