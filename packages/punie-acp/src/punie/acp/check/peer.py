"""The check's end of the wire: one process of the agent, spoken to in frames and watched closely.

It keeps every message in the order of arrival, answers what the agent asks, and notes what must
never come: lines that are no protocol, messages that do not fit the schema, updates of sessions
that the client cannot know, requests for what was not advertised. Bad frames can be sent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import msgspec

from punie.acp.check.values import Answer, Message, at, objects
from punie.acp.errors import AgentStartError
from punie.acp.jsonrpc import DECODE_ERRORS
from punie.acp.methods import SESSION_UPDATE, TABLE
from punie.acp.recording import readable
from punie.acp.schema import v1
from punie.acp.transports.stdio import LineSplitter

Permission: TypeAlias = Literal["allow", "reject", "hold"]

NOTHING = v1.ClientCapabilities()
FILES = v1.ClientCapabilities(
    fs=v1.FileSystemCapabilities(read_text_file=True, write_text_file=True)
)
_SESSION_METHODS = {"session/new", "session/load", "session/resume", "session/fork"}


class Peer:
    """One process of the agent.

    Args:
        process: The agent.
        stdin: Its stdin.
        capabilities: What the client advertises to it.
        timeout: Seconds to wait for an answer.
    """

    def __init__(
        self,
        process: Process,
        stdin: asyncio.WriteTransport,
        *,
        capabilities: v1.ClientCapabilities,
        timeout: float,
    ) -> None:
        self.process = process
        self.capabilities = capabilities
        self.timeout = timeout
        self.permission: Permission = "reject"
        self.version: int = 1
        self.messages: list[Message] = []
        self.written: list[str] = []
        """Paths that the agent wrote through the client."""
        self.stray: list[str] = []
        self.invalid: list[str] = []
        self.early: list[str] = []
        self.unadvertised: list[str] = []
        self.sessions_opened: int = 0
        self._stdin = stdin
        self._asked: dict[object, str] = {}
        self._sessions: set[object] = set()
        self._changed = asyncio.Event()
        self._gone = False
        self._next_id = 0

    # Outgoing

    def send(self, frame: Message | bytes) -> None:
        """Send a message, or a line as it is."""
        data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        self._stdin.write(data + b"\n")

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def begin(self, method: str, params: Any, *, request_id: int | str | None = None) -> int | str:
        """Send a request and return its id."""
        if request_id is None:
            self._next_id += 1
            request_id = self._next_id
        self._asked[request_id] = method
        named = (
            params.session_id if isinstance(params, v1.PromptRequest) else at(params, "sessionId")
        )
        self._sessions.add(named)
        self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return request_id

    async def answer(self, request_id: int | str, *, timeout: float | None = None) -> Answer:
        """Wait for the answer to a request.

        Args:
            request_id: As `begin` returned it.
            timeout: Seconds, in place of the usual.
        """
        wait = self.timeout if timeout is None else timeout
        message = await self.wait_for(lambda: self.response(request_id), timeout=wait)
        if message is not None:
            return Answer(message)
        if not self._gone:
            return Answer(None, f"no answer within {wait:g} s")
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), 1.0)
        return Answer(None, f"no answer: the agent exited with {self.process.returncode}")

    async def ask(self, method: str, params: Any, *, timeout: float | None = None) -> Answer:
        """Send a request and wait for its answer."""
        return await self.answer(self.begin(method, params), timeout=timeout)

    async def wait_for(self, find: Callable[[], Any], *, timeout: float) -> Any:
        """Wait until `find` gives something.

        Returns:
            What it gave; `None` after `timeout` seconds, or when nothing more can come.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        while (found := find()) is None and not self._gone:
            self._changed.clear()
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return None
        return found

    # What came

    def response(self, request_id: object) -> Message | None:
        """The response with this id, if it came."""
        for message in self.messages:
            if "method" not in message and _same(message.get("id"), request_id):
                return message
        return None

    def position(self, message: Message) -> int:
        """Where a message stands in the order of arrival."""
        return next(place for place, one in enumerate(self.messages) if one is message)

    def updates(self, session_id: str) -> list[tuple[int, Message]]:
        """The updates of a session with their places in the order of arrival."""
        return [
            (place, message["params"]["update"])
            for place, message in enumerate(self.messages)
            if message.get("method") == SESSION_UPDATE.name
            and at(message, "params", "sessionId") == session_id
            and isinstance(at(message, "params", "update"), dict)
        ]

    def requests(self, method: str) -> list[tuple[int, Message]]:
        """The requests of the agent for a method, with their places in the order of arrival."""
        return [
            (place, message)
            for place, message in enumerate(self.messages)
            if message.get("method") == method and "id" in message
        ]

    def orphans(self) -> list[Message]:
        """The responses with a null id: answers to what was no message."""
        return [one for one in self.messages if "method" not in one and one.get("id") is None]

    # The transport calls these

    def frame_received(self, frame: bytes) -> None:
        """A line came."""
        try:
            value: object = msgspec.json.decode(frame)
        except DECODE_ERRORS:
            value = None
        if not isinstance(value, dict) or cast("Message", value).get("jsonrpc") != "2.0":
            self.stray.append(readable(frame))
            return
        message = cast("Message", value)
        self.messages.append(message)
        self._validate(message)
        if "method" not in message:
            self._learn(message)
        elif "id" in message:
            self._serve(message)
        elif message["method"] == SESSION_UPDATE.name:
            self._check_session(message)
        self._changed.set()

    def frame_dropped(self, size: int) -> None:
        """A line was too long."""
        self.stray.append(f"a line of {size} bytes")

    def ended(self) -> None:
        """The agent closed its stdout."""
        self._gone = True
        self._changed.set()

    def _validate(self, message: Message) -> None:
        """Hold a message to the schema of the version that is spoken."""
        answers = "method" not in message
        if answers and "error" in message:
            return
        asked = self._asked.get(_hashable(message.get("id")), "") if answers else message["method"]
        kind = "request" if answers or "id" in message else "notification"
        version = at(message, "result", "protocolVersion") if asked == "initialize" else None
        method = TABLE.get((version or self.version, str(asked), kind))
        if method is None or method.stability not in {"stable", "draft"}:
            return
        of = method.result if answers else method.params
        value = message.get("result") if answers else message.get("params", {})
        if _is_extension(value):
            return
        try:
            msgspec.convert(value, of)
        except msgspec.ValidationError as error:
            name = f"the answer of {asked}" if answers else asked
            self.invalid.append(f"{name}: {error}")

    def _learn(self, message: Message) -> None:
        method = self._asked.get(_hashable(message.get("id")))
        session_id = at(message, "result", "sessionId")
        if method in _SESSION_METHODS and isinstance(session_id, str):
            self._sessions.add(session_id)
            self.sessions_opened += 1
        version = at(message, "result", "protocolVersion")
        if method == "initialize" and isinstance(version, int):
            self.version = version

    def _check_session(self, message: Message) -> None:
        if _hashable(at(message, "params", "sessionId")) not in self._sessions:
            self.early.append(str(at(message, "params", "update", "sessionUpdate")))

    # Serving the agent

    def _serve(self, message: Message) -> None:
        method = str(message["method"])
        match method:
            case "session/request_permission":
                self._decide(message)
                return
            case "fs/read_text_file" if self.capabilities.fs.read_text_file:
                self._read(message)
                return
            case "fs/write_text_file" if self.capabilities.fs.write_text_file:
                self.written.append(str(at(message, "params", "path")))
                self._respond(message, {})
                return
            case _:
                pass
        if method.startswith(("fs/", "terminal/", "elicitation/")):
            self.unadvertised.append(method)
        error = {"code": -32601, "message": "Method not found"}
        self.send({"jsonrpc": "2.0", "id": message["id"], "error": error})

    def _decide(self, message: Message) -> None:
        if self.permission != "hold":
            self.decide(message, self.permission)

    def decide(self, message: Message, what: Literal["allow", "reject", "cancel"]) -> None:
        """Answer a permission request."""
        outcome: Message = {"outcome": "cancelled"}
        for option in objects(at(message, "params", "options")):
            if str(option.get("kind")).startswith(what):
                outcome = {"outcome": "selected", "optionId": option.get("optionId")}
                break
        self._respond(message, {"outcome": outcome})

    def _read(self, message: Message) -> None:
        try:
            text = Path(str(at(message, "params", "path"))).read_text("utf-8")
        except OSError:
            error = {"code": -32002, "message": "Resource not found"}
            self.send({"jsonrpc": "2.0", "id": message["id"], "error": error})
        else:
            self._respond(message, {"content": text})

    def _respond(self, message: Message, result: Message) -> None:
        self.send({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def close_stdin(self) -> None:
        """End the agent's stdin; its stdout is still read."""
        self._stdin.close()


def _hashable(value: object) -> object:
    return value if isinstance(value, str | int | None) else repr(value)


def _same(left: object, right: object) -> bool:
    """Whether ids are the same; `"1"` is not `1`, and neither is `True`."""
    return type(left) is type(right) and left == right


def _is_extension(params: Any) -> bool:
    """Whether an update is of an extension's own kind."""
    return str(at(params, "update", "sessionUpdate")).startswith("_")


@asynccontextmanager
async def open_peer(
    command: Sequence[str],
    *,
    capabilities: v1.ClientCapabilities,
    timeout: float,
    log: Path,
) -> AsyncGenerator[Peer, None]:
    """Start the agent; it is killed with its process group in the end.

    Args:
        command: Program and arguments.
        capabilities: What the client advertises.
        timeout: Seconds to wait for an answer.
        log: A file for the agent's stderr.

    Raises:
        AgentStartError: The program cannot be started.
    """
    child_in, to_child = os.pipe()
    from_child, child_out = os.pipe()
    try:
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=child_in,
                stdout=child_out,
                stderr=stderr,
                start_new_session=sys.platform != "win32",
            )
    except OSError as error:
        os.close(to_child)
        os.close(from_child)
        raise AgentStartError(command[0], error.strerror or str(error)) from error
    finally:
        os.close(child_in)
        os.close(child_out)
    loop = asyncio.get_running_loop()
    stdin, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(to_child, "wb", 0))
    peer = Peer(process, stdin, capabilities=capabilities, timeout=timeout)
    pipe = os.fdopen(from_child, "rb", 0)
    stdout, _ = await loop.connect_read_pipe(lambda: _Lines(peer), pipe)
    try:
        yield peer
    finally:
        _kill(process)
        await process.wait()
        if not stdin.is_closing():
            stdin.abort()
        stdout.close()
        await asyncio.sleep(0)  # the loop closes the descriptors on its next turn


class _Lines(asyncio.Protocol):
    """Cuts the agent's stdout into lines."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._splitter = LineSplitter(peer)

    def data_received(self, data: bytes) -> None:
        self._splitter.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._splitter.end()
        self._peer.ended()


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
