"""The one way by which tools touch files and processes.

Implemented by `workspaces.local` (this disk) and `workspaces.acp` (the IDE's unsaved buffers and
terminals, falling back to this disk one capability at a time). A workspace does not decide what is
permitted: `punie.agent.permissions` does, before a tool runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from punie.agent.workspaces.children import Child

OnOutput = Callable[[str], None]
"""Receives output of a running command as it arrives."""


@runtime_checkable
class ShowsTerminals(Protocol):
    """What an `on_output` may be besides a function: one that can show a client's own terminal."""

    def show_terminal(self, terminal_id: str) -> None:
        """Show the terminal in which the command runs, instead of its output."""
        ...


@runtime_checkable
class HoldsTexts(Protocol):
    """What a workspace may be besides: one whose client holds texts that are not on the disk yet."""

    async def held_text(self, path: Path) -> str | None:
        """Give the text that the client shows of a file; `None` when it tells none."""
        ...


class ProcessResult(Struct, frozen=True, kw_only=True):
    """What a program printed and how it ended."""

    exit_code: int | None
    """`None` when it never ended by itself: it timed out."""
    stdout: str
    stderr: str
    timed_out: bool = False
    truncated: bool = False
    """Output beyond the limit was read and thrown away."""


class CommandResult(Struct, frozen=True, kw_only=True):
    """What a shell command printed, as a person sees it: both streams in one."""

    exit_code: int | None
    output: str
    timed_out: bool = False
    truncated: bool = False


class ProgramMissingError(Exception):
    """The program is not installed where the workspace looks."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed")
        self.program = program


class Workspace(Protocol):
    """Files and processes below the folders of a session."""

    @property
    def root(self) -> Path:
        """The session's folder, absolute, links resolved."""
        ...

    @property
    def roots(self) -> tuple[Path, ...]:
        """The session's folder, then further ones that belong to it; all absolute and resolved."""
        ...

    def resolve(self, path: str) -> Path:
        """Turn a path as the model wrote it into an absolute one, links resolved.

        Args:
            path: Relative to the root, or absolute.

        Returns:
            An absolute path, which may lie outside the root and need not exist.
        """
        ...

    def contains(self, path: Path) -> bool:
        """Tell whether a resolved path lies in one of the roots."""
        ...

    async def read_text(self, path: Path) -> str:
        """Read a whole text file, line endings as they are.

        Raises:
            OSError: It cannot be read.
            UnicodeDecodeError: It is not UTF-8 text.
        """
        ...

    async def write_text(self, path: Path, text: str) -> None:
        """Replace or create a text file in one step; a crash leaves the old file or the new one.

        Raises:
            OSError: It cannot be written; the old content is still there.
        """
        ...

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run a program without a shell and capture its output, streams apart.

        Args:
            argv: Program and arguments.
            cwd: Where it runs; the root by default.
            timeout: Seconds until its process group is killed.
            env: Variables to add.

        Raises:
            ProgramMissingError: `argv[0]` is not there.
        """
        ...

    async def run_command(
        self,
        command: str,
        *,
        cwd: Path | None = None,
        timeout: float = 120.0,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a shell command where the person can watch it: the client's terminal if it has one.

        Args:
            command: A line for `sh -c`.
            cwd: Where it runs; the root by default.
            timeout: Seconds until its process group is killed.
            on_output: Called with output as it arrives.
        """
        ...

    async def start(
        self, argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start a program that stays, such as a language server; it dies with the session.

        Args:
            argv: Program and arguments.
            cwd: Where it runs; the root by default.
            env: Variables to add.

        Raises:
            ProgramMissingError: `argv[0]` is not there.
            OSError: It cannot be started.
        """
        ...
