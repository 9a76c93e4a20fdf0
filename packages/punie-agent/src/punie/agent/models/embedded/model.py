"""A model in this process as a Pydantic AI model: history in, text and calls out, streamed.

Own replies are replayed word for word, so that the engine's prefix cache holds everything up to
the last tool result. What runs the tokens is `engine`; what may be said is `grammar`.
"""

# mlx_lm's tokenizer has no types that strict mode accepts
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic_ai import ModelProfile
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from punie.agent.errors import TurnFailedError
from punie.agent.events import Progress
from punie.agent.models import dialects, history, repairs
from punie.agent.models.cache import Cancelled, OnProgress, ignore_progress
from punie.agent.models.embedded import grammar as grammars
from punie.agent.models.embedded.decoding import Sampling
from punie.agent.models.embedded.engine import Engine, Finished, JobEvent, Prefilling, Text
from punie.agent.models.embedded.grammar import Copied, Grammar
from punie.agent.models.spec import ModelSpec
from punie.agent.models.splitting import CALLS, MARKS, Kind, Piece, TagSplitter
from punie.agent.models.streaming import MENDED, whole
from punie.agent.prompts.chat_template import ChatMessage, ToolSpec, render

PROVIDER = "embedded"
INVALID_CALL = "invalid_tool_call"
"""The name under which an unreadable call is reported; no tool is called so, and the model is told
which ones there are."""


class EmbeddedModel(Model):
    """Pydantic AI's view of an engine."""

    def __init__(
        self,
        engine: Engine,
        spec: ModelSpec,
        *,
        copying: bool = False,
        on_progress: OnProgress = ignore_progress,
    ) -> None:
        """Wrap an engine; it is started by the first request at the latest.

        Args:
            engine: Runs the tokens.
            spec: Name, context window and limits.
            copying: Hold whole replies to the embedded model's grammar: free text or one call, with
                paths, quotes and figures copied. Otherwise only the JSON of calls is constrained.
            on_progress: Told `prefill`, in tokens, in the event loop.
        """
        profile = ModelProfile(
            supports_inline_system_prompts=False,
            default_framing_announcement="never",
            supports_json_schema_output=False,
            context_window=spec.context_window,
        )
        super().__init__(profile=profile)
        self.engine = engine
        self.spec = spec
        self._copying = copying
        self._on_progress = on_progress

    @property
    def model_name(self) -> str:
        """The spec's name."""
        return self.spec.name or self.spec.spec

    @property
    def system(self) -> str:
        """The provider's name in traces."""
        return PROVIDER

    @property
    def provider(self) -> None:
        """There is no server."""
        return

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer in one piece."""
        return await whole(self.request_stream(messages, model_settings, model_request_parameters))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Answer as a stream; leaving it cancels the work.

        Raises:
            ModelUnavailableError: The model cannot be fetched, converted or loaded.
            TurnFailedError: The conversation is longer than the context window.
        """
        settings, params = self.prepare_request(model_settings, model_request_parameters)
        settings = settings or ModelSettings()
        loaded = await self.engine.loaded()
        chat = history.chat_messages(
            messages, self._get_instruction_parts(messages, params), raw=self._raw
        )
        tools = history.tool_specs(params)
        tokens = await asyncio.to_thread(render, loaded.tokenizer, chat, tools)
        may_call = settings.get("tool_choice") not in ("none", [])
        grammar = self._grammar(loaded.tokenizer, chat, tools, params, may_call=may_call)
        room = self.spec.context_window - len(tokens)
        if room < 1:
            raise TurnFailedError(
                f"the conversation is {len(tokens)} tokens long and {self.model_name} reads "
                f"{self.spec.context_window}: begin a new session"
            )
        sampling = self._sampling(settings, room=room)
        stable = await asyncio.to_thread(_stable, loaded.tokenizer, chat, tools, tokens)
        events = self.engine.stream(tokens, sampling=sampling, grammar=grammar, stable=stable)
        async with aclosing(events):
            yield EmbeddedStream(
                model_request_parameters=params,
                _model_name=self.model_name,
                _events=events,
                _tools=tools,
                _splitter=_splitter(loaded.tokenizer, tokens),
                _on_progress=self._on_progress,
                _parser=_foreign_parser(loaded.tokenizer),
            )

    def _sampling(self, settings: ModelSettings, *, room: int) -> Sampling:
        return Sampling(
            max_tokens=min(settings.get("max_tokens") or self.spec.max_tokens, room),
            temperature=settings.get("temperature", self.spec.temperature or 0.0),
            top_p=settings.get("top_p", 1.0),
            seed=settings.get("seed"),
        )

    def _grammar(
        self,
        tokenizer: Any,
        chat: Sequence[ChatMessage],
        tools: Sequence[ToolSpec],
        params: ModelRequestParameters,
        *,
        may_call: bool,
    ) -> Grammar | None:
        if self._copying:
            return grammars.reply_grammar(
                chat,
                tools if may_call else (),
                copied=_copied(params),
                calls_per_turn=self.spec.calls_per_turn,
                allow_text=params.allow_text_output,
            )
        if tools and may_call and _writes_json_calls(tokenizer):
            return grammars.call_grammar(tools)
        return None

    def _raw(self, response: ModelResponse) -> str | None:
        """Give back what this model wrote, to the letter."""
        if response.provider_name == PROVIDER and response.model_name == self.model_name:
            return (response.provider_details or {}).get("raw")
        return None


@dataclass
class EmbeddedStream(StreamedResponse):
    """One reply on its way."""

    _model_name: str = ""
    _events: AsyncGenerator[JobEvent] = field(kw_only=True)
    _tools: Sequence[ToolSpec] = ()
    _splitter: TagSplitter = field(default_factory=TagSplitter)
    _on_progress: OnProgress = ignore_progress
    _parser: Any = None
    _timestamp: datetime = field(default_factory=lambda: datetime.now(tz=UTC))
    _call: str = field(default="", init=False)
    _part: int = field(default=0, init=False)
    _calls: int = field(default=0, init=False)
    _mended: list[str] = field(default_factory=list[str], init=False)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for event in self._events:
            match event:
                case Prefilling(done, total, cached):
                    self._usage = RequestUsage(input_tokens=total, cache_read_tokens=cached)
                    self._on_progress(
                        Progress(what="prefill", done=done, total=total, unit="tokens")
                    )
                case Text(text):
                    for out in self._pieces(self._splitter.feed(text)):
                        yield out
                case Finished():
                    for out in self._end(event):
                        yield out

    def _end(self, finished: Finished) -> Iterator[ModelResponseStreamEvent]:
        cut = finished.reason == "length" and self._splitter.kind == "call"
        yield from self._pieces(self._splitter.finish())
        yield from self._flush_call(cut=cut)
        self._usage = RequestUsage(
            input_tokens=finished.prompt_tokens,
            cache_read_tokens=finished.cached_tokens,
            output_tokens=finished.output_tokens,
        )
        self.finish_reason = "tool_call" if self._calls else finished.reason
        self.provider_details = {"raw": finished.text}
        if self._mended:
            self.provider_details[MENDED] = self._mended

    def _pieces(self, pieces: Sequence[Piece]) -> Iterator[ModelResponseStreamEvent]:
        for kind, text in pieces:
            if kind == "call":
                self._call += text
                continue
            yield from self._flush_call()
            yield from self._show(kind, text)

    def _show(
        self, kind: Literal["text", "thinking"], text: str
    ) -> Iterator[ModelResponseStreamEvent]:
        if not text:
            return
        key = (kind, self._part)
        if kind == "thinking":
            yield from self._parts_manager.handle_thinking_delta(vendor_part_id=key, content=text)
        else:
            yield from self._parts_manager.handle_text_delta(
                vendor_part_id=key, content=text, ignore_leading_whitespace=True
            )

    def _flush_call(self, *, cut: bool = False) -> Iterator[ModelResponseStreamEvent]:
        text, self._call = self._call, ""
        if not text.strip():
            return
        self._part += 1
        for name, arguments, mended in self._read_calls(text, cut=cut):
            self._calls += 1
            self._mended += [f"{name}: {how}" for how in mended if how != dialects.AS_TEXT]
            yield from self._parts_manager.handle_tool_call_delta_events(
                vendor_part_id=("call", self._calls),
                tool_name=name,
                args=arguments,
                tool_call_id=f"call_{uuid.uuid4().hex[:12]}",
            )

    def _read_calls(self, text: str, *, cut: bool) -> list[repairs.CallText]:
        calls: list[repairs.CallText] = []
        if not cut:
            calls = dialects.read_calls(text, self._tools, closed=self._splitter.closed)
            if not calls and self._parser is not None:
                calls = _parse_foreign(self._parser, text, self._tools)
        if not calls and (named := dialects.cut_call(text)) is not None:
            calls = [named]
        return calls or [repairs.CallText(INVALID_CALL, {"text": text})]

    async def close_stream(self) -> None:
        """Stop the work."""
        await self._events.aclose()

    def get_stream_cancel_errors(self) -> tuple[type[BaseException], ...]:
        """Name what a cancelled job raises."""
        return (Cancelled,)

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self._model_name

    @property
    def provider_name(self) -> str:
        """The provider's name."""
        return PROVIDER

    @property
    def provider_url(self) -> None:
        """There is no server."""
        return

    @property
    def timestamp(self) -> datetime:
        """When the reply began."""
        return self._timestamp


def _stable(
    tokenizer: Any, chat: Sequence[ChatMessage], tools: Sequence[ToolSpec], tokens: Sequence[int]
) -> int:
    """Count the tokens at the beginning that do not depend on what the user says."""
    if not chat or chat[0]["role"] != "system":
        return 0
    other = render(tokenizer, [chat[0], {"role": "user", "content": "?"}], tools)
    same = 0
    for mine, its in zip(tokens, other, strict=False):
        if mine != its:
            break
        same += 1
    return same


def _copied(params: ModelRequestParameters) -> dict[str, Copied]:
    copied: dict[str, Copied] = {}
    for name, tool in params.tool_defs.items():
        if (metadata := tool.metadata) is not None and {"paths", "copied"} & metadata.keys():
            copied[name] = Copied(
                paths=tuple(metadata.get("paths", ())), quotes=tuple(metadata.get("copied", ()))
            )
    return copied


def _splitter(tokenizer: Any, prompt: list[int]) -> TagSplitter:
    """Take the marks that this model writes around reasoning and calls."""
    kind: Kind = "text"
    marks: dict[str, Kind] = dict(MARKS)
    calls = dict(CALLS)
    if tokenizer.has_thinking:
        marks |= {tokenizer.think_start: "thinking", tokenizer.think_end: "text"}
        if tokenizer.rfind_think_start(prompt) > tokenizer.rfind_think_end(prompt):
            kind = "thinking"  # the template opened it
    if tokenizer.has_tool_calling and tokenizer.tool_call_start:
        calls[tokenizer.tool_call_start] = tokenizer.tool_call_end or ""
    return TagSplitter(marks, calls, kind=kind)


def _writes_json_calls(tokenizer: Any) -> bool:
    """Tell whether calls are JSON behind one `<tool_call>` token."""
    return grammars.CALL_OPEN in tokenizer.get_added_vocab() and _parser_name(tokenizer) in {
        "",
        "json_tools",
    }


def _foreign_parser(tokenizer: Any) -> Any:
    """Give mlx-lm's parser, for what `dialects` cannot read; it wants the text without its marks."""
    if _parser_name(tokenizer) in {"", "json_tools", "qwen3_coder"}:
        return None
    begin, end = tokenizer.tool_call_start or "", tokenizer.tool_call_end or ""

    def parse(text: str, tools: list[ToolSpec]) -> Any:
        return tokenizer.tool_parser(text.removeprefix(begin).removesuffix(end), tools)

    return parse


def _parser_name(tokenizer: Any) -> str:
    parser = tokenizer.tool_parser
    return "" if parser is None else parser.__module__.rsplit(".", 1)[-1]


def _parse_foreign(parser: Any, text: str, tools: Sequence[ToolSpec]) -> list[repairs.CallText]:
    try:
        parsed = parser(text, list(tools))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, SyntaxError):
        # Each of mlx-lm's parsers fails in its own way on a malformed call; the model is told.
        return [repairs.CallText(INVALID_CALL, {"text": text})]
    calls: list[Mapping[str, Any]] = parsed if isinstance(parsed, list) else [parsed]
    return [
        repairs.mend(repairs.CallText(call["name"], _as_arguments(call["arguments"])), tools)
        for call in calls
    ]


def _as_arguments(value: Any) -> dict[str, Any] | str:
    return value if isinstance(value, dict | str) else json.dumps(value)
