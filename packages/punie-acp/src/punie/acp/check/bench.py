"""What every scenario works with: fresh processes of the agent, prompts, a folder, the report."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from punie.acp.check.peer import NOTHING, Peer, open_peer
from punie.acp.check.report import Report
from punie.acp.check.values import Answer
from punie.acp.schema import v1

QUICK = 2.0
"""Seconds in which a cancelled turn must answer, and an agent that was told to go must be gone."""
WRITTEN = "conformance.txt"
"""The file that the prompt `write` asks for."""


class Prompts(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said to the agent. Read from a TOML file with these keys."""

    short: str = "Say hello in one short sentence."
    long: str = "Count slowly from 1 to 100, one number per line."
    """Must take some seconds, so that it can be cancelled."""
    write: str = f"write {WRITTEN} Created by a conformance check."
    f"""Must make the agent write the file {WRITTEN} in its working directory."""


class CannotGoOnError(Exception):
    """A scenario lacks what it stands on; the rest of it is skipped."""


class Bench:
    """The place where an agent is checked.

    Args:
        command: Starts the agent.
        folder: For logs, and for the project that the agent works in.
        prompts: What is said to it.
        timeout: Seconds to wait for an answer.
    """

    def __init__(
        self, command: Sequence[str], *, folder: Path, prompts: Prompts, timeout: float
    ) -> None:
        self.report: Report = Report()
        self.prompts: Prompts = prompts
        self.project: Path = folder / "project"
        self.project.mkdir()
        self._command = command
        self._log = folder / "stderr"
        self._timeout = timeout

    @asynccontextmanager
    async def peer(
        self, capabilities: v1.ClientCapabilities = NOTHING
    ) -> AsyncGenerator[Peer, None]:
        """Start the agent; what it must never do is reported in the end.

        Args:
            capabilities: What the client advertises.
        """
        opened = open_peer(
            self._command, capabilities=capabilities, timeout=self._timeout, log=self._log
        )
        async with opened as peer:
            try:
                yield peer
            finally:
                self._judge(peer)

    @asynccontextmanager
    async def greeted(
        self, capabilities: v1.ClientCapabilities = NOTHING
    ) -> AsyncGenerator[Peer, None]:
        """Start the agent and shake hands.

        Raises:
            CannotGoOnError: It does not answer `initialize`.
        """
        async with self.peer(capabilities) as peer:
            answer = await self.initialize(peer)
            if answer.result is None:
                raise CannotGoOnError(f"initialize: {answer.describe()}{self._last_words()}")
            yield peer

    @asynccontextmanager
    async def greeted_v2(self) -> AsyncGenerator[Peer, None]:
        """Start the agent and shake hands in version 2.

        Raises:
            CannotGoOnError: It does not speak it.
        """
        async with self.peer() as peer:
            answer = await self.initialize(peer, 2)
            if answer.result is None:
                raise CannotGoOnError(f"initialize: {answer.describe()}{self._last_words()}")
            if answer.result.get("protocolVersion") != 2:
                raise CannotGoOnError("the agent does not speak version 2")
            yield peer

    async def initialize(self, peer: Peer, version: int = 1) -> Answer:
        """Shake hands."""
        info = {"name": "punie-acp check", "version": "1"}
        params = {
            "protocolVersion": version,
            "clientCapabilities": peer.capabilities,
            "clientInfo": info,
        }
        if version > 1:
            params |= {"info": info, "capabilities": {}}
        return await peer.ask("initialize", params)

    async def open_session(self, peer: Peer) -> str:
        """Open a session.

        Raises:
            CannotGoOnError: There is none to be had.
        """
        answer = await peer.ask("session/new", self.new_session())
        session_id = (answer.result or {}).get("sessionId")
        if answer.code == -32000:
            raise CannotGoOnError("the agent asks for a login first")
        if not isinstance(session_id, str):
            raise CannotGoOnError(f"session/new: {answer.describe()}{self._last_words()}")
        return session_id

    def new_session(self) -> dict[str, Any]:
        """Parameters of `session/new`."""
        return {"cwd": str(self.project), "mcpServers": []}

    def turn(self, session_id: str, text: str) -> v1.PromptRequest:
        """Parameters of `session/prompt`."""
        return v1.PromptRequest(session_id=session_id, prompt=[v1.TextContent(text=text)])

    def _judge(self, peer: Peer) -> None:
        """Report what must never come."""
        expected = "JSON-RPC 2.0 messages only"
        _judge(self.report, "wire.stdout", peer.stray, expected=expected)
        if peer.messages:
            _judge(self.report, "wire.schema", peer.invalid, expected="messages of the schema")
        if peer.sessions_opened:
            expected = "updates of sessions that were announced"
            _judge(self.report, "session.order", peer.early, expected=expected)
            expected = "requests for what was advertised only"
            _judge(self.report, "capabilities.respected", peer.unadvertised, expected=expected)

    def _last_words(self) -> str:
        """The last line that the agent wrote to stderr."""
        lines = self._log.read_text("utf-8", errors="replace").split("\n")
        words = [line.strip() for line in lines if line.strip()]
        return f"; stderr ends with: {words[-1]}" if words else ""


def _judge(report: Report, requirement: str, bad: Sequence[str], *, expected: str) -> None:
    seen = "; ".join(msgspec.json.encode(one).decode() for one in bad[:3]) or "as expected"
    if len(bad) > 3:
        seen = f"{len(bad)} times: {seen}; ..."
    report.expect(requirement, not bad, expected=expected, seen=seen)


def wait_text(seconds: float) -> str:
    """Seconds for people."""
    return f"{seconds:.2f} s"
