"""A turn in which every tool fails, in every way: it ends with a clear answer."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
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
from punie.agent.workspaces import local
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
        *, script: str | None = None, before: Callable[[Path], None] | None = None
    ) -> tuple[Any, dict[str, str]]:
        root, programs = tmp_path / "project", tmp_path / "bin"
        root.mkdir()
        programs.mkdir()
        (root / "a.py").write_text("value = 1\n")
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
            workspace=Hasty(root, programs=[programs]),
            mode="bypass",
            open_brain=brain_opener([calls, ["I could not."]], spec=ALL, requests=requests),
        )
        session.services.get(Checks, lambda: Checks(CheckSettings(rounds=0)))
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


async def test_the_disk_is_full(
    turn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(local.os, "fsync", full)
    outcome, read = await turn(script=f"#!/bin/sh\nexec {sys.executable} -c 'exit(1)'\n")
    ends_clearly(outcome, read, failing={"edit_file", "write_file", "multi_edit"})
    assert "No space left on device" in read["edit_file"]
    assert (tmp_path / "project" / "a.py").read_text() == "value = 1\n"
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == ["a.py"]
