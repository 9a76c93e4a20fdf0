"""One Pydantic AI agent over the tool catalog, for one model.

The agent holds no session state: that travels in `TurnContext`, so many sessions share one agent.
A person's own program passes no context; then each run gets a fresh one from `new_context`.
This module loads the model stack; import it where a turn begins, not at start-up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
import pydantic_ai
from pydantic_ai import Agent, ModelRetry, RunContext, ToolFailed
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import SkipModelRequest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestContext, ModelSelectionContext
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

from punie.agent.events import Notice, UsageUpdate
from punie.agent.models.served import is_small
from punie.agent.models.spec import ModelSpec
from punie.agent.models.streaming import MENDED
from punie.agent.prompts.instructions import default_instructions, short_instructions
from punie.agent.tools.base import Tool
from punie.agent.turns.context import TurnContext
from punie.agent.turns.execute import execute, parse
from punie.agent.turns.pictures import without_images
from punie.agent.turns.steering import Steering
from punie.agent.turns.thought import level_settings
from punie.agent.turns.window import fit

pydantic_ai.BANNER_ENABLED = False

OpenModel: TypeAlias = Callable[[], Awaitable[Model]]
NewContext: TypeAlias = Callable[[], TurnContext]

TOOL_RETRIES = 3
"""Times a model may correct the arguments of one tool."""
OUTPUT_RETRIES = 2
"""Times a model that answered nothing is asked again."""


def build_agent(
    model: Model | OpenModel, *, new_context: NewContext | None = None
) -> Agent[object, str]:
    """Make the agent for a model.

    Args:
        model: The model, or a function that opens it when the first run needs it.
        new_context: Makes the context of a run that was started without one.

    Returns:
        An agent whose `deps` is a `TurnContext`; any other value counts as none.
    """
    return Agent(
        name="punie",
        deps_type=object,
        capabilities=[Coding(model, new_context)],
        retries={"tools": TOOL_RETRIES, "output": OUTPUT_RETRIES},
    )


def definition(tool: Tool[Any, Any]) -> ToolDefinition:
    """Describe a catalog tool to a model; what a decoder may copy travels as metadata."""
    return ToolDefinition(
        name=tool.name,
        description=tool.description,
        parameters_json_schema=tool.schema,
        # What changes files or runs commands waits for its turn; reading goes side by side.
        sequential=tool.risk in {"write", "execute"},
        metadata={"paths": list(tool.path_arguments), "copied": list(tool.copied_arguments)},
    )


class Coding(AbstractCapability[object]):
    """Everything that makes an agent Punie: model, instructions, settings, tools, usage.

    One instance belongs to the agent; each run gets one that is bound to the run's context.
    """

    def __init__(
        self,
        model: Model | OpenModel,
        new_context: NewContext | None,
        context: TurnContext | None = None,
    ) -> None:
        self._model = model
        self._new_context = new_context
        self._context = context

    async def for_run(self, ctx: RunContext[object]) -> Coding:
        """Bind to the context that the run was given, or to a fresh one."""
        if isinstance(ctx.deps, TurnContext):
            ctx.deps.services.get(Steering, Steering).begin(ctx.enqueue)
            return Coding(self._model, None, ctx.deps)
        if self._new_context is None:
            raise TypeError(f"this agent needs a TurnContext as deps, not {ctx.deps!r}")
        return Coding(self._model, None, self._new_context())

    def get_model(self) -> Callable[[ModelSelectionContext[object]], Awaitable[Model]]:
        """Give a function that opens the model: a run enters what it gives, and so keeps connections."""
        model = self._model

        async def select(_context: ModelSelectionContext[object]) -> Model:
            return await model() if callable(model) else model

        return select

    def get_instructions(self) -> str | None:
        """Give the spec's instructions, or the default ones."""
        if self._context is None:
            return None
        spec = self._context.spec
        small = is_small(spec.name, spec.context_window)
        write = short_instructions if small else default_instructions
        root, *more = self._context.workspace.roots
        return spec.instructions or write(root, self._context.notes, more=more)

    def get_model_settings(self) -> Callable[[RunContext[object]], ModelSettings]:
        """Give the spec's sampling settings; no calls when the turn's calls are used up."""
        return self._settings

    def get_toolset(self) -> AbstractToolset[object] | None:
        """Give the run's tools."""
        return None if self._context is None else CatalogToolset(self._context)

    async def before_model_request(
        self, ctx: RunContext[object], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Make the request fit the model's context window, and write down what it reads."""
        if self._context is None:
            return request_context
        if self._context.parting:
            raise SkipModelRequest(ModelResponse(parts=[TextPart(self._context.parting)]))

        def replace(messages: list[ModelMessage]) -> None:
            ctx.messages[:] = messages

        fitted = await fit(self._context, request_context, replace)
        if self._context.keep is not None:
            await self._context.emitter.flush()
            await self._context.keep(ctx.messages)
        if not self._context.spec.images:
            fitted.messages = without_images(fitted.messages)
        return fitted

    async def after_model_request(
        self,
        ctx: RunContext[object],
        *,
        request_context: ModelRequestContext,
        response: ModelResponse,
    ) -> ModelResponse:
        """Write down what the model answered, and tell what it took and what was mended."""
        if self._context is not None:
            if self._context.keep is not None:
                await self._context.emitter.flush()
                await self._context.keep([*ctx.messages, response])
            if mended := (response.provider_details or {}).get(MENDED):
                await self._context.emitter.emit(
                    Notice(
                        severity="info",
                        title="Mended what the model wrote",
                        description="; ".join(mended),
                    )
                )
            usage = response.usage
            self._context.meter.correct(usage.input_tokens)
            await self._context.emitter.emit(
                UsageUpdate(
                    used=usage.input_tokens + usage.output_tokens,
                    size=self._context.spec.context_window,
                    input_tokens=usage.input_tokens,
                    cached_tokens=usage.cache_read_tokens,
                    output_tokens=usage.output_tokens,
                )
            )
        return response

    def _settings(self, _ctx: RunContext[object]) -> ModelSettings:
        if self._context is None:
            return ModelSettings()
        spec = self._context.spec
        settings = settings_of(spec) | level_settings(spec, self._context.thought)
        if self._context.exhausted:
            # The tools stay listed, so that the prompt's prefix stays the same and cached.
            settings["tool_choice"] = "none"
        return settings


def settings_of(spec: ModelSpec) -> ModelSettings:
    """Take the sampling settings out of a model spec; a spec without a name has none."""
    if not spec.spec:
        return ModelSettings()
    settings = ModelSettings()
    if spec.max_tokens:
        settings["max_tokens"] = spec.max_tokens
    if spec.temperature is not None:
        settings["temperature"] = spec.temperature
    return settings


class CatalogToolset(AbstractToolset[object]):
    """The tools of a turn, run by `turns.execute`."""

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._tools: dict[str, ToolsetTool[object]] = {}

    @property
    def id(self) -> str:
        """Name the toolset among others of one agent."""
        return "punie"

    async def get_tools(self, ctx: RunContext[object]) -> dict[str, ToolsetTool[object]]:
        """List the tools that the model is offered: the same ones in every request of a turn."""
        if not self._tools:
            self._tools = {
                name: ToolsetTool(
                    toolset=self,
                    tool_def=definition(tool),
                    max_retries=TOOL_RETRIES,
                    args_validator=_Arguments(tool),
                )
                for name, tool in self._context.tools.items()
            }
        return self._tools

    async def call_tool(
        self,
        name: str,
        tool_args: dict[str, Any],
        ctx: RunContext[object],
        tool: ToolsetTool[object],
    ) -> str:
        """Run one call; the model reads the text that comes back."""
        call_id = ctx.tool_call_id or name
        if (known := self._context.known.get(call_id)) is not None:
            return known
        done = await execute(self._context, name, tool_args, tool_call_id=call_id)
        if done.status == "broken":
            raise ToolFailed(done.text)
        return done.text


class _Arguments:
    """Checks arguments as the tool itself parses them, and answers a mistake in one sentence."""

    def __init__(self, tool: Tool[Any, Any]) -> None:
        self._tool = tool

    def validate_json(self, input: str | bytes | bytearray, **_options: Any) -> dict[str, Any]:
        """Check arguments that came as text."""
        try:
            arguments = msgspec.json.decode(input)
        except msgspec.DecodeError as error:
            raise ModelRetry(f"{self._tool.name}: the arguments are not JSON: {error}") from error
        return self.validate_python(arguments)

    def validate_python(self, input: Any, **_options: Any) -> dict[str, Any]:
        """Check arguments that came as an object."""
        try:
            parse(self._tool, input)
        except ValueError as error:
            raise ModelRetry(str(error)) from error
        return input
