"""The catalog: one source of names, schemas, risks and examples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from punie.agent.errors import ConfigError
from punie.agent.events import PlanEntry
from punie.agent.tools.asking import AskResult
from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG, AnyTool, select
from punie.agent.tools.edits import EditResult, WriteResult
from punie.agent.tools.files import ListResult, ReadResult
from punie.agent.tools.history import BlamedLine, BlameResult, Commit, LogResult
from punie.agent.tools.language import answers
from punie.agent.tools.planning import PlanResult
from punie.agent.tools.pytest_runs import TestsResult
from punie.agent.tools.quality import LintResult, TypecheckResult
from punie.agent.tools.refactoring import RefactorResult
from punie.agent.tools.results import Result, render, to_json
from punie.agent.tools.search import SearchResult
from punie.agent.tools.shell import CommandOutcome
from punie.agent.tools.vcs import DiffResult, StatusResult

DOCS = Path(__file__).parents[3] / "docs" / "tools.md"

SIGNATURES = {
    "read_file": ("path", "line", "limit"),
    "list_files": ("path", "glob"),
    "search": ("query", "path"),
    "edit_file": ("path", "old", "new"),
    "write_file": ("path", "content"),
    "run_command": ("command", "cwd"),
    "run_tests": ("path",),
    "lint": ("path",),
    "typecheck": ("path",),
    "git_status": (),
    "git_diff": ("path",),
    "ask_user": ("question", "choices"),
    "definition": ("symbol",),
    "references": ("symbol",),
    "hover": ("symbol",),
    "outline": ("path",),
    "symbols": ("query",),
    "diagnostics": ("path",),
    "rename_symbol": ("symbol", "new_name"),
    "move_symbol": ("symbol", "path"),
    "add_import": ("path", "statement"),
    "organize_imports": ("path",),
    "format_file": ("path",),
    "fix_lint": ("path",),
    "multi_edit": ("path", "edits"),
    "git_log": ("path", "limit"),
    "git_blame": ("path", "line", "limit"),
    "plan": ("steps",),
}
CORE = list(SIGNATURES)[:12]
EMBEDDED = (
    "read_file(path)",
    "search(query)",
    "run_tests(path)",
    "lint(path)",
    "typecheck(path)",
    "git_status()",
)


def openai(tools: tuple[AnyTool, ...]) -> list[dict[str, object]]:
    """Write tools as a chat completion request does."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            },
        }
        for tool in tools
    ]


def fields(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(struct))


@pytest.fixture(params=CATALOG.values(), ids=CATALOG)
def tool(request: pytest.FixtureRequest) -> AnyTool:
    return request.param


def test_names_and_arguments_are_those_of_the_contract() -> None:
    assert {name: fields(tool.arguments) for name, tool in CATALOG.items()} == SIGNATURES


def test_risks_are_those_of_the_contract() -> None:
    risks = {name: tool.risk for name, tool in CATALOG.items() if tool.risk != "read"}
    assert risks == {
        "edit_file": "write",
        "write_file": "write",
        "run_command": "execute",
        "run_tests": "check",
        "rename_symbol": "write",
        "move_symbol": "write",
        "add_import": "write",
        "organize_imports": "write",
        "format_file": "write",
        "fix_lint": "write",
        "multi_edit": "write",
    }


def test_all_definitions_leave_room_in_the_first_request() -> None:
    size = len(json.dumps(openai(select([])), separators=(",", ":")))
    print(f"all {len(CORE)} core tool definitions as OpenAI JSON: {size} characters")
    assert size <= 3_000


def test_the_schema_accepts_exactly_what_parses(tool: AnyTool) -> None:
    validator = Draft202012Validator(tool.schema)
    for example in tool.examples:
        arguments = json.loads(msgspec.json.encode(example))
        validator.validate(arguments)
        assert tool.parse(arguments) == example
    with pytest.raises(msgspec.ValidationError, match="unknown_argument"):
        tool.parse({**msgspec.to_builtins(tool.examples[0]), "unknown_argument": 1})


def test_every_tool_has_an_example_of_its_own_kind(tool: AnyTool) -> None:
    assert tool.examples
    assert {type(example) for example in tool.examples} == {tool.arguments}


def test_named_arguments_exist(tool: AnyTool) -> None:
    assert set(tool.path_arguments) | set(tool.copied_arguments) <= set(fields(tool.arguments))


def test_every_argument_that_is_a_path_is_declared(tool: AnyTool) -> None:
    """The policy looks only at declared paths: a forgotten one would reach outside unasked."""
    assert {"path", "cwd"} & set(fields(tool.arguments)) == set(tool.path_arguments)


def test_the_description_is_one_short_line(tool: AnyTool) -> None:
    assert re.fullmatch(r"[A-Z][^\n]{1,70}\.", tool.description)


def test_only_tools_that_write_have_a_preview(tool: AnyTool) -> None:
    assert (tool.preview is not None) == (tool.risk == "write")


def test_a_result_with_an_error_says_nothing_else_first(tool: AnyTool) -> None:
    """Whatever a tool returns, an error is its headline."""
    required = {
        field.name: "x" for field in msgspec.structs.fields(tool.result) if field.required
    } | {"ok": False}
    result: Result = tool.result(**required, error="it broke")
    assert (result.headline(), render(result).splitlines()[0]) == ("it broke", "error: it broke")
    assert to_json(result)["ok"] is False


@pytest.mark.parametrize(
    ("name", "arguments", "title"),
    [
        ("read_file", {"path": "src/x.py"}, "Read src/x.py"),
        ("read_file", {"path": "x.py", "line": 10, "limit": 21}, "Read x.py (lines 10-30)"),
        ("read_file", {"path": "x.py", "line": 10}, "Read x.py (from line 10)"),
        ("read_file", {"path": "x.py", "limit": 5}, "Read x.py (lines 1-5)"),
        ("list_files", {}, "List files"),
        ("list_files", {"path": "src", "glob": "*.py"}, "List *.py in src"),
        ("search", {"query": "def f", "path": "src"}, "Search 'def f' in src"),
        ("edit_file", {"path": "src/x.py", "old": "a", "new": "b"}, "Edit src/x.py"),
        ("write_file", {"path": "src/x.py", "content": ""}, "Write src/x.py"),
        ("run_command", {"command": "uv sync"}, "uv sync"),
        ("run_tests", {}, "Test the project"),
        ("run_tests", {"path": "tests"}, "Test tests"),
        ("lint", {"path": "src"}, "Lint src"),
        ("typecheck", {}, "Check the types of the project"),
        ("git_status", {}, "Git status"),
        ("git_diff", {"path": "src"}, "Git diff in src"),
        ("ask_user", {"question": "Which\none?"}, "Ask: Which one?"),
        ("definition", {"symbol": "a.b"}, "Find the definition of a.b"),
        ("references", {"symbol": "a.b"}, "Find the uses of a.b"),
        ("hover", {"symbol": "a.b"}, "Look at a.b"),
        ("outline", {"path": "src/x.py"}, "Outline src/x.py"),
        ("symbols", {"query": "run"}, "Find symbols like 'run'"),
        ("diagnostics", {"path": "src/x.py"}, "Check src/x.py"),
        ("rename_symbol", {"symbol": "a.b", "new_name": "c"}, "Rename a.b to c"),
        ("move_symbol", {"symbol": "a.b", "path": "c.py"}, "Move a.b to c.py"),
        ("add_import", {"path": "x.py", "statement": "import os"}, "Add an import to x.py"),
        ("organize_imports", {"path": "x.py"}, "Organize the imports of x.py"),
        ("multi_edit", {"path": "x.py", "edits": []}, "Edit x.py in 0 places"),
        ("format_file", {"path": "x.py"}, "Format x.py"),
        ("fix_lint", {"path": "x.py"}, "Fix the lint of x.py"),
        ("git_log", {}, "Git log"),
        ("git_log", {"path": "x.py"}, "Git log of x.py"),
        ("git_blame", {"path": "x.py", "line": 3}, "Git blame of x.py from line 3"),
    ],
)
def test_titles_say_what_will_happen(name: str, arguments: dict[str, object], title: str) -> None:
    tool = CATALOG[name]
    assert tool.title(tool.parse(arguments)) == title


def test_nothing_selected_means_the_core_in_order() -> None:
    assert [tool.name for tool in select([])] == CORE


def test_a_group_selects_its_tools_once_each() -> None:
    names = [tool.name for tool in select(["definition", "navigation", "read_file"])]
    assert names == [
        "definition",
        "references",
        "hover",
        "outline",
        "symbols",
        "diagnostics",
        "read_file",
    ]


def test_no_group_is_called_like_a_tool() -> None:
    assert {tool.group for tool in CATALOG.values()} & set(CATALOG) == set()


def test_a_name_selects_the_whole_tool() -> None:
    assert select(["lint", "read_file"]) == (CATALOG["lint"], CATALOG["read_file"])


def test_arguments_narrow_what_a_model_is_offered() -> None:
    tools = select(EMBEDDED)
    assert [tool.shown for tool in tools] == [
        ("path",),
        ("query",),
        ("path",),
        ("path",),
        ("path",),
        (),
    ]
    assert tools[0].schema == {
        "type": "object",
        "properties": {"path": {"type": "string"}},
        "required": ["path"],
        "additionalProperties": False,
    }
    assert "properties" in tools[-1].schema


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grep", "there is no tool 'grep': choose from read_file, list_files, search, "),
        ("", "there is no tool '': choose from "),
        ("read_file(path", "there is no tool 'read_file(path': choose from "),
        ("read_file(file)", "read_file has no argument 'file': it takes path, line, limit"),
        ("git_status(path)", "git_status has no argument 'path': it takes none"),
        ("search(path)", "search needs its argument 'query': add it to 'search(path)'"),
    ],
)
def test_a_wrong_selection_names_the_choices(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        select([text])
    assert str(raised.value).startswith(message)


COMMITS = tuple(Commit(id="a", date="", author="", subject="") for _ in range(3))
LINES = tuple(BlamedLine(line=n, id="a", author="", subject="", text="") for n in (10, 29))
HEADLINES: dict[str, Result] = {
    "read_file": ReadResult(ok=True, path="src/x.py", first=1, last=42, lines=42),
    "list_files": ListResult(ok=True, path="src", files=12, folders=3),
    "search": SearchResult(ok=True, query="main", matches=7, files=3),
    "edit_file": EditResult(ok=True, path="src/x.py", line=12, added=2, removed=1),
    "write_file": WriteResult(ok=True, path="src/x.py", created=True, lines=12),
    "run_command": CommandOutcome(ok=True, exit_code=0, seconds=0.2),
    "run_tests": TestsResult(ok=False, path=".", passed=12, failed=1, skipped=2, seconds=0.8),
    "lint": LintResult(ok=False, path=".", problems=3, files=2),
    "typecheck": TypecheckResult(ok=False, path=".", errors=2, warnings=1),
    "git_status": StatusResult(ok=True, branch="main", modified=2, untracked=1),
    "git_diff": DiffResult(ok=True, path=".", files=2, insertions=10, deletions=3),
    "ask_user": AskResult(ok=True, outcome="answered", answer="src/app.py"),
    "definition": answers.DefinitionResult(
        ok=True, symbol="pkg.mod.C.run", kind="method", path="pkg/mod.py", line=12, end_line=20
    ),
    "references": answers.ReferencesResult(ok=True, symbol="pkg.mod.run", references=4, files=2),
    "hover": answers.HoverResult(ok=True, symbol="pkg.mod.run"),
    "outline": answers.OutlineResult(ok=True, path="src/x.py", symbols=12),
    "symbols": answers.SymbolsResult(ok=True, query="run", symbols=3),
    "diagnostics": answers.DiagnosticsResult(ok=False, path="x.py", errors=1, warnings=2),
    "rename_symbol": RefactorResult(ok=True, files=("a.py", "b.py"), places=7, left=("a.py:3: x",)),
    "move_symbol": RefactorResult(ok=True, files=("a.py", "b.py"), places=2),
    "add_import": RefactorResult(ok=True, files=("a.py",), places=1),
    "organize_imports": RefactorResult(ok=True),
    "format_file": RefactorResult(ok=True, files=("a.py",), places=1),
    "fix_lint": RefactorResult(ok=True, files=("a.py",), places=1),
    "multi_edit": RefactorResult(ok=True, files=("a.py",), places=2),
    "git_log": LogResult(ok=True, path=".", commits=COMMITS),
    "git_blame": BlameResult(ok=True, path="x.py", lines=LINES),
    "plan": PlanResult(
        ok=True, entries=(PlanEntry(content="x", status="completed"), PlanEntry(content="y"))
    ),
}


def row(tool: AnyTool) -> str:
    """Write the row of the table in docs/tools.md."""
    arguments = ", ".join(
        field.name if field.required else f"{field.name}={json.dumps(field.default)}"
        for field in msgspec.structs.fields(tool.arguments)
    )
    headline = HEADLINES[tool.name].headline()
    return f"| `{tool.name}({arguments})` | {tool.risk} | {tool.description} | `{headline}` |"


def test_the_documentation_has_every_tool_as_it_is() -> None:
    rows = re.findall(r"^\| `\w+\(.*$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [row(tool) for tool in CATALOG.values()]


def test_the_samples_are_results_of_their_tools() -> None:
    assert {name: type(result) for name, result in HEADLINES.items()} == {
        name: tool.result for name, tool in CATALOG.items()
    }


NASTY = ["x" * 5_000, "x/" * 3_000, "\0", "half\ud800", "~", "-", " ", "", "*", "a\nb", "/dev/null"]


@pytest.mark.parametrize("path", NASTY, ids=ascii)
@pytest.mark.parametrize("name", [name for name, tool in CATALOG.items() if tool.path_arguments])
async def test_no_path_makes_a_tool_raise(call: Call, name: str, path: str) -> None:
    tool = CATALOG[name]
    properties = tool.schema["properties"].items()
    plain: dict[str, object] = {"string": "x", "array": []}
    text = {name: plain[schema["type"]] for name, schema in properties if schema["type"] in plain}
    arguments = text | dict.fromkeys(tool.path_arguments, path)
    result = await tool.run(call, tool.parse(arguments))
    assert isinstance(result, tool.result)
    await call.services.aclose()
    assert render(result)
    assert json.loads(msgspec.json.encode(to_json(result)))["ok"] is result.ok
