"""A turn in which every tool fails, in every way: it ends with a clear answer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ToolReturnPart

from punie.agent.config import CheckSettings
from punie.agent.models.spec import ModelSpec
from punie.agent.policies.checks import Checks
from punie.agent.sessions.session import Session
from punie.agent.testing import Call, Requests, brain_opener
from punie.agent.tools.catalog import CATALOG
from punie.agent.tools.language import server
from punie.agent.tools.refactor import imports
from punie.agent.workspaces.base import CommandResult, ProcessResult
from punie.agent.workspaces.local import LocalWorkspace

ALL = ModelSpec(spec="test", tools=tuple(CATALOG))
ARGUMENTS: dict[str, dict[str, Any]] = {
    "read_file": {"path": "a.py"},
    "list_files": {},
    "search": {"query": "value"},
    "edit_file": {"path": "a.py", "old": "1", "new": "2"},
    "write_file": {"path": "b.py", "content": "x = 1\n"},
    "run_command": {"command": "sleep 60"},
    "run_tests": {},
    "lint": {},
    "typecheck": {},
    "git_status": {},
    "git_diff": {},
    "ask_user": {"question": "why?"},
    "definition": {"symbol": "a.value"},
    "references": {"symbol": "a.value"},
    "hover": {"symbol": "a.value"},
    "outline": {"path": "a.py"},
    "symbols": {"query": "value"},
    "diagnostics": {"path": "a.py"},
    "rename_symbol": {"symbol": "a.value", "new_name": "other"},
    "move_symbol": {"symbol": "a.value", "path": "c.py"},
    "add_import": {"path": "a.py", "statement": "import os"},
    "organize_imports": {"path": "a.py"},
    "format_file": {"path": "a.py"},
    "fix_lint": {"path": "a.py"},
    "multi_edit": {"path": "a.py", "edits": [{"old": "1", "new": "2"}]},
    "git_log": {},
    "git_blame": {"path": "a.py"},
    "plan": {"steps": "[ ] one"},
}
PROGRAMS = ("git", "rg", "ruff", "ty", "pytest", "python", "pyright", "pylsp")
NEEDS_NONE = {"read_file", "list_files", "edit_file", "write_file", "multi_edit"}


class Hasty(LocalWorkspace):
    """A workspace whose patience is half a second."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        return await super().run(argv, cwd=cwd, timeout=min(timeout, 0.5), env=env)

    async def run_command(self, command: str, **more: Any) -> CommandResult:
        return await super().run_command(command, **more | {"timeout": 0.5})


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STARTING", 0.5)
    monkeypatch.setattr(server, "ANSWERING", 0.5)
    monkeypatch.setattr(imports, "TALKING", 0.5)


@pytest.fixture
def turn(tmp_path: Path) -> Callable[..., Any]:
    """Run a turn that calls all tools; gives the outcome and what the model read, by tool."""

    async def run(
        *,
        script: str | None = None,
        before: Callable[[Path], None] | None = None,
        real: bool = False,
        text: str = "value = 1\n",
        during: AbstractContextManager[None] | None = None,
    ) -> tuple[Any, dict[str, str]]:
        root, programs = tmp_path / "project", tmp_path / "bin"
        root.mkdir()
        programs.mkdir()
        (root / "a.py").write_text(text)
        if script is not None:
            for name in PROGRAMS:
                (programs / name).write_text(script)
                (programs / name).chmod(0o755)
        if before is not None:
            before(root)
        requests = Requests()
        calls = [Call(name, arguments, id=name) for name, arguments in ARGUMENTS.items()]
        session = Session(
            "s",
            workspace=LocalWorkspace(root) if real else Hasty(root, programs=[programs]),
            mode="bypass",
            open_brain=brain_opener([calls, ["I could not."]], spec=ALL, requests=requests),
        )
        session.services.get(Checks, lambda: Checks(CheckSettings(rounds=0)))
        with during or nullcontext():
            outcome = await session.prompt("do everything")
        await session.aclose()
        read = {
            part.tool_name: part.model_response_str()
            for part in requests[-1][0][-1].parts
            if isinstance(part, ToolReturnPart)
        }
        return outcome, read

    return run


def ends_clearly(outcome: Any, read: dict[str, str], *, failing: set[str]) -> None:
    assert (outcome.stop_reason, outcome.text) == ("end_turn", "I could not.")
    assert set(read) == set(ARGUMENTS) == set(CATALOG)
    for text in read.values():
        assert " broke: " not in text, text
        assert "Traceback" not in text, text
        assert len(text) <= ALL.result_limit
        assert text.strip()
    records = {record.name: record for record in outcome.tool_calls}
    unclear = {
        name: read[name]
        for name in failing
        if records[name].ok or not read[name].startswith(("error: ", "ended by", "exit code"))
    }
    assert unclear == {}


ALL_NAMES = set(ARGUMENTS) - {"plan"}  # a plan needs nothing of the world


async def test_no_program_is_installed(turn: Callable[..., Any]) -> None:
    outcome, read = await turn()
    # Searching has a slower way of its own, and an import can be added without sorting it.
    ends_clearly(outcome, read, failing=ALL_NAMES - NEEDS_NONE - {"search", "add_import"})
    assert read["lint"] == (
        "error: ruff is not installed in the project's environment: uv add --dev ruff"
    )


async def test_every_program_hangs(turn: Callable[..., Any]) -> None:
    outcome, read = await turn(script="#!/bin/sh\nexec sleep 60\n")
    ends_clearly(outcome, read, failing=ALL_NAMES - NEEDS_NONE - {"add_import"})
    assert "did not end within" in read["lint"]


async def test_every_program_prints_without_end(turn: Callable[..., Any]) -> None:
    outcome, read = await turn(script="#!/bin/sh\nexec /usr/bin/yes 0123456789abcdef\n")
    ends_clearly(outcome, read, failing=ALL_NAMES - NEEDS_NONE - {"add_import"})


async def test_every_program_prints_what_is_no_text(turn: Callable[..., Any]) -> None:
    outcome, read = await turn(script="#!/bin/sh\nprintf '\\377\\376{\\200}\\n'\nexit 0\n")
    ends_clearly(outcome, read, failing=ALL_NAMES - NEEDS_NONE - {"search", "add_import"})


async def test_every_program_crashes(turn: Callable[..., Any]) -> None:
    outcome, read = await turn(script="#!/bin/sh\necho 'out of luck' >&2\nkill -SEGV $$\n")
    ends_clearly(outcome, read, failing=ALL_NAMES - NEEDS_NONE - {"add_import"})
    assert "SIGSEGV" in read["lint"]


async def test_every_program_says_nothing_at_all(turn: Callable[..., Any]) -> None:
    outcome, read = await turn(script="#!/bin/sh\nexit 0\n")
    ends_clearly(outcome, read, failing={"run_tests", "lint", "typecheck", "git_status"})


async def test_the_projects_folder_is_gone(turn: Callable[..., Any]) -> None:
    outcome, read = await turn(before=shutil.rmtree)
    # Writing a file makes its folders again.
    ends_clearly(outcome, read, failing=ALL_NAMES - {"write_file"})
    assert "does not exist" in read["read_file"]


async def test_files_are_not_text(turn: Callable[..., Any]) -> None:
    def spoil(root: Path) -> None:
        (root / "a.py").write_bytes(b"\xff\xfe\x00value = 1\n")

    outcome, read = await turn(before=spoil)
    ends_clearly(outcome, read, failing={"read_file", "edit_file", "multi_edit", "format_file"})
    assert "is not a text file" in read["edit_file"]


FULL = (
    "import sys\nvalue = 1\nimport os\n\n\ndef f():\n    return value\n\n\n"
    + "x=1  # to be formatted\n" * 400
)
"""More than the disk takes; every tool that writes has something to change in it."""
WRITING = {
    *("edit_file", "write_file", "multi_edit", "format_file", "fix_lint", "organize_imports"),
    *("add_import", "rename_symbol", "move_symbol"),
}


@pytest.mark.timeout(120)
async def test_the_disk_is_full(
    turn: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    largest_file: Callable[[int], AbstractContextManager[None]],
) -> None:
    monkeypatch.setattr(server, "STARTING", 60.0)
    monkeypatch.setattr(server, "ANSWERING", 60.0)
    monkeypatch.setattr(imports, "TALKING", 60.0)
    monkeypatch.setitem(ARGUMENTS, "write_file", {"path": "b.py", "content": FULL})
    monkeypatch.setitem(ARGUMENTS, "run_command", {"command": "cat a.py > b || { rm b; exit 1; }"})
    change = {"old": "value = 1", "new": "value = 2"}
    monkeypatch.setitem(ARGUMENTS, "edit_file", {"path": "a.py", **change})
    monkeypatch.setitem(ARGUMENTS, "multi_edit", {"path": "a.py", "edits": [change]})
    monkeypatch.setitem(ARGUMENTS, "add_import", {"path": "a.py", "statement": "import json"})
    outcome, read = await turn(real=True, text=FULL, during=largest_file(4096))
    ends_clearly(outcome, read, failing=WRITING | {"run_command"})
    for name in WRITING:
        assert "File too large" in read[name], (name, read[name])
    assert (tmp_path / "project" / "a.py").read_text() == FULL
    left = {path.name for path in (tmp_path / "project").iterdir()}
    assert left - {".pytest_cache", ".ruff_cache"} == {"a.py"}


async def test_there_is_no_temporary_folder(
    turn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setitem(ARGUMENTS, "run_command", {"command": "true"})
    outcome, read = await turn(real=True)
    ends_clearly(outcome, read, failing={"run_tests"})
    assert "no place for pytest's report" in read["run_tests"]
