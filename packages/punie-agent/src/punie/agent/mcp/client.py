"""A client for one server: the handshake, its tools, and calling them.

Written here because it is small: the protocol's own package takes 0.7 s and 40 MB to load, in every
chat of an IDE that passes its server. What is not used is left out: prompts, resources, sampling,
elicitation.

Source:
    https://modelcontextprotocol.io/specification/2025-06-18
"""

from __future__ import annotations

import asyncio
import itertools
from importlib.metadata import version
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from punie.agent.mcp.channel import Channel, HttpChannel, ServerLostError, ended, open_channel
from punie.agent.mcp.server import McpServer
from punie.agent.workspaces.base import ProgramMissingError, Workspace

PROTOCOL = "2025-06-18"
STARTING = 30.0
"""Seconds that a server may take until its tools are listed."""
ANSWERING = 120.0
"""Seconds that a call may take."""
MAX_PAGES = 50
_METHOD_NOT_FOUND = -32601

T = TypeVar("T")


class Annotations(Struct, frozen=True, rename="camel"):
    """What a server says a tool does; it may lie."""

    title: str | None = None
    read_only_hint: bool | None = None
    destructive_hint: bool | None = None
    open_world_hint: bool | None = None


class RemoteTool(Struct, frozen=True, rename="camel"):
    """A tool as its server lists it."""

    name: str
    description: str | None = None
    input_schema: dict[str, Any] = {}
    annotations: Annotations | None = None


class Content(Struct, frozen=True, rename="camel"):
    """One part of a result."""

    type: str = "text"
    text: str | None = None
    mime_type: str | None = None
    data: str | None = None
    uri: str | None = None
    resource: dict[str, Any] | None = None


class CallResult(Struct, frozen=True, rename="camel"):
    """What a call came to."""

    content: list[Content] = []
    structured_content: dict[str, Any] | None = None
    is_error: bool = False

    @property
    def text(self) -> str:
        """All parts as text; what is no text is named with its kind."""
        return "\n".join(map(_text, self.content)).strip()


class _Tools(Struct, frozen=True, rename="camel"):
    tools: list[RemoteTool] = []
    next_cursor: str | None = None


class _Greeting(Struct, frozen=True, rename="camel"):
    protocol_version: str = PROTOCOL


class RefusedError(Exception):
    """The server answered with an error."""


class Client:
    """One server, connected."""

    def __init__(self, server: McpServer, workspace: Workspace) -> None:
        self.server = server
        self.tools: list[RemoteTool] = []
        self.stale = False
        """The server said that its tools changed."""
        self._workspace = workspace
        self._channel: Channel = open_channel(server, workspace)
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._lost: ServerLostError | None = None
        self._answering: set[asyncio.Future[None]] = set()

    async def open(self) -> None:
        """Connect, shake hands and list the tools.

        Raises:
            ServerLostError: It cannot be reached, or says something that is not the protocol.
        """
        try:
            async with asyncio.timeout(STARTING):
                await self._channel.open(self._receive)
                await self._greet()
                await self.list_tools()
        except ProgramMissingError as error:
            raise ServerLostError(f"{error.program} is not installed") from error
        except TimeoutError:
            raise ServerLostError(f"it was not ready within {STARTING:g} s") from None
        except RefusedError as error:
            raise ServerLostError(f"it refused: {error}") from error

    async def list_tools(self) -> None:
        """Ask for the tools again.

        Raises:
            ServerLostError: It is gone.
            RefusedError: It answered with an error.
        """
        found: list[RemoteTool] = []
        cursor: str | None = None
        self.stale = False
        for _ in range(MAX_PAGES):
            params = {"cursor": cursor} if cursor else {}
            page = _read(await self._request("tools/list", params, timeout=ANSWERING), _Tools)
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        self.tools = found

    async def call(self, name: str, arguments: dict[str, Any]) -> CallResult:
        """Call a tool.

        Raises:
            ServerLostError: The server is gone or does not answer in time.
            RefusedError: It answered with an error.
        """
        params = {"name": name, "arguments": arguments}
        return _read(await self._request("tools/call", params, timeout=ANSWERING), CallResult)

    async def aclose(self) -> None:
        """Hang up, and end the server's processes; never fails."""
        await ended(self._answering)
        await self._channel.aclose()
        self._receive(ServerLostError("it was closed"))

    async def _greet(self) -> None:
        about = {"name": "punie", "title": "Punie", "version": version("punie-agent")}
        params = {
            "protocolVersion": PROTOCOL,
            "capabilities": {"roots": {"listChanged": False}},
            "clientInfo": about,
        }
        answer = await self._request("initialize", params, timeout=ANSWERING)
        if isinstance(self._channel, HttpChannel):
            self._channel.protocol = _read(answer, _Greeting).protocol_version
        await self._send({"method": "notifications/initialized"})

    async def _request(self, method: str, params: dict[str, Any], *, timeout: float) -> Any:
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"id": number, "method": method, "params": params})
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            await self._forget(number)
            raise ServerLostError(f"it did not answer within {timeout:g} s") from None
        except asyncio.CancelledError:
            telling = asyncio.ensure_future(self._forget(number))
            self._answering.add(telling)
            telling.add_done_callback(self._answering.discard)
            raise
        finally:
            del self._waiting[number]
            if future.done() and not future.cancelled():
                future.exception()

    async def _forget(self, number: int) -> None:
        try:
            params = {"requestId": number, "reason": "nobody waits for it any more"}
            await self._send({"method": "notifications/cancelled", "params": params})
        except ServerLostError:
            return

    async def _send(self, message: dict[str, Any]) -> None:
        if self._lost is not None:
            raise self._lost
        await self._channel.send({"jsonrpc": "2.0", **message})

    def _receive(self, message: Any) -> None:
        if isinstance(message, ServerLostError):
            self._lost = message
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(message)
            return
        messages = cast("list[Any]", message) if isinstance(message, list) else [message]
        for one in messages:
            if isinstance(one, dict):
                self._take(cast("dict[str, Any]", one))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            if message["method"] == "notifications/tools/list_changed":
                self.stale = True
            if "id" in message:
                answering = asyncio.ensure_future(self._answer(message))
                self._answering.add(answering)
                answering.add_done_callback(self._answering.discard)
            return
        future = self._waiting.get(message.get("id", 0))
        if future is None or future.done():
            return
        if "lost" in message:
            future.set_exception(message["lost"])
        elif "error" in message:
            future.set_exception(RefusedError(_reason(message["error"])))
        else:
            future.set_result(message.get("result"))

    async def _answer(self, message: dict[str, Any]) -> None:
        """Answer what a server asks: whether we are there, and where the project is."""
        answer: dict[str, Any] = {"id": message["id"]}
        match message["method"]:
            case "ping":
                answer["result"] = {}
            case "roots/list":
                roots = self._workspace.roots
                answer["result"] = {
                    "roots": [{"uri": root.as_uri(), "name": root.name} for root in roots]
                }
            case method:
                error = {"code": _METHOD_NOT_FOUND, "message": f"unknown method {method}"}
                answer["error"] = error
        try:
            await self._send(answer)
        except ServerLostError:
            return  # Who waits for it hears it elsewhere.


def _reason(error: Any) -> str:
    if isinstance(error, dict) and "message" in error:
        return str(cast("dict[str, Any]", error)["message"])
    return "it gave no reason"


def _read(value: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ServerLostError(f"its answer is not as the protocol says: {error}") from error


def _text(part: Content) -> str:
    if part.text is not None:
        return part.text
    resource = part.resource or {}
    if isinstance(resource.get("text"), str):
        return str(resource["text"])
    where = part.uri or resource.get("uri") or ""
    kind = part.mime_type or resource.get("mimeType") or part.type
    size = f", {len(part.data) * 3 // 4} bytes" if part.data else ""
    return f"[{kind}{size}{f', {where}' if where else ''}]"
