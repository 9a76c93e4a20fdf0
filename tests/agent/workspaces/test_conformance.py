"""Pydantic AI's rules for workspaces, over the parts of ours that they can reach.

The adapter below is as thin as it can be: commands go through `run` and `run_command`, and bytes
through the same atomic write that text takes. Folders are made and listed by no tool through a
workspace, so those few lines are the adapter's own; the suite needs them to set its scenes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from pydantic_ai.workspaces import (
    CommandResult,
    FileEntry,
    WorkspaceBackend,
    WorkspaceRef,
    WorkspaceTimeoutError,
)
from pydantic_ai.workspaces.conformance import WorkspaceBackendSuite

from punie.agent.workspaces.base import ProcessResult, ProgramMissingError
from punie.agent.workspaces.local import LocalWorkspace, replace_file

FOREVER = 3_600.0


class Backend:
    """Our workspace as Pydantic AI sees one."""

    def __init__(self, workspace: LocalWorkspace) -> None:
        self._workspace = workspace
        self._ref: WorkspaceRef | None = None

    @property
    def ref(self) -> WorkspaceRef | None:
        return self._ref

    async def working_dir(self) -> str:
        self._ref = self._ref or WorkspaceRef(provider="punie-local", id=str(self._workspace.root))
        return str(self._workspace.root)

    async def run(
        self,
        command: str | Sequence[str],
        *,
        shell: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> CommandResult:
        if isinstance(command, str) != shell:
            raise TypeError("a shell string needs shell=True, an argv must not have it")
        await self.working_dir()
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        try:
            result = await self._workspace.run(argv, env=env, timeout=timeout or FOREVER)
        except ProgramMissingError as error:
            return CommandResult(exit_code=127, stdout="", stderr=str(error))
        return _result(result)

    async def read_bytes(self, path: str) -> bytes:
        def read() -> bytes:
            if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
                raise OSError(f"{path} is not a regular file")
            return Path(path).read_bytes()

        return await asyncio.to_thread(read)

    async def write_bytes(self, path: str, data: bytes) -> None:
        await self.working_dir()
        await asyncio.to_thread(replace_file, Path(path), data)

    async def stat(self, path: str) -> FileEntry:
        return await asyncio.to_thread(_entry, Path(path))

    async def list_dir(self, path: str) -> Sequence[FileEntry]:
        def entries() -> list[FileEntry]:
            return [_entry(one, lenient=True) for one in sorted(Path(path).iterdir())]

        return await asyncio.to_thread(entries)

    async def make_dir(self, path: str) -> None:
        await self.working_dir()
        await asyncio.to_thread(os.makedirs, path, exist_ok=True)

    async def remove(self, path: str) -> None:
        def remove() -> None:
            where = Path(path)
            if self._workspace.root.is_relative_to(os.path.normpath(path)):
                raise ValueError("the working directory stays")
            if where.is_dir() and not where.is_symlink():
                shutil.rmtree(where)
            else:
                where.unlink()

        await asyncio.to_thread(remove)

    async def exists(self, path: str) -> bool:
        return await asyncio.to_thread(os.path.exists, path)

    async def realpath(self, path: str) -> str:
        return str(await asyncio.to_thread(self._workspace.resolve, path))


def _result(result: ProcessResult) -> CommandResult:
    if result.timed_out:
        raise WorkspaceTimeoutError("too slow", stdout=result.stdout, stderr=result.stderr)
    return CommandResult(
        exit_code=result.exit_code or 0, stdout=result.stdout, stderr=result.stderr
    )


def _entry(path: Path, *, lenient: bool = False) -> FileEntry:
    try:
        about = path.stat()
    except OSError:
        if not lenient:
            raise
        about = path.lstat()
    is_dir = path.is_dir()
    size = None if is_dir else about.st_size
    return FileEntry(name=path.name, path=str(path), is_dir=is_dir, size=size)


class TestLocalWorkspace(WorkspaceBackendSuite):
    """Every rule that applies to a workspace on this disk."""

    @pytest.fixture
    def backend(self, root: Path) -> Iterator[WorkspaceBackend]:
        workspace = LocalWorkspace(root)
        yield Backend(workspace)
        workspace.close()

    async def test_background_child_does_not_hold_up_completed_command(
        self, backend: WorkspaceBackend
    ) -> None:
        """As in the suite, which then waits half a minute for the child: ours ends with its command."""
        assert isinstance(backend, Backend)
        result = await backend.run(["sh", "-c", "sleep 600 & printf done"])
        assert (result.exit_code, result.stdout) == (0, "done")
