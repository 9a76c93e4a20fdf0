"""Read the stream of an OpenAI-compatible server: text, reasoning, calls, usage, progress.

Calls are collected until the answer ends, mended where nothing is guessed and given unique ids;
one that was cut short goes out as it came, so that its arguments fail and the model is asked again.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import FinishReason, ModelResponseStreamEvent
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage

from punie.agent.events import Progress
from punie.agent.models import dialects, repairs
from punie.agent.models.ahead import ReadAhead
from punie.agent.models.cache import OnProgress, ignore_progress
from punie.agent.models.splitting import Kind, Piece, TagSplitter, TextGate
from punie.agent.models.streaming import MENDED
from punie.agent.prompts.chat_template import ToolSpec

PROVIDER = "local"

LINGER = 0.05
"""Seconds that a server may take from `[DONE]` to the end of its answer."""

_KEEPALIVE = re.compile(r"keepalive\s+(\d+)/(\d+)")
"""mlx_lm.server says so how much of the prompt is read."""
_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
}


class AnswerCutError(ModelAPIError):
    """The connection ended in the middle of an answer."""


@dataclass
class _OpenCall:
    """A call whose pieces are still coming in."""

    id: str | None
    name: str
    arguments: str = ""


@dataclass
class ChatStream(StreamedResponse):
    """One answer on its way from a server."""

    _model_name: str = ""
    _url: str = ""
    _response: httpx2.Response = field(kw_only=True)
    _tools: Sequence[ToolSpec] = ()
    _on_progress: OnProgress = ignore_progress
    _timestamp: datetime = field(default_factory=lambda: datetime.now(tz=UTC))
    _splitter: TagSplitter = field(default_factory=TagSplitter, init=False)
    _gate: TextGate = field(init=False)
    _written_call: str = field(default="", init=False)
    _part: int = field(default=0, init=False)
    _mended: list[str] = field(default_factory=list[str])
    _open: dict[object, _OpenCall] = field(default_factory=dict[object, _OpenCall], init=False)
    _done_calls: list[_OpenCall] = field(default_factory=list[_OpenCall], init=False)
    _ids: set[str] = field(default_factory=set[str], init=False)
    _untold: list[str] = field(default_factory=list[str], init=False)
    """Text of one kind that was not told yet."""
    _untold_key: tuple[Kind, int] = field(default=("text", 0), init=False)
    _done: bool = field(default=False, init=False)
    _ahead: ReadAhead = field(init=False)

    def __post_init__(self) -> None:
        """Hold back text only when there is something to call."""
        self._gate = TextGate(tool["function"]["name"] for tool in self._tools)
        self._ahead = ReadAhead(self._response.aiter_text())

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for lines in self._lines():
            failure: ModelAPIError | None = None
            for line in lines:
                try:
                    chunk = self._read(line)
                except ModelAPIError as error:
                    failure = error
                    break
                for event in self._chunk(chunk):
                    yield event
            # What came together is told together: a fast model costs no event for each word.
            for event in self._tell():
                yield event
            if failure is not None:
                raise failure
            if self._done:
                break
        for event in [*self._end(), *self._tell()]:
            yield event

    async def _lines(self) -> AsyncIterator[list[str]]:
        """Give the lines of the stream, those together that arrived together."""
        rest = ""
        try:
            async for text in self._ahead:
                *lines, rest = (rest + text).split("\n")
                yield lines
                if self._done:
                    return
            yield [rest]
            if self.finish_reason is None and not self._done and not self.cancelled:
                # Neither a reason nor `[DONE]`: a closed connection is not the end of an answer.
                raise AnswerCutError(self._model_name, f"{self._url} broke off in mid-answer")
        except httpx2.ReadTimeout as error:
            raise ModelAPIError(self._model_name, f"{self._url} stopped answering") from error
        except httpx2.TransportError as error:
            if self.cancelled:
                raise
            raise AnswerCutError(self._model_name, f"{self._url} broke off: {error}") from error

    def _read(self, line: str) -> dict[str, Any]:
        """Read one line; an empty object when it holds no chunk."""
        if line.startswith(":"):
            self._note_progress(line)
        elif line.startswith("data:") and not self._done:
            data = line[len("data:") :].strip()
            if data == "[DONE]":
                self._done = True
            else:
                return self._decoded(data)
        return {}

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        self._note_usage(chunk)
        if answered := chunk.get("model"):
            self.provider_details = {**(self.provider_details or {}), "model": answered}
        for choice in chunk.get("choices") or ():
            yield from self._choice(choice)

    def _decoded(self, data: str) -> dict[str, Any]:
        try:
            chunk: object = json.loads(data)
        except ValueError as error:
            message = f"{self._url} sent something that is not JSON: {data[:80]}"
            raise ModelAPIError(self._model_name, message) from error
        if not isinstance(chunk, dict):
            raise ModelAPIError(self._model_name, f"{self._url} sent {data[:80]}")
        decoded = cast("dict[str, Any]", chunk)
        if error := decoded.get("error"):
            raise ModelAPIError(self._model_name, f"{self._url}: {error_text(error)}")
        return decoded

    def _choice(self, choice: dict[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        delta: dict[str, Any] = choice.get("delta") or {}
        if thought := delta.get("reasoning") or delta.get("reasoning_content"):
            yield from self._show("thinking", thought)
        if text := delta.get("content"):
            yield from self._pieces(self._splitter.feed(text))
        for call in delta.get("tool_calls") or ():
            self._collect(call)
        if reason := choice.get("finish_reason"):
            self.finish_reason = _FINISH.get(reason, "stop")

    def _pieces(self, pieces: Sequence[Piece]) -> Iterator[ModelResponseStreamEvent]:
        for kind, text in pieces:
            if kind == "call":
                self._written_call += text
                continue
            yield from self._flush_written(closed=True)
            yield from self._show(kind, text)

    def _show(self, kind: Kind, text: str) -> Iterator[ModelResponseStreamEvent]:
        if text and kind == "thinking":
            yield from self._say(kind, text)
        elif text and (shown := self._gate.feed(text)):
            yield from self._say("text", shown)

    def _say(self, kind: Kind, text: str) -> Iterator[ModelResponseStreamEvent]:
        """Add to what is told next."""
        if self._untold and self._untold_key != (kind, self._part):
            yield from self._tell()
        self._untold_key = (kind, self._part)
        self._untold.append(text)

    def _tell(self) -> Iterator[ModelResponseStreamEvent]:
        text, key = "".join(self._untold), self._untold_key
        self._untold.clear()
        if not text:
            return
        if key[0] == "thinking":
            yield from self._parts_manager.handle_thinking_delta(vendor_part_id=key, content=text)
        else:
            yield from self._parts_manager.handle_text_delta(
                vendor_part_id=key, content=text, ignore_leading_whitespace=True
            )

    def _collect(self, piece: dict[str, Any]) -> None:
        """Take a piece of a call; another id or name at the same index begins another call."""
        function: dict[str, Any] = piece.get("function") or {}
        name: str = function.get("name") or ""
        arguments: object = function.get("arguments")
        key: object = piece.get("index")
        if key is None:
            key = piece.get("id") or len(self._open)
        current = self._open.get(key)
        if current is None or _begins_another(current, piece.get("id"), name):
            current = self._open[key] = _OpenCall(piece.get("id") or None, name)
            self._done_calls.append(current)
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        current.arguments += str(arguments or "")

    def _end(self) -> Iterator[ModelResponseStreamEvent]:
        yield from self._pieces(self._splitter.finish())
        cut = self.finish_reason == "length"
        yield from self._flush_written(closed=self._splitter.closed, cut=cut)
        yield from self._flush_held(cut=cut)
        for number, call in enumerate(self._done_calls):
            last = number == len(self._done_calls) - 1
            read = repairs.CallText(call.name, call.arguments)
            if not (cut and last):
                # Servers that say nothing about the end may have been cut by a full context.
                read = repairs.mend(read, self._tools, closed=self.finish_reason is not None)
            yield from self._emit(read, call.id)
        if self._ids and not cut:
            self.finish_reason = "tool_call"
        if self._mended:
            self.provider_details = {**(self.provider_details or {}), MENDED: self._mended}

    def _flush_written(
        self, *, closed: bool, cut: bool = False
    ) -> Iterator[ModelResponseStreamEvent]:
        """Hand on what was written between the marks of calls."""
        text, self._written_call = self._written_call, ""
        if not text.strip():
            return
        self._part += 1
        calls = [] if cut else dialects.read_calls(text, self._tools, closed=closed)
        if not calls and (named := dialects.cut_call(text)) is not None:
            calls = [named]
        for call in calls:
            yield from self._emit(call, None)
        if not calls:
            yield from self._show("text", text)

    def _flush_held(self, *, cut: bool) -> Iterator[ModelResponseStreamEvent]:
        """Decide about text that looked like nothing but a call."""
        text = self._gate.finish()
        calls = [] if cut or self._done_calls else dialects.bare_calls(text, self._tools)
        for call in calls:
            yield from self._emit(call, None)
        if not calls and text.strip():
            yield from self._say("text", text)

    def _emit(
        self, call: repairs.CallText, call_id: str | None
    ) -> Iterator[ModelResponseStreamEvent]:
        yield from self._tell()
        if not call_id or call_id in self._ids:
            call_id = f"call_{uuid.uuid4().hex[:12]}"
        self._ids.add(call_id)
        self._mended += [f"{call.name}: {how}" for how in call.mended]
        yield from self._parts_manager.handle_tool_call_delta_events(
            vendor_part_id=call_id,
            tool_name=call.name,
            args=call.arguments,
            tool_call_id=call_id,
        )

    def _note_usage(self, chunk: dict[str, Any]) -> None:
        if usage := chunk.get("usage"):
            details: dict[str, Any] = usage.get("prompt_tokens_details") or {}
            self._usage = RequestUsage(
                input_tokens=usage.get("prompt_tokens") or 0,
                cache_read_tokens=details.get("cached_tokens") or 0,
                output_tokens=usage.get("completion_tokens") or 0,
            )

    def _note_progress(self, line: str) -> None:
        if found := _KEEPALIVE.search(line):
            done, total = int(found[1]), int(found[2])
            self._on_progress(Progress(what="prefill", done=done, total=total, unit="tokens"))

    async def finish(self) -> None:
        """Read no further, but for what a server sends after `[DONE]`.

        After that the connection can serve the next request; one that a server holds open is closed.
        """
        await self._ahead.aclose(patience=LINGER if self._done else 0.0)
        await self._response.aclose()

    async def close_stream(self) -> None:
        """Close the connection, which stops the server."""
        await self._ahead.aclose()
        await self._response.aclose()

    @property
    def model_name(self) -> str:
        """The id that the request carried."""
        return self._model_name

    @property
    def provider_name(self) -> str:
        """The provider's name."""
        return PROVIDER

    @property
    def provider_url(self) -> str:
        """The server."""
        return self._url

    @property
    def timestamp(self) -> datetime:
        """When the answer began."""
        return self._timestamp


def error_text(error: object) -> str:
    """Find the message in what servers send as an error."""
    if isinstance(error, dict):
        table = cast("dict[str, object]", error)
        inner = table.get("message") or table.get("error") or table.get("detail")
        return error_text(inner) if inner else json.dumps(table)[:300]
    return str(error).strip()[:300]


def _begins_another(current: _OpenCall, call_id: str | None, name: str) -> bool:
    return bool(
        (call_id and current.id and call_id != current.id)
        or (name and current.name and name != current.name)
    )
