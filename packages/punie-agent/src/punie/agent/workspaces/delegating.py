"""A workspace over another one: everything is passed on, for what does some of it otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from punie.agent.workspaces.base import CommandResult, OnOutput, ProcessResult, Workspace
from punie.agent.workspaces.children import Child

W = TypeVar("W", bound=Workspace)


class Delegating(Generic[W]):
    """Passes every call on to the workspace below."""

    def __init__(self, below: W) -> None:
        """Set up.

        Args:
            below: The workspace that does the work.
        """
        self._below = below

    @property
    def root(self) -> Path:
        """The session's folder, absolute, links resolved."""
        return self._below.root

    @property
    def roots(self) -> tuple[Path, ...]:
        """The session's folder, then further ones that belong to it."""
        return self._below.roots

    def resolve(self, path: str) -> Path:
        """Turn a path as the model wrote it into an absolute one, links resolved."""
        return self._below.resolve(path)

    def contains(self, path: Path) -> bool:
        """Tell whether a resolved path lies in one of the roots."""
        return self._below.contains(path)

    async def read_text(self, path: Path) -> str:
        """Read a whole text file."""
        return await self._below.read_text(path)

    async def write_text(self, path: Path, text: str) -> None:
        """Replace or create a text file."""
        await self._below.write_text(path, text)

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run a program and capture its output."""
        return await self._below.run(argv, cwd=cwd, timeout=timeout, env=env)

    async def run_command(
        self,
        command: str,
        *,
        cwd: Path | None = None,
        timeout: float = 120.0,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a shell command."""
        return await self._below.run_command(command, cwd=cwd, timeout=timeout, on_output=on_output)

    async def start(
        self, argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start a program that stays."""
        return await self._below.start(argv, cwd=cwd, env=env)
