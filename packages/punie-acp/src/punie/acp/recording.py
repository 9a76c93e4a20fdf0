"""Record what passes on a wire as JSON lines, and play one side of a recording as a fake peer.

Secrets do not get into a recording: `_meta`, and the values of environments and headers of MCP
servers, are taken out before anything is written. A frame that is no JSON is kept as text, cut
short, unless it could hold a secret.

Left out: timing in a replay. The fake peer answers as soon as it has seen what the recording says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from punie.acp.errors import RecordingMismatchError
from punie.acp.jsonrpc import DECODE_ERRORS
from punie.acp.transports.base import Receiver, Transport

Sender: TypeAlias = Literal["client", "agent"]
Trace: TypeAlias = Callable[[Sender, bytes], None]
"""Called with each frame that passes, in order; must not block or raise."""

REDACTED = "[redacted]"
_SECRET_WORDS = (b'"_meta"', b'"env"', b'"headers"', b"token", b"secret", b"password")
_TEXT_LIMIT = 200
"""Characters kept of what is no JSON."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """One frame of a recording, a line of its file."""

    at: float
    """Seconds since the recording began."""
    sender: Sender
    frame: Raw | UnsetType = UNSET
    """The frame, without secrets; not there when it was no JSON."""
    text: str | None = None
    """The beginning of what was no JSON."""
    size: int
    """Bytes of the frame as it passed."""


_encoder = msgspec.json.Encoder()
_entries = msgspec.json.Decoder(Entry)


def redact(frame: bytes) -> bytes | None:
    """Take the secrets out of a frame.

    Args:
        frame: One JSON text.

    Returns:
        It with every `_meta` emptied and each value in an `env` or `headers` replaced; `None` when
        it cannot be read.
    """
    try:
        value: object = msgspec.json.decode(frame)
        _clean(value)
        return _encoder.encode(value)
    except DECODE_ERRORS:
        return None


def _clean(root: object) -> None:
    """Take secrets out of a JSON value, in place; a loop, since it may be nested deeply."""
    waiting: list[object] = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += cast("list[object]", value)
        elif isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            for key, inner in fields.items():
                if key == "_meta" and inner is not None:
                    fields[key] = {}
                elif key in {"env", "headers"}:
                    _hide_values(inner)
                else:
                    waiting.append(inner)


def _hide_values(variables: object) -> None:
    """Replace the values of variables: a list of objects with a name, or one object."""
    if isinstance(variables, list):
        for variable in cast("list[object]", variables):
            if isinstance(variable, dict):
                fields = cast("dict[str, object]", variable)
                fields.update({key: REDACTED for key in fields if key != "name"})
    elif isinstance(variables, dict):
        fields = cast("dict[str, object]", variables)
        fields.update(dict.fromkeys(fields, REDACTED))


def readable(frame: bytes) -> str:
    """The beginning of a frame that is no JSON, unless it may hold a secret."""
    if any(word in frame.lower() for word in _SECRET_WORDS):
        return REDACTED
    return frame[: _TEXT_LIMIT * 4].decode(errors="replace")[:_TEXT_LIMIT]


class Recorder:
    """Writes frames to a file as they pass; give it as the `trace` of a `TracedTransport`.

    Args:
        file: Opened for bytes; flushed after each frame, closed by whoever opened it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._began = time.monotonic()

    def __call__(self, sender: Sender, frame: bytes) -> None:
        """Write a frame."""
        at = round(time.monotonic() - self._began, 6)
        clean = redact(frame)
        if clean is None:
            entry = Entry(at=at, sender=sender, text=readable(frame), size=len(frame))
        else:
            entry = Entry(at=at, sender=sender, frame=Raw(clean), size=len(frame))
        self._file.write(_encoder.encode(entry) + b"\n")
        self._file.flush()


def read_recording(path: Path) -> list[Entry]:
    """Read a recording.

    Args:
        path: A file that a `Recorder` wrote.

    Raises:
        msgspec.DecodeError: A line is no entry of a recording.
    """
    return [_entries.decode(line) for line in path.read_bytes().splitlines() if line.strip()]


class TracedTransport:
    """A transport that shows every frame that passes, both ways, to a `Trace`.

    Args:
        transport: Does the work.
        side: Whose transport it is: what it sends comes from there.
        trace: Sees the frames as they are, secrets included; a `Recorder` takes them out.
    """

    def __init__(self, transport: Transport, side: Sender, trace: Trace) -> None:
        self._transport = transport
        self._side: Sender = side
        self._peer: Sender = "agent" if side == "client" else "client"
        self._trace = trace
        self._receiver: Receiver | None = None

    async def open(self, receiver: Receiver) -> None:
        """Start to read."""
        self._receiver = receiver
        await self._transport.open(self)

    def send(self, frame: bytes) -> None:
        """Queue a frame."""
        self._trace(self._side, frame)
        self._transport.send(frame)

    def frame_received(self, frame: bytes) -> None:
        """A frame came."""
        self._trace(self._peer, frame)
        if self._receiver is not None:
            self._receiver.frame_received(frame)

    def frame_dropped(self, size: int) -> None:
        """A frame was too long, and is not traced."""
        if self._receiver is not None:
            self._receiver.frame_dropped(size)

    def ended(self) -> None:
        """Nothing more will come."""
        if self._receiver is not None:
            self._receiver.ended()

    async def drain(self) -> None:
        """Wait until little is queued."""
        await self._transport.drain()

    def pause_reading(self) -> None:
        """Stop to bring frames."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Bring frames again."""
        self._transport.resume_reading()

    def stop_reading(self) -> None:
        """Act as if the peer had closed its side."""
        self._transport.stop_reading()

    async def aclose(self) -> None:
        """Close."""
        await self._transport.aclose()


class Replay:
    """Plays one side of a recording: sends what it sent, once the other side did what it did.

    Requests of the other side are matched by their method, in order, and answered under the ids
    they have now; ids of sessions that an agent gives now are put in the place of the recorded ones.
    Messages of the other side may come in another order than recorded, as far as what is played
    does not depend on it.

    Args:
        recording: What happened.
        side: Whom to play.
        transport: Opened and closed by `run`.
    """

    def __init__(self, recording: Iterable[Entry], side: Sender, transport: Transport) -> None:
        self._entries = [_Step(entry) for entry in recording if entry.frame is not UNSET]
        self._side: Sender = side
        self._transport = transport
        self._position = 0
        self._ids: dict[Any, Any] = {}
        self._sessions: dict[str, str] = {}
        self._failure: RecordingMismatchError | None = None
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Play to the end of the recording, or of the connection.

        Raises:
            RecordingMismatchError: The other side did something else than recorded, or left early.
        """
        await self._transport.open(self)
        self._advance()
        await self._done.wait()
        await self._transport.aclose()
        if self._failure is not None:
            raise self._failure

    def frame_received(self, frame: bytes) -> None:
        """The other side did something."""
        seen = _decode(frame)
        if self._done.is_set():
            return
        for step in self._expected():
            if step.key == _key(seen):
                step.seen = True
                self._learn(step.message, seen)
                self._advance()
                return
        self._fail(f"{_describe(seen)} was not recorded here")

    def frame_dropped(self, size: int) -> None:
        """The other side sent too much."""
        self._fail(f"a frame of {size} bytes is too long")

    def ended(self) -> None:
        """The other side left."""
        missing = next(self._expected(), None)
        if missing is not None and not self._done.is_set():
            self._fail(f"the peer left before {_describe(missing.message)}")
        self._done.set()

    def _expected(self) -> Iterator[_Step]:
        """What the other side is still to do, in order."""
        return (step for step in self._entries if step.sender != self._side and not step.seen)

    def _advance(self) -> None:
        """Send up to the next frame of the other side that has not come yet."""
        while self._position < len(self._entries):
            step = self._entries[self._position]
            if step.sender == self._side:
                self._transport.send(_encoder.encode(self._translate(step.message)))
            elif not step.seen:
                return
            self._position += 1
        self._done.set()

    def _learn(self, recorded: dict[str, Any], seen: dict[str, Any]) -> None:
        if "method" in seen and "id" in seen:
            self._ids[recorded.get("id")] = seen["id"]
        before, now = recorded.get("result"), seen.get("result")
        if isinstance(before, dict) and isinstance(now, dict):
            old, new = _session_id(before), _session_id(now)
            if old is not None and new is not None:
                self._sessions[old] = new

    def _translate(self, message: dict[str, Any]) -> dict[str, Any]:
        """Put the ids of now into a recorded message."""
        translated = dict(message)
        if "method" not in message:
            translated["id"] = self._ids.get(message.get("id"), message.get("id"))
        params = message.get("params")
        if isinstance(params, dict):
            known = cast("dict[str, Any]", params)
            session = self._sessions.get(known.get("sessionId", ""))
            if session is not None:
                translated["params"] = known | {"sessionId": session}
        return translated

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or RecordingMismatchError(reason)
        self._done.set()


class _Step:
    """An entry of a recording that is being played."""

    def __init__(self, entry: Entry) -> None:
        self.sender = entry.sender
        self.message = _decode(bytes(entry.frame) if isinstance(entry.frame, Raw) else b"{}")
        self.key = _key(self.message)
        self.seen = False


def _decode(frame: bytes) -> dict[str, Any]:
    try:
        value: object = msgspec.json.decode(frame)
    except DECODE_ERRORS:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _key(message: dict[str, Any]) -> tuple[str, Any]:
    """What tells messages apart: the method, or the id that a response answers."""
    if "method" in message:
        return ("request" if "id" in message else "notification"), message["method"]
    return "response", message.get("id")


def _describe(message: dict[str, Any]) -> str:
    kind, name = _key(message)
    return f"a {kind} {name!r}"


def _session_id(result: Any) -> str | None:
    session_id = result.get("sessionId")
    return session_id if isinstance(session_id, str) else None
