"""The one list of tools: names, risks, arguments, results and behaviour, and how to pick from it.

Native calls, the permission policy, prompts, docs, training data and evaluation all read this.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from punie.agent.errors import ConfigError
from punie.agent.tools.asking import AskResult, AskUser, ask_user
from punie.agent.tools.base import CORE, Tool
from punie.agent.tools.catalog_more import HISTORY, NAVIGATION, PLANNING, REFACTORING
from punie.agent.tools.edits import (
    EditFile,
    EditResult,
    WriteFile,
    WriteResult,
    edit_file,
    preview_edit,
    preview_write,
    write_file,
)
from punie.agent.tools.files import (
    ListFiles,
    ListResult,
    ReadFile,
    ReadResult,
    list_files,
    read_file,
)
from punie.agent.tools.pytest_runs import RunTests, TestsResult, run_tests
from punie.agent.tools.quality import (
    Lint,
    LintResult,
    Typecheck,
    TypecheckResult,
    lint,
    typecheck,
)
from punie.agent.tools.search import Search, SearchResult, search
from punie.agent.tools.shell import CommandOutcome, RunCommand, run_command
from punie.agent.tools.vcs import (
    DiffResult,
    GitDiff,
    GitStatus,
    StatusResult,
    git_diff,
    git_status,
)

if TYPE_CHECKING:
    from punie.agent.tools.toolsets import Loaded

AnyTool: TypeAlias = Tool[Any, Any]

_PICK = re.compile(r"\s*(?P<name>\w+)\s*(?:\((?P<arguments>[\w\s,]*)\))?\s*")


def _read_title(args: ReadFile) -> str:
    first = max(1, args.line)
    if args.limit > 0:
        return f"Read {args.path} (lines {first}-{first + args.limit - 1})"
    return f"Read {args.path} (from line {first})" if first > 1 else f"Read {args.path}"


def _in(path: str) -> str:
    return "" if path in {"", "."} else f" in {path}"


def _on(verb: str, path: str) -> str:
    return f"{verb} the project" if path in {"", "."} else f"{verb} {path}"


_TOOLS: tuple[AnyTool, ...] = (
    Tool(
        name="read_file",
        kind="read",
        risk="read",
        description="Read a text file, or limit lines of it from line.",
        arguments=ReadFile,
        result=ReadResult,
        run=read_file,
        title=_read_title,
        path_arguments=("path",),
        examples=(ReadFile(path="src/app.py"), ReadFile(path="README.md", line=10, limit=20)),
    ),
    Tool(
        name="list_files",
        kind="search",
        risk="read",
        description="List a folder, or all files below it that match glob.",
        arguments=ListFiles,
        result=ListResult,
        run=list_files,
        title=lambda args: f"List {args.glob or 'files'}{_in(args.path)}",
        path_arguments=("path",),
        examples=(ListFiles(path="src"), ListFiles(glob="*.toml")),
    ),
    Tool(
        name="search",
        kind="search",
        risk="read",
        description="Find lines that contain the query text.",
        arguments=Search,
        result=SearchResult,
        run=search,
        title=lambda args: f"Search {args.query!r}{_in(args.path)}",
        path_arguments=("path",),
        copied_arguments=("query",),
        examples=(Search(query="def main"), Search(query="TODO", path="src")),
    ),
    Tool(
        name="edit_file",
        kind="edit",
        risk="write",
        description="Replace the text old, which must occur once in the file, by new.",
        arguments=EditFile,
        result=EditResult,
        run=edit_file,
        title=lambda args: f"Edit {args.path}",
        path_arguments=("path",),
        preview=preview_edit,
        examples=(EditFile(path="src/app.py", old="timeout = 5", new="timeout = 10"),),
    ),
    Tool(
        name="write_file",
        kind="edit",
        risk="write",
        description="Create a file or replace all of its text.",
        arguments=WriteFile,
        result=WriteResult,
        run=write_file,
        title=lambda args: f"Write {args.path}",
        path_arguments=("path",),
        preview=preview_write,
        examples=(WriteFile(path="notes.md", content="# Notes\n"),),
    ),
    Tool(
        name="run_command",
        kind="execute",
        risk="execute",
        description="Run a shell command.",
        arguments=RunCommand,
        result=CommandOutcome,
        run=run_command,
        title=lambda args: args.command,
        path_arguments=("cwd",),
        examples=(RunCommand(command="uv sync"), RunCommand(command="make", cwd="docs")),
    ),
    Tool(
        name="run_tests",
        kind="execute",
        risk="check",
        description="Run pytest on a path or test id.",
        arguments=RunTests,
        result=TestsResult,
        run=run_tests,
        title=lambda args: _on("Test", args.path),
        path_arguments=("path",),
        examples=(RunTests(), RunTests(path="tests/test_app.py")),
    ),
    Tool(
        name="lint",
        kind="read",
        risk="read",
        description="Check code style with ruff.",
        arguments=Lint,
        result=LintResult,
        run=lint,
        title=lambda args: _on("Lint", args.path),
        path_arguments=("path",),
        examples=(Lint(), Lint(path="src")),
    ),
    Tool(
        name="typecheck",
        kind="read",
        risk="read",
        description="Check types.",
        arguments=Typecheck,
        result=TypecheckResult,
        run=typecheck,
        title=lambda args: _on("Check the types of", args.path),
        path_arguments=("path",),
        examples=(Typecheck(), Typecheck(path="src/app.py")),
    ),
    Tool(
        name="git_status",
        kind="read",
        risk="read",
        description="Show the branch and changed files.",
        arguments=GitStatus,
        result=StatusResult,
        run=git_status,
        title=lambda args: "Git status",
        examples=(GitStatus(),),
    ),
    Tool(
        name="git_diff",
        kind="read",
        risk="read",
        description="Show uncommitted changes.",
        arguments=GitDiff,
        result=DiffResult,
        run=git_diff,
        title=lambda args: f"Git diff{_in(args.path)}",
        path_arguments=("path",),
        examples=(GitDiff(), GitDiff(path="src")),
    ),
    Tool(
        name="ask_user",
        kind="other",
        risk="read",
        description="Ask the user what no tool can tell; choices, one per line.",
        arguments=AskUser,
        result=AskResult,
        run=ask_user,
        title=lambda args: f"Ask: {' '.join(args.question.split())}",
        examples=(
            AskUser(question="Which version is to be released?"),
            AskUser(question="Where should it go?", choices="src/app.py\nsrc/cli.py"),
        ),
    ),
)

CATALOG: Mapping[str, AnyTool] = MappingProxyType({
    tool.name: tool for tool in (*_TOOLS, *NAVIGATION, *REFACTORING, *HISTORY, *PLANNING)
})
"""Punie's own tools by name, in the order in which models see them."""

SESSION_TOOLS = frozenset({"skill", "execute_python", "ask_user", "trust_policies"})
"""Names of tools that sessions add."""
RESERVED = SESSION_TOOLS | {"skills", "code", "mcp"}
"""Names of tools and groups that no toolset may take."""

FOR_SMALL_MODELS = (
    *("read_file(path)", "search(query)", "edit_file", "write_file", "run_command(command)"),
    *("run_tests(path)", "git_diff()"),
)
"""What a small model is offered: the fewer choices, the better it chooses."""


def plugged_in() -> Loaded:
    """Give the tools of other distributions, and what is broken of them."""
    from punie.agent.tools import toolsets

    return toolsets.installed(RESERVED.union(CATALOG, (tool.group for tool in CATALOG.values())))


def examine(name: str, _thing: object) -> str:
    """Say why a toolset cannot be used, for `punie plugins`; nothing when it can."""
    return plugged_in().broken.get(name, "")


def default_names(*, small: bool) -> tuple[str, ...]:
    """Name what is offered where neither a model spec nor a setting chooses.

    Args:
        small: The model is small, so it is offered few of Punie's own tools and no others.
    """
    return FOR_SMALL_MODELS if small else (CORE, *plugged_in().groups)


def select(names: Sequence[str]) -> tuple[AnyTool, ...]:
    """Pick tools.

    Args:
        names: `read_file`, or with only some of its arguments `read_file(path)`, or a group such as
            `navigation`, also of toolsets that are plugged in; empty picks the group `core`, which
            is the same wherever Punie runs.

    Returns:
        The tools in the order of `names`; those with arguments have `shown` set.

    Raises:
        ConfigError: A tool or an argument does not exist, or a required argument is left out.
    """
    picked: dict[str, AnyTool] = {}
    for name in names or (CORE,):
        for tool in _group(name) or (_pick(name),):
            picked[tool.name] = tool
    return tuple(picked.values())


def _group(name: str) -> tuple[AnyTool, ...]:
    own = tuple(tool for tool in CATALOG.values() if tool.group == name)
    if own or name.partition("(")[0].strip() in CATALOG:
        return own
    return tuple(tool for tool in plugged_in().tools.values() if tool.group == name)


def _pick(text: str) -> AnyTool:
    match = _PICK.fullmatch(text)
    tool = CATALOG.get(match["name"]) or plugged_in().tools.get(match["name"]) if match else None
    if match is None or tool is None:
        if reason := plugged_in().broken.get(text):
            raise ConfigError(f"the toolset {text} cannot be used: {reason}")
        choices = ", ".join((*CATALOG, *plugged_in().tools))
        raise ConfigError(f"there is no tool {text!r}: choose from {choices}")
    if match["arguments"] is None:
        return tool
    shown = tuple(word.strip() for word in match["arguments"].split(",") if word.strip())
    fields = {field.name: field for field in msgspec.structs.fields(tool.arguments)}
    for name in shown:
        if name not in fields:
            choices = ", ".join(fields) or "none"
            raise ConfigError(f"{tool.name} has no argument {name!r}: it takes {choices}")
    for name, field in fields.items():
        if field.required and name not in shown:
            raise ConfigError(f"{tool.name} needs its argument {name!r}: add it to {text!r}")
    return dataclasses.replace(tool, shown=shown)
