"""A workspace in which every change is kept before it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from punie.agent.workspaces.base import (
    CommandResult,
    OnOutput,
    ProcessResult,
    Workspace,
)
from punie.agent.workspaces.delegating import Delegating


class Keeper(Protocol):
    """What keeps: `sessions.checkpoints`."""

    async def before_write(self, path: Path, text: str) -> None:
        """A text is about to be written."""
        ...

    async def after_write(self, path: Path) -> None:
        """It was written, or that failed."""
        ...

    def around_program(self) -> AbstractAsyncContextManager[None]:
        """A program runs meanwhile."""
        ...


class Watched(Delegating[Workspace]):
    """A session's workspace for tools that may change something in it.

    What a program that stays (`start`) changes is not noticed.
    """

    def __init__(self, workspace: Workspace, keeper: Keeper) -> None:
        """Watch a workspace.

        Args:
            workspace: Where the work is done.
            keeper: Told before and after.
        """
        super().__init__(workspace)
        self._keeper = keeper

    async def write_text(self, path: Path, text: str) -> None:
        """Write a file after keeping what it was."""
        await self._keeper.before_write(path, text)
        try:
            await super().write_text(path, text)
        finally:
            await self._keeper.after_write(path)

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run a program and keep what it changes."""
        async with self._keeper.around_program():
            return await super().run(argv, cwd=cwd, timeout=timeout, env=env)

    async def run_command(
        self,
        command: str,
        *,
        cwd: Path | None = None,
        timeout: float = 120.0,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a shell command and keep what it changes."""
        async with self._keeper.around_program():
            return await super().run_command(command, cwd=cwd, timeout=timeout, on_output=on_output)
