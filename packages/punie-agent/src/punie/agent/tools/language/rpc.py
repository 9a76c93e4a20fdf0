"""JSON-RPC with a language server: headers, requests, answers to what the server asks.

Written here because it is small: a client library takes a third of a second and 40 MB to load, which
is longer than most servers take to answer. Nothing here knows what the messages mean.

Source:
    https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from punie.agent.workspaces.children import Child

GOODBYE = 1.0
"""Seconds that a server has to end by itself."""
_METHOD_NOT_FOUND = -32601

Answer: TypeAlias = Callable[[str, Any], Any]
"""Gives the result for what a server asks; `LookupError` for a method nobody knows."""
Hear: TypeAlias = Callable[[str, Any], None]
"""Hears a notification."""


class ServerGoneError(Exception):
    """The server ended, or does not answer; it may be started again."""


class RefusedError(Exception):
    """The server answered a request with an error."""


class _Incoming(Struct):
    id: int | str | None = None
    method: str | None = None
    params: Any = None
    result: Any = None
    error: dict[str, Any] | None = None


class Peer:
    """One connection with a running server."""

    def __init__(self, child: Child, *, answer: Answer, hear: Hear) -> None:
        self._child = child
        self._answer = answer
        self._hear = hear
        self._ids = itertools.count(1)
        self._waiting: dict[int | str, asyncio.Future[Any]] = {}
        self._reading = asyncio.ensure_future(self._read())

    @property
    def running(self) -> bool:
        """Whether it can still be asked."""
        return not self._reading.done()

    async def request(self, method: str, params: object, *, timeout: float) -> Any:
        """Ask, and wait for the answer.

        Args:
            method: Such as `textDocument/hover`.
            params: JSON values or Structs.
            timeout: Seconds; a server that takes longer counts as gone.

        Raises:
            RefusedError: It answered with an error.
            ServerGoneError: It ended or does not answer.
        """
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"id": number, "method": method, "params": params})
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise ServerGoneError(f"it did not answer {method} within {timeout:g} s") from None
        except asyncio.CancelledError:
            self._write({"method": "$/cancelRequest", "params": {"id": number}})
            raise
        finally:
            del self._waiting[number]
            if future.done() and not future.cancelled():
                future.exception()  # Nobody waits for it any more.

    async def notify(self, method: str, params: object) -> None:
        """Tell.

        Raises:
            ServerGoneError: It ended.
        """
        await self._send({"method": method, "params": params})

    async def aclose(self) -> None:
        """Say goodbye and end it with its whole group; never fails."""
        try:
            await self.request("shutdown", None, timeout=GOODBYE)
            await self.notify("exit", None)
        except (ServerGoneError, RefusedError):
            pass
        finally:
            await self.abandon(patience=GOODBYE if self.running else 0.0)

    async def abandon(self, *, patience: float = 0.0) -> None:
        """End it with its whole group.

        Args:
            patience: Seconds that it has to end by itself.
        """
        await self._child.aclose(patience=patience)
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def _write(self, message: dict[str, object]) -> None:
        body = msgspec.json.encode({"jsonrpc": "2.0", **message})
        self._child.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def _send(self, message: dict[str, object]) -> None:
        if not self.running:
            raise ServerGoneError(self._why())
        try:
            self._write(message)
            await self._child.stdin.drain()
        except (OSError, RuntimeError) as error:
            raise ServerGoneError(self._why()) from error

    async def _read(self) -> None:
        """Pass on what arrives until the server ends; then nobody may wait any longer."""
        try:
            while (body := await self._message()) is not None:
                self._take(msgspec.json.decode(body, type=_Incoming))
        except (OSError, ValueError, EOFError):
            self._child.kill()  # What it says makes no sense any more.
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ServerGoneError(self._why()))

    async def _message(self) -> bytes | None:
        length = 0
        while line := await self._child.stdout.readline():
            if not line.strip():
                return await self._child.stdout.readexactly(length)
            name, colon, value = line.decode("ascii", "replace").partition(":")
            if not colon:
                raise ValueError(f"no header: {line[:50]!r}")
            if name.strip().lower() == "content-length":
                length = int(value)
        return None

    def _take(self, message: _Incoming) -> None:
        if message.method is not None:
            self._asked(message)
            return
        future = self._waiting.get(message.id) if message.id is not None else None
        if future is None or future.done():
            return
        if message.error is not None:
            future.set_exception(RefusedError(str(message.error.get("message", "no reason given"))))
        else:
            future.set_result(message.result)

    def _asked(self, message: _Incoming) -> None:
        method = message.method or ""
        if message.id is None:
            self._hear(method, message.params)
            return
        try:
            self._write({"id": message.id, "result": self._answer(method, message.params)})
        except LookupError:
            error = {"code": _METHOD_NOT_FOUND, "message": f"unknown method {method}"}
            self._write({"id": message.id, "error": error})

    def _why(self) -> str:
        words = self._child.last_words
        return f"it ended: {words}" if words else "it ended"
