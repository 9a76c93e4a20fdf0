"""Runs a model over cases: one model step per prompt, through the road that serves it.

Any spec is opened by `punie.agent.models.registry` and asked as the agent asks: same instructions,
same tools, same template and grammar. The step ends at the first call; nothing is executed.
`null` never calls anything, `oracle` does what the case expects: the controls of every score.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from punie.agent.errors import ModelUnavailableError
from punie.train.data.example import Message
from punie.train.data.generators.results import Recorded
from punie.train.errors import CaseError, TrainError
from punie.train.evals.case import Case
from punie.train.evals.scorers import Step

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model

    from punie.agent.models.spec import ModelSpec

CONTROLS = ("null", "oracle")

Told = Callable[[int, int], None]
"""Called after each case with the cases done and all of them."""


class Answered(NamedTuple):
    """A case and what the model did."""

    case: Case
    step: Step


class Subject(NamedTuple):
    """A model under test."""

    spec: str
    fingerprint: str
    """Of weights and adapter where they are known, else of the name the server gave."""
    step: Callable[[Case], Awaitable[Step]]
    report: Callable[[str, Recorded], Awaitable[str]]
    """From a prompt and a recorded result to the model's sentence about it."""
    model: Model | None = None
    """What is asked; a control has none."""


@asynccontextmanager
async def open_subject(
    name: str, *, adapter: Path | None = None, grammar: bool = True
) -> AsyncGenerator[Subject]:
    """Open what is to be scored.

    Args:
        name: A model spec, or one of `CONTROLS`.
        adapter: A LoRA folder for `embedded`, instead of the shipped one.
        grammar: Whether a model in this process is held to its grammar of copied arguments.

    Raises:
        TrainError: The options do not fit the model.
        ModelUnavailableError: There is no such model, or it does not answer.
    """
    if name in CONTROLS:
        yield _control(name)
    elif name == "embedded":
        async with _embedded(adapter, grammar=grammar) as subject:
            yield subject
    elif adapter is not None:
        raise TrainError("--adapter only applies to the model `embedded`")
    else:
        async with _any(name, grammar=grammar) as subject:
            yield subject


async def run(
    subject: Subject, cases: Sequence[Case], *, told: Told = lambda done, total: None
) -> list[Answered]:
    """Ask a model every case, one after the other."""
    answered: list[Answered] = []
    for case in cases:
        answered.append(Answered(case, await subject.step(case)))
        told(len(answered), len(cases))
    return answered


def _control(name: str) -> Subject:
    async def step(case: Case) -> Step:
        if name == "null" or case.expect.tool is None:
            return Step(text="I do not know." if name == "null" else "An answer.")
        return Step(tool=case.expect.tool, arguments=case.expect.arguments)

    async def report(_prompt: str, one: Recorded) -> str:
        return "I do not know." if name == "null" else one.headline

    return Subject(name, f"control-{name}", step, report)


@asynccontextmanager
async def _embedded(adapter: Path | None, *, grammar: bool) -> AsyncGenerator[Subject]:
    from punie.agent.models import registry
    from punie.agent.models.embedded.model import EmbeddedModel
    from punie.agent.models.embedded.spec import embedded_spec

    engine = registry.open_engine(adapter=adapter)
    try:
        await engine.loaded()
        spec = embedded_spec(adapter=adapter)
        yield subject_of(EmbeddedModel(engine, spec, copying=grammar), spec)
    finally:
        engine.close()


@asynccontextmanager
async def _any(name: str, *, grammar: bool) -> AsyncGenerator[Subject]:
    from punie.agent.models import registry
    from punie.agent.models.embedded.model import EmbeddedModel

    spec, model = await registry.open_model(name)
    if isinstance(model, EmbeddedModel):
        try:
            yield subject_of(model if grammar else EmbeddedModel(model.engine, spec), spec)
        finally:
            model.engine.close()
    elif grammar:
        yield subject_of(model, spec)
    else:
        raise TrainError("--no-grammar only applies to `embedded` and `mlx:PATH`")


def subject_of(model: Model, spec: ModelSpec) -> Subject:
    """Ask a model that is open already as the agent asks it."""
    asking = _Asking(model, spec)
    seen = spec.fingerprint or hashlib.sha256(model.model_name.encode()).hexdigest()
    return Subject(spec.spec, seen, asking.step, asking.report, model)


class _Asking:
    """Asks a Pydantic AI model as the agent does."""

    def __init__(self, model: Model, spec: ModelSpec) -> None:
        from punie.agent.prompts.instructions import default_instructions
        from punie.agent.tools import catalog
        from punie.agent.turns.build import definition, settings_of

        self._model = model
        self._instructions = spec.instructions or default_instructions(Path.cwd())
        self._settings = settings_of(spec)
        self._tools = [definition(tool) for tool in catalog.select(spec.tools)]

    async def step(self, case: Case) -> Step:
        """Ask one prompt and stop at the first call."""
        from pydantic_ai.messages import TextPart, ToolCallPart

        try:
            earlier = [self._said(message) for message in case.earlier]
            response = await self._ask([*earlier, self._user(case.prompt)])
        except ModelUnavailableError:
            raise  # no model at all is no score of zero
        except Exception as error:  # noqa: BLE001 - a model's failure is a wrong step, not the end
            return Step(error=f"{type(error).__name__}: {error}")
        for part in response.parts:
            if isinstance(part, ToolCallPart):
                return Step(tool=part.tool_name, arguments=_arguments(part))
        return Step(text="".join(p.content for p in response.parts if isinstance(p, TextPart)))

    async def report(self, prompt: str, one: Recorded) -> str:
        """Show the model a call with its real result and take its answer."""
        from pydantic_ai.messages import (
            ModelRequest,
            ModelResponse,
            TextPart,
            ToolCallPart,
            ToolReturnPart,
        )

        call = ToolCallPart(one.tool, one.arguments, tool_call_id="call_1")
        result = ToolReturnPart(one.tool, one.rendered, tool_call_id="call_1")
        response = await self._ask(
            [
                self._user(prompt),
                ModelResponse([call]),
                ModelRequest([result], instructions=self._instructions),
            ],
            tool_choice="none",
        )
        return "".join(part.content for part in response.parts if isinstance(part, TextPart))

    def _said(self, message: Message) -> ModelMessage:
        from pydantic_ai.messages import ModelResponse, TextPart

        if message.role == "assistant" and not message.call:
            return ModelResponse([TextPart(message.content)])
        if message.role == "user":
            return self._user(message.content)
        raise CaseError("what was said before a case is text: a call has no result to go with it")

    def _user(self, prompt: str) -> ModelMessage:
        from pydantic_ai.messages import ModelRequest, UserPromptPart

        return ModelRequest([UserPromptPart(prompt)], instructions=self._instructions)

    async def _ask(self, messages: list[ModelMessage], **settings: Any) -> Any:
        from pydantic_ai.models import ModelRequestParameters

        parameters = ModelRequestParameters(function_tools=self._tools, allow_text_output=True)
        return await self._model.request(messages, {**self._settings, **settings}, parameters)  # pyright: ignore[reportArgumentType]


def _arguments(part: Any) -> dict[str, Any]:
    try:
        return dict(part.args_as_dict())
    except ValueError:
        return {"unreadable": str(part.args)}
