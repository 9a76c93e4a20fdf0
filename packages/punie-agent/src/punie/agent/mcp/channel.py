"""The three ways in which messages travel to a server and back: its pipes, HTTP, and old SSE.

A channel delivers whole JSON-RPC messages and knows nothing of their meaning.

Source:
    https://modelcontextprotocol.io/specification/2025-06-18/basic/transports
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import urljoin, urlsplit

import msgspec

from punie.agent.mcp.server import McpServer
from punie.agent.workspaces.base import Workspace
from punie.agent.workspaces.children import Child

if TYPE_CHECKING:
    import httpx2

GOODBYE = 1.0
"""Seconds that a server has to end by itself."""
CONNECTING = 20.0
"""Seconds to reach a server over HTTP."""

Receive: TypeAlias = Callable[[Any], None]
"""Takes a message, or an exception when no more will come."""


class ServerLostError(Exception):
    """The server cannot be reached, or is gone; the message says how."""


class Channel(Protocol):
    """One connection."""

    async def open(self, receive: Receive) -> None:
        """Connect; from now on messages are received.

        Raises:
            ServerLostError: It cannot be reached.
        """
        ...

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message.

        Raises:
            ServerLostError: It is gone.
        """
        ...

    async def aclose(self) -> None:
        """End it, and the server's process group if there is one; never fails."""
        ...


class StdioChannel:
    """A child process: a message a line."""

    def __init__(self, server: McpServer, workspace: Workspace) -> None:
        self._server = server
        self._workspace = workspace
        self._child: Child | None = None
        self._reading: asyncio.Future[None] | None = None

    async def open(self, receive: Receive) -> None:
        """Start the program."""
        argv = [self._server.command, *self._server.args]
        try:
            self._child = await self._workspace.start(argv, env=self._server.env)
        except OSError as error:
            raise ServerLostError(f"it cannot be started: {error.strerror or error}") from error
        except ValueError as error:
            raise ServerLostError(f"it cannot be started: {error}") from error
        self._reading = asyncio.ensure_future(self._read(self._child, receive))

    async def send(self, message: dict[str, Any]) -> None:
        """Write a line."""
        if self._child is None:
            raise ServerLostError("it was not started")
        try:
            self._child.stdin.write(msgspec.json.encode(message) + b"\n")
            await self._child.stdin.drain()
        except (OSError, RuntimeError) as error:
            raise ServerLostError(_ended(self._child)) from error

    async def aclose(self) -> None:
        """Close its input, wait a moment, kill its group."""
        if self._child is not None:
            await self._child.aclose(patience=GOODBYE)
        if self._reading is not None:
            await ended({self._reading})

    async def _read(self, child: Child, receive: Receive) -> None:
        try:
            while line := await child.stdout.readline():
                try:
                    receive(msgspec.json.decode(line))
                except msgspec.DecodeError:
                    continue  # Servers print banners where only messages belong.
        except (OSError, ValueError):
            pass  # A line longer than any message: what follows makes no sense.
        finally:
            receive(ServerLostError(_ended(child)))


def _ended(child: Child) -> str:
    return f"it ended: {child.last_words}" if child.last_words else "it ended"


async def ended(tasks: Iterable[asyncio.Future[None]]) -> None:
    """Cancel tasks and wait until they are over: what is still being sent must not outlive its connection."""
    running = tuple(tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


class HttpChannel:
    """Streamable HTTP: every message is posted, answers come in the response."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self._http: httpx2.AsyncClient | None = None
        self._receive: Receive = lambda _message: None
        self._posting: set[asyncio.Future[None]] = set()
        self._session = ""
        self.protocol = ""
        """Version that was agreed on; sent with every message from then on."""

    async def open(self, receive: Receive) -> None:
        """Get ready; the first message connects."""
        self._http = _client(self._server)
        self._receive = receive

    async def send(self, message: dict[str, Any]) -> None:
        """Post a message; what comes back is received while others are sent."""
        posting = asyncio.ensure_future(self._post(message))
        self._posting.add(posting)
        posting.add_done_callback(self._posting.discard)
        if "id" not in message or "method" not in message:
            await posting

    async def aclose(self) -> None:
        """End the session."""
        await ended(self._posting)
        if self._http is not None:
            if self._session:
                await self._end_session(self._http)
            await self._http.aclose()

    async def _end_session(self, http: httpx2.AsyncClient) -> None:
        import httpx2

        try:
            async with asyncio.timeout(GOODBYE):
                await http.delete(self._server.url, headers=self._headers())
        except (httpx2.HTTPError, TimeoutError):
            return  # It forgets the session by itself.

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json, text/event-stream"}
        if self._session:
            headers["mcp-session-id"] = self._session
        if self.protocol:
            headers["mcp-protocol-version"] = self.protocol
        return headers

    async def _post(self, message: dict[str, Any]) -> None:
        import httpx2

        if self._http is None:
            raise ServerLostError("it was not opened")
        try:
            async with self._http.stream(
                "POST",
                self._server.url,
                content=msgspec.json.encode(message),
                headers=self._headers() | {"content-type": "application/json"},
            ) as response:
                if response.status_code >= 400:
                    raise ServerLostError(f"it answered {response.status_code}")
                self._session = response.headers.get("mcp-session-id", self._session)
                await self._take(response)
        except httpx2.HTTPError as error:
            self._lose(message, ServerLostError(f"it cannot be reached: {_words(error)}"))
        except ServerLostError as error:
            self._lose(message, error)
        except msgspec.DecodeError as error:
            self._lose(message, ServerLostError(f"its answer cannot be read: {error}"))

    def _lose(self, message: dict[str, Any], error: ServerLostError) -> None:
        """Tell who waits for this one answer; others go on."""
        self._receive({"id": message.get("id"), "lost": error})

    async def _take(self, response: httpx2.Response) -> None:
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            async for _, data in _events(response):
                if data:
                    self._receive(msgspec.json.decode(data))
        elif body := await response.aread():
            self._receive(msgspec.json.decode(body))


class SseChannel:
    """The older way: one stream of events back, and an address to post to that it names."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self._http: httpx2.AsyncClient | None = None
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reading: asyncio.Future[None] | None = None

    async def open(self, receive: Receive) -> None:
        """Connect and wait for the address."""
        self._http = _client(self._server)
        self._reading = asyncio.ensure_future(self._read(self._http, receive))
        try:
            async with asyncio.timeout(CONNECTING):
                await asyncio.shield(self._address)
        except TimeoutError:
            raise ServerLostError(f"it named no address within {CONNECTING:g} s") from None

    async def send(self, message: dict[str, Any]) -> None:
        """Post a message."""
        import httpx2

        if self._http is None:
            raise ServerLostError("it was not opened")
        try:
            answer = await self._http.post(
                await self._address,
                content=msgspec.json.encode(message),
                headers={"content-type": "application/json"},
            )
        except httpx2.HTTPError as error:
            raise ServerLostError(f"it cannot be reached: {_words(error)}") from error
        if answer.status_code >= 400:
            raise ServerLostError(f"it answered {answer.status_code}")

    async def aclose(self) -> None:
        """Hang up."""
        if self._reading is not None:
            await ended({self._reading})
        if self._address.done() and not self._address.cancelled():
            self._address.exception()
        if self._http is not None:
            await self._http.aclose()

    async def _read(self, http: httpx2.AsyncClient, receive: Receive) -> None:
        import httpx2

        error = ServerLostError("it hung up")
        try:
            headers = {"accept": "text/event-stream"}
            async with http.stream("GET", self._server.url, headers=headers) as response:
                if response.status_code >= 400:
                    raise ServerLostError(f"it answered {response.status_code}")
                async for name, data in _events(response):
                    if name == "endpoint":
                        self._named(data)
                    elif data:
                        receive(msgspec.json.decode(data))
        except httpx2.HTTPError as problem:
            error = ServerLostError(f"it cannot be reached: {_words(problem)}")
        except ServerLostError as problem:
            error = problem
        except msgspec.DecodeError as problem:
            error = ServerLostError(f"its answer cannot be read: {problem}")
        finally:
            if not self._address.done():
                self._address.set_exception(error)
            receive(error)

    def _named(self, address: str) -> None:
        """Take the address, which must be on the server that was named: headers go there too."""
        whole = urljoin(self._server.url, address)
        if urlsplit(whole)[:2] != urlsplit(self._server.url)[:2]:
            raise ServerLostError("it names an address on another server")
        if not self._address.done():
            self._address.set_result(whole)


def open_channel(server: McpServer, workspace: Workspace) -> Channel:
    """Choose the channel that a server needs."""
    match server.transport:
        case "stdio":
            return StdioChannel(server, workspace)
        case "http":
            return HttpChannel(server)
        case "sse":
            return SseChannel(server)


def _client(server: McpServer) -> httpx2.AsyncClient:
    import httpx2

    # An answer may take as long as a person thinks; who waits for it sets the limit.
    timeout = httpx2.Timeout(CONNECTING, read=None)
    try:
        return httpx2.AsyncClient(headers=server.headers, timeout=timeout)
    except (TypeError, ValueError) as error:
        raise ServerLostError("its headers cannot be sent") from error


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _events(response: httpx2.Response) -> AsyncIterator[tuple[str, str]]:
    """Read server-sent events: name and data."""
    name, data = "message", list[str]()
    async for line in response.aiter_lines():
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "message", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
