"""What a policy is: a small function from a change to findings, and how one is run.

A finding counts only when the change brought it: what was there before is left alone. Reads no
file and starts no program.
"""

from __future__ import annotations

import ast
import fnmatch
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct, structs

_T_STRING = re.compile(r"""(?<![\w"'])(?:[tT][rR]?|[rR][tT])(?=["'])""")
"""The prefix of a template string, which Python knows since 3.14."""


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a policy does not accept."""

    line: int
    """1-based."""
    message: str
    suggestion: str = ""
    """What to do, one clause."""
    blocking: bool = True
    """Whether the turn may not end with it; else it is only told."""
    rule: str = ""
    """Filled in: the policy's name."""
    path: str = ""
    """Filled in: the file, relative to the root."""

    def text(self) -> str:
        """Write it as programs do: `path:line: rule message; suggestion`."""
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"{self.path}:{self.line}: {self.rule} {self.message}{hint}"


class Change(Struct, frozen=True, kw_only=True):
    """One file before and after."""

    path: str
    """Relative to the root, with forward slashes."""
    old: str | None
    """`None` for a new file."""
    new: str

    @property
    def tree(self) -> ast.Module:
        """The new text, parsed; an empty module when it does not parse."""
        return parse(self.new) or ast.Module(body=[], type_ignores=[])

    def imports(self, *modules: str) -> bool:
        """Tell whether the new text imports any of some packages."""
        return not _imported(self.new).isdisjoint(modules)

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Find calls of some functions, named as in the code: `print`, `app.run`, or `.save`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and named(node.func, *names):
                yield node

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Find every function."""
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node


Check: TypeAlias = Callable[[Change], Iterable[Finding]]


@dataclass(frozen=True)
class Policy:
    """A check with its name."""

    name: str
    """The rule id that its findings carry, such as `fastapi/depends-called`."""
    check: Check
    files: tuple[str, ...] = ("*.py",)
    """Patterns for the file's name or its path from the root."""

    def applies(self, path: str) -> bool:
        """Tell whether the policy looks at a file."""
        name = path.rpartition("/")[2]
        return any(fnmatch.fnmatch(name, one) or fnmatch.fnmatch(path, one) for one in self.files)

    def __call__(self, change: Change) -> list[Finding]:
        """Find what a change brought that was not there before.

        Raises:
            Exception: Whatever the check raises.
        """
        if not self.applies(change.path):
            return []
        found = self._found(change)
        if not found or change.old is None:
            return found
        before = structs.replace(change, old=None, new=change.old)
        return subtract(found, change.new, self._found(before), change.old)

    def _found(self, change: Change) -> list[Finding]:
        named = [
            structs.replace(one, rule=self.name, path=change.path) for one in self.check(change)
        ]
        return sorted(named, key=lambda one: one.line)


def policy(name: str, files: str | tuple[str, ...] = "*.py") -> Callable[[Check], Policy]:
    """Make a policy of a function that yields findings.

    Args:
        name: Its rule id.
        files: A pattern, or several, for the files it looks at.
    """
    patterns = (files,) if isinstance(files, str) else files
    return lambda check: Policy(name, check, patterns)


def subtract(found: list[Finding], new: str, before: list[Finding], old: str) -> list[Finding]:
    """Leave out findings that an older text has too: same rule, message and line of text.

    Args:
        found: In the new text.
        new: That text.
        before: In the old text.
        old: That text.
    """

    def key(finding: Finding, lines: list[str]) -> tuple[str, str, str]:
        text = lines[finding.line - 1].strip() if 0 < finding.line <= len(lines) else ""
        return (finding.rule, finding.message, text)

    old_lines, new_lines = old.split("\n"), new.split("\n")
    known = Counter(key(one, old_lines) for one in before)
    fresh: list[Finding] = []
    for one in found:
        known[key(one, new_lines)] -= 1
        if known[key(one, new_lines)] < 0:
            fresh.append(one)
    return fresh


@functools.lru_cache(maxsize=32)
def parse(text: str) -> ast.Module | None:
    """Parse Python; template strings are read as f-strings where this Python is too old for them.

    Returns:
        `None` when it does not parse.
    """
    for version in (text, _T_STRING.sub(_as_f_string, text)):
        try:
            return ast.parse(version)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


@functools.lru_cache(maxsize=32)
def _imported(text: str) -> frozenset[str]:
    """Name the packages that a text imports; each rule asks, so it is worked out once."""
    found: set[str] = set()
    for node in ast.walk(parse(text) or ast.Module(body=[], type_ignores=[])):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return frozenset(found)


def _as_f_string(match: re.Match[str]) -> str:
    return match.group().replace("t", "f").replace("T", "f")


def named(node: ast.expr, *names: str) -> bool:
    """Tell whether an expression is one of some names: `a`, `a.b`, or `.b` for any object's `b`."""
    whole = dotted(node)
    last = f".{node.attr}" if isinstance(node, ast.Attribute) else ""
    return whole in names or last in names


def dotted(node: ast.expr) -> str:
    """Write `a.b.c` as it stands; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (value := dotted(node.value)):
        return f"{value}.{node.attr}"
    return ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Give a keyword argument of a call."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def is_built(node: ast.expr | None) -> bool:
    """Tell whether a text is put together from values: an f-string, `%`, `+` or `.format`."""
    match node:
        case ast.JoinedStr():
            return any(isinstance(part, ast.FormattedValue) for part in node.values)
        case ast.BinOp(op=ast.Mod() | ast.Add()):
            return not isinstance(node.right, ast.Constant) or is_built(node.left)
        case ast.Call(func=ast.Attribute(attr="format")):
            return True
        case _:
            return False
