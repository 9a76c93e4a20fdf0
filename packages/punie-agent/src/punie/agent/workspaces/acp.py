"""The workspace of an editor: its unsaved texts and its terminals, this disk for the rest.

Each capability stands alone: what the client does not offer is done here. Programs whose output is
parsed (`run`) always run here; a command that a person should watch runs in the client's terminal.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Protocol

from punie.acp.agent_side import ClientProxy, TerminalProxy
from punie.acp.errors import AcpError, RequestError
from punie.acp.schema import v1
from punie.agent.workspaces.base import (
    CommandResult,
    OnOutput,
    ShowsTerminals,
    Workspace,
)
from punie.agent.workspaces.delegating import Delegating

OUTPUT_LIMIT = 1024 * 1024
"""Bytes of output that the client is asked to keep."""
GOODBYE = 1.0
"""Seconds that the client has to end a terminal of a cancelled call."""


class LocalPart(Workspace, Protocol):
    """What lies below: a local workspace, which can be closed."""

    def close(self) -> None:
        """Kill what still runs, and start nothing more."""
        ...


class AcpWorkspace(Delegating[LocalPart]):
    """A session's files and processes, where the editor knows better than the disk."""

    def __init__(self, client: ClientProxy, session_id: str, local: LocalPart) -> None:
        """Set up.

        Args:
            client: The editor.
            session_id: The session, as the editor knows it.
            local: The same folder on this disk.
        """
        super().__init__(local)
        self._client = client
        self._session_id = session_id

    async def read_text(self, path: Path) -> str:
        """Read a text file as the editor has it, saved or not."""
        held = await self.held_text(path)
        # An editor knows its project only; the disk says what is wrong, if anything.
        return await self._below.read_text(path) if held is None else held

    async def held_text(self, path: Path) -> str | None:
        """Give the text that the editor shows of a file; `None` when it tells none."""
        if not self._client.capabilities.fs.read_text_file:
            return None
        try:
            return await self._client.read_text_file(self._session_id, str(path))
        except RequestError:
            return None
        except AcpError as error:
            raise OSError(str(error)) from error

    async def write_text(self, path: Path, text: str) -> None:
        """Replace or create a text file, through the editor when it offers that."""
        if not self._client.capabilities.fs.write_text_file:
            await self._below.write_text(path, text)
            return
        try:
            await self._client.write_text_file(self._session_id, str(path), text)
        except RequestError as error:
            raise OSError(f"the editor refused to write it: {error.message}") from error
        except AcpError as error:
            raise OSError(str(error)) from error

    async def run_command(
        self,
        command: str,
        *,
        cwd: Path | None = None,
        timeout: float = 120.0,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a shell command in the client's terminal, or here when it has none."""
        terminal = await self._terminal(command, cwd or self.root)
        if terminal is None:
            return await self._below.run_command(
                command, cwd=cwd, timeout=timeout, on_output=on_output
            )
        if isinstance(on_output, ShowsTerminals):
            on_output.show_terminal(terminal.id)
        try:
            return await _watch(terminal, timeout)
        except AcpError as error:
            return CommandResult(exit_code=None, output=f"the terminal was lost: {error}")
        finally:
            # Also for a cancelled call: what runs in a terminal must not outlive it.
            await asyncio.shield(_release(terminal))

    def close(self) -> None:
        """Kill what still runs here, and start nothing more."""
        self._below.close()

    async def _terminal(self, command: str, cwd: Path) -> TerminalProxy | None:
        if not self._client.capabilities.terminal or os.name == "nt":
            return None
        try:
            return await self._client.create_terminal(
                v1.CreateTerminalRequest(
                    session_id=self._session_id,
                    command="sh",
                    args=["-c", command],
                    env=[v1.EnvVariable(name="PAGER", value="cat")],
                    cwd=str(cwd),
                    output_byte_limit=OUTPUT_LIMIT,
                )
            )
        except RequestError:
            return None


async def _watch(terminal: TerminalProxy, timeout: float) -> CommandResult:
    timed_out = False
    exited = v1.WaitForTerminalExitResponse()
    try:
        async with asyncio.timeout(timeout):
            exited = await terminal.wait_for_exit()
    except TimeoutError:
        timed_out = True
        await terminal.kill()
    printed = await terminal.output()
    return CommandResult(
        exit_code=None if timed_out else _exit_code(exited),
        output=printed.output,
        timed_out=timed_out,
        truncated=printed.truncated,
    )


def _exit_code(exited: v1.WaitForTerminalExitResponse) -> int | None:
    if exited.exit_code is not None:
        return exited.exit_code
    try:
        return -signal.Signals[exited.signal or ""].value
    except KeyError:
        return None


async def _release(terminal: TerminalProxy) -> None:
    try:
        async with asyncio.timeout(GOODBYE):
            await terminal.release()
    except (AcpError, TimeoutError):
        return  # The client is gone, and its terminals with it.
