"""Imports of a file, and what else ruff puts in order: sorting, formatting, safe fixes."""

from __future__ import annotations

import ast
from pathlib import Path

from punie.agent.tools.base import Call
from punie.agent.tools.paths import display
from punie.agent.tools.programs import not_installed
from punie.agent.tools.refactor.changes import CannotError, Plan, plan_of, texts_of
from punie.agent.tools.replace import like
from punie.agent.workspaces.base import ProgramMissingError

TALKING = 20.0
"""Seconds that ruff may take for one file."""
SORT = "I"
SORT_AND_REMOVE = "I,F401"
"""Order them; and remove those that nothing uses."""
SORT_AND_SPACE = "I,E302,E303,E305,W391"
"""Order them, and put the blank lines where they belong."""


async def plan_add(call: Call, path: Path, statement: str) -> Plan:
    """Work out a file with one more import, in its place.

    Args:
        call: In which workspace.
        path: A Python file.
        statement: Such as `from pathlib import Path`.

    Raises:
        CannotError: The statement is no import, or the file cannot be read.
    """
    wanted = _only_import(statement)
    old = (await texts_of(call.workspace, [path]))[path]
    new = _inserted(old, wanted, display(call.workspace, path))
    note = ""
    if new != old:
        try:
            new = await ruff_fix(call, path, new, SORT)
        except CannotError as error:
            note = f"not sorted: {error}"
    return plan_of(call.workspace, {path: old}, {path: new}, places=1, note=note)


async def plan_organize(call: Call, path: Path) -> Plan:
    """Work out a file with its imports sorted and the unused ones removed.

    Raises:
        CannotError: ruff is missing or fails.
    """
    old = (await texts_of(call.workspace, [path]))[path]
    new = await ruff_fix(call, path, old, SORT_AND_REMOVE)
    return plan_of(call.workspace, {path: old}, {path: new}, places=1)


async def plan_fix(call: Call, path: Path) -> Plan:
    """Work out a file with everything mended that ruff mends safely, by the project's own rules.

    Raises:
        CannotError: ruff is missing or fails.
    """
    old = (await texts_of(call.workspace, [path]))[path]
    new = await _ruff(call, path, old, ["check", "--fix", "--exit-zero"])
    return plan_of(call.workspace, {path: old}, {path: new}, places=1)


async def plan_format(call: Call, path: Path) -> Plan:
    """Work out a formatted file.

    Raises:
        CannotError: ruff is missing or fails, as it does for what does not parse.
    """
    old = (await texts_of(call.workspace, [path]))[path]
    new = await _ruff(call, path, old, ["format"])
    return plan_of(call.workspace, {path: old}, {path: new}, places=1)


async def ruff_fix(call: Call, path: Path, text: str, rules: str) -> str:
    """Let ruff fix some rules of a text, with the project's settings.

    Raises:
        CannotError: It is missing or fails.
    """
    options = ["--select", rules, "--preview", "--fix", "--exit-zero"]
    return await _ruff(call, path, text, ["check", *options])


async def _ruff(call: Call, path: Path, text: str, options: list[str]) -> str:
    argv = ["ruff", *options, "--quiet", "--no-cache", "--stdin-filename", str(path), "-"]
    try:
        child = await call.workspace.start(argv)
    except ProgramMissingError:
        raise CannotError(not_installed("ruff")) from None
    except OSError as error:
        raise CannotError(f"ruff cannot be started: {error}") from error
    try:
        fixed = (await child.talk(text.encode("utf-8"), timeout=TALKING)).decode("utf-8")
    except TimeoutError:
        raise CannotError(f"ruff did not end within {TALKING:g} s and was stopped") from None
    except (OSError, UnicodeError) as error:
        raise CannotError(f"ruff failed: {error}") from error
    finally:
        await child.aclose(patience=5)
    if not fixed and text.strip():
        raise CannotError(f"ruff failed: {child.last_words or 'it printed nothing'}")
    return like(text, fixed)


def _only_import(statement: str) -> str:
    try:
        body = ast.parse(statement.strip()).body
    except (SyntaxError, ValueError):
        body = []
    if len(body) != 1 or not isinstance(body[0], (ast.Import, ast.ImportFrom)):
        raise CannotError(f"{statement!r} is not one import statement")
    return ast.unparse(body[0])


def _inserted(text: str, statement: str, shown: str) -> str:
    """Put an import below the others, or below the docstring; nothing changes if it is there."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise CannotError(f"{shown} does not parse: {error}") from error
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    if any(_covers(node, statement) for node in imports):
        return text
    future = statement.startswith("from __future__ ")
    after = 0
    if imports and not future:
        after = imports[-1].end_lineno or 0
    elif tree.body and ast.get_docstring(tree, clean=False) is not None:
        after = tree.body[0].end_lineno or 0
    lines = text.split("\n")
    ending = "\r" if lines and lines[0].endswith("\r") else ""
    gap = [ending] if after and not imports else []
    return "\n".join([*lines[:after], *gap, statement + ending, *lines[after:]])


def _covers(node: ast.Import | ast.ImportFrom, statement: str) -> bool:
    wanted = ast.parse(statement).body[0]
    if isinstance(node, ast.Import) and isinstance(wanted, ast.Import):
        pass
    elif isinstance(node, ast.ImportFrom) and isinstance(wanted, ast.ImportFrom):
        if (node.module, node.level) != (wanted.module, wanted.level):
            return False
    else:
        return False
    have = {(alias.name, alias.asname) for alias in node.names}
    return {(alias.name, alias.asname) for alias in wanted.names} <= have
