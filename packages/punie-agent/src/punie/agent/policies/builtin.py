"""The built-in checks: syntax after every edit; lint, types and affected tests before a turn ends.

Programs run only where the project uses them: ruff where it is configured, the type checker where
one is, tests where some belong to what was changed. Only what a change brought counts.
"""

from __future__ import annotations

import ast
import asyncio
import difflib
import re
import tomllib
from pathlib import Path, PurePath
from typing import Any, cast

import msgspec
from msgspec import structs

from punie.agent.policies.base import Change, Finding, parse, subtract
from punie.agent.tools.base import Call
from punie.agent.tools.paths import plural
from punie.agent.tools.pytest_runs import RunTests, run_tests
from punie.agent.tools.quality import Typecheck, typecheck
from punie.agent.tools.walk import walk_files
from punie.agent.workspaces.base import ProgramMissingError

MAX_TESTS = 5
"""Test files that are run for one turn."""
LOOKING = 3.0
"""Seconds that looking for affected tests may take."""
TALKING = 20.0
"""Seconds that a program may take for one file."""
TESTING = 60.0
"""Seconds that each test file may take."""
MAX_FINDINGS = 20


def is_python(path: str) -> bool:
    """Tell whether a file is Python."""
    return path.endswith((".py", ".pyi"))


async def syntax(call: Call, change: Change) -> list[Finding]:
    """Find the first thing that Python does not accept.

    A text that this Python refuses is shown to the project's own, which may be newer.
    """
    if not is_python(change.path) or parse(change.new) is not None:
        return []
    try:
        ast.parse(change.new)
    except SyntaxError as error:
        if await _project_accepts(call, change.new):
            return []
        line, message = error.lineno or 1, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        line, message = 1, str(error)
    else:
        return []
    return [Finding(rule="syntax", path=change.path, line=line, message=message)]


async def _project_accepts(call: Call, text: str) -> bool:
    program = "import ast, sys; ast.parse(sys.stdin.buffer.read())"
    try:
        child = await call.workspace.start(["python", "-I", "-c", program])
    except (ProgramMissingError, OSError):
        return False
    try:
        await child.talk(text.encode("utf-8", "replace"), timeout=TALKING)
        return not await child.aclose(patience=5)
    except (OSError, TimeoutError):
        return False
    finally:
        await child.aclose()


async def lint(call: Call, changes: list[Change]) -> list[Finding]:
    """Run the project's ruff over old and new text; what is new counts."""
    if not await asyncio.to_thread(_configured, call.workspace.root, "ruff", ("ruff.toml",)):
        return []
    findings: list[Finding] = []
    for change in changes:
        if is_python(change.path):
            found = await _ruff(call, change.path, change.new)
            before = await _ruff(call, change.path, change.old) if change.old and found else []
            findings += subtract(found, change.new, before, change.old or "")
    return findings


class _Place(msgspec.Struct):
    row: int


class _Ruff(msgspec.Struct):
    message: str
    location: _Place
    code: str | None = None


async def _ruff(call: Call, path: str, text: str) -> list[Finding]:
    options = ["--no-fix", "--no-cache", "--quiet", "--exit-zero", "--output-format", "json"]
    argv = ["ruff", "check", *options, "--stdin-filename", path, "-"]
    try:
        child = await call.workspace.start(argv)
    except (ProgramMissingError, OSError):
        return []  # The tool `lint` says what is missing; a check that cannot run blocks nobody.
    try:
        said = await child.talk(text.encode("utf-8", "replace"), timeout=TALKING)
        found = msgspec.json.decode(said or b"[]", type=list[_Ruff])
    except (OSError, TimeoutError, msgspec.DecodeError):
        return []
    finally:
        await child.aclose(patience=5)
    return [
        Finding(
            rule=f"ruff/{one.code or 'invalid-syntax'}",
            path=path,
            line=one.location.row,
            message=one.message,
        )
        for one in found
    ]


async def types(call: Call, changes: list[Change]) -> list[Finding]:
    """Run the type checker over changed files; errors on changed lines count."""
    names = ("ty.toml", "pyrightconfig.json", "mypy.ini")
    root = call.workspace.root
    configured = [
        await asyncio.to_thread(_configured, root, tool, names)
        for tool in ("ty", "pyright", "basedpyright", "mypy")
    ]
    if not any(configured):
        return []
    findings: list[Finding] = []
    for change in changes:
        if not is_python(change.path):
            continue
        result = await typecheck(call, Typecheck(path=change.path))
        lines = changed_lines(change)
        findings += [
            Finding(rule=f"types/{one.code}", path=change.path, line=one.line, message=one.message)
            for one in result.findings
            if one.severity == "error" and one.line in lines and one.path == change.path
        ]
    return findings


async def tests(call: Call, files: list[str]) -> list[Finding]:
    """Run test files, the first few of them."""
    findings: list[Finding] = []
    for path in files[:MAX_TESTS]:
        result = await run_tests(call, RunTests(path=path), timeout=TESTING)
        if result.error and not result.failures:
            # pytest is missing, or nothing is collected: told, but it blocks nobody.
            findings.append(
                Finding(rule="tests", path=path, line=1, message=result.error, blocking=False)
            )
        findings += [
            Finding(rule="tests", path=path, line=1, message=one.text()) for one in result.failures
        ]
    if len(files) > MAX_TESTS:
        more = plural(len(files) - MAX_TESTS, "more test file")
        findings.append(
            Finding(rule="tests", path=files[0], line=1, message=f"{more} not run", blocking=False)
        )
    return findings


def affected_tests(root: Path, changes: list[Change]) -> list[str]:
    """Find test files by name (`test_x.py` for `x.py`) and by what they import; reads files."""
    python = [change for change in changes if is_python(change.path)]
    stems = {PurePath(change.path).stem for change in python}
    modules = {module for change in python for module in _module_names(change.path)}
    found: list[str] = [change.path for change in python if _is_test(PurePath(change.path))]
    for path in walk_files(root, budget=LOOKING):
        relative = path.relative_to(root)
        if not _is_test(relative) or relative.as_posix() in found:
            continue
        tested = path.stem.removeprefix("test_").removesuffix("_test")
        if tested in stems or _imports(path, modules):
            found.append(relative.as_posix())
    return found if python else []


def _is_test(path: PurePath) -> bool:
    return path.suffix == ".py" and (path.stem.startswith("test_") or path.stem.endswith("_test"))


def _module_names(path: str) -> set[str]:
    parts = [part for part in PurePath(path).with_suffix("").parts if part != "__init__"]
    if "src" in parts:
        parts = parts[parts.index("src") + 1 :]
    return {".".join(parts)} if parts else set()


def _imports(path: Path, modules: set[str]) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="ignore")
    except OSError:
        return False
    return any(
        re.search(rf"^\s*(?:import|from)\s+{re.escape(module)}\b", text, re.MULTILINE)
        or ("." in module and _from_parent(text, module))
        for module in modules
    )


def _from_parent(text: str, module: str) -> bool:
    parent, _, name = module.rpartition(".")
    pattern = rf"^\s*from\s+{re.escape(parent)}\s+import\s+[^\n]*\b{re.escape(name)}\b"
    return re.search(pattern, text, re.MULTILINE) is not None


def changed_lines(change: Change) -> set[int]:
    """Number the lines of the new text that the old one does not have."""
    matcher = difflib.SequenceMatcher(
        a=(change.old or "").split("\n"), b=change.new.split("\n"), autojunk=False
    )
    return {
        line + 1
        for tag, _, _, first, last in matcher.get_opcodes()
        if tag != "equal"
        for line in range(first, last)
    }


def _configured(root: Path, tool: str, files: tuple[str, ...]) -> bool:
    """Tell whether a project says how it uses a tool."""
    if any((root / name).is_file() or (root / f".{name}").is_file() for name in files):
        return True
    try:
        table: Any = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    section: Any = table.get("tool")
    return isinstance(section, dict) and tool in cast("dict[str, object]", section)


def first(findings: list[Finding]) -> list[Finding]:
    """Keep as many as a model can act on; the last one says how many there are more."""
    if len(findings) <= MAX_FINDINGS:
        return findings
    kept = findings[:MAX_FINDINGS]
    more = f"{len(findings) - MAX_FINDINGS} more like these"
    return [*kept[:-1], structs.replace(kept[-1], message=f"{kept[-1].message} ({more})")]
