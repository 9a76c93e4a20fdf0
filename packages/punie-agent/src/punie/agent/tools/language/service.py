"""The session's language server: found, started when first asked, started again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from punie.agent.tools.language.answers import Place
from punie.agent.tools.language.rpc import RefusedError, ServerGoneError
from punie.agent.tools.language.server import SERVERS, LanguageServer, start_server
from punie.agent.workspaces.base import ProgramMissingError, Workspace

T = TypeVar("T")

NONE_INSTALLED = "no language server is installed in the project's environment: uv add --dev ty"


class NoAnswerError(Exception):
    """The question could not be answered; the message is one sentence for the model."""

    def __init__(self, message: str, choices: tuple[Place, ...] = ()) -> None:
        super().__init__(message)
        self.choices = choices
        """What a name may mean that fits several symbols."""


class Languages:
    """One language server of a session, kept in its `Services`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._server: LanguageServer | None = None
        self._given_up = ""
        """Why no server comes up: one that hangs at its start must not stop every call."""
        self._one_at_a_time = asyncio.Lock()

    @property
    def server(self) -> LanguageServer | None:
        """The server that was started last."""
        return self._server

    async def ask(self, question: Callable[[LanguageServer], Awaitable[T]]) -> T:
        """Ask the server; when it crashed meanwhile, ask a new one, once.

        Args:
            question: Asks what it is given. May run twice.

        Raises:
            NoAnswerError: No server is installed, or the two that were asked failed.
        """
        async with self._one_at_a_time:
            try:
                try:
                    return await question(await self._running())
                except ServerGoneError:
                    await self._drop()
                    return await question(await self._running())
            except ServerGoneError as error:
                await self._drop()
                raise NoAnswerError(f"the language server failed: {error}") from error
            except RefusedError as error:
                raise NoAnswerError(f"the language server refused: {error}") from error

    async def aclose(self) -> None:
        """End the server."""
        await self._drop()

    async def _running(self) -> LanguageServer:
        if self._server is not None and self._server.running:
            return self._server
        if self._given_up:
            raise NoAnswerError(self._given_up)
        await self._drop()
        for argv in SERVERS:
            try:
                self._server = await start_server(self._workspace, argv)
            except ProgramMissingError:
                continue
            except ServerGoneError as error:
                self._given_up = f"the language server {argv[0]} does not come up: {error}"
                raise NoAnswerError(self._given_up) from error
            return self._server
        raise NoAnswerError(NONE_INSTALLED)

    async def _drop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.aclose()
