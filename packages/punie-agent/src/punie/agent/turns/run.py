"""Run one turn: prompt in, events out, and an outcome whatever happens.

Nothing that a model, a server or a cancel does escapes from here as an exception: it becomes a stop
reason, one sentence, and a history from which the next prompt can go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import structs
from pydantic_ai import Agent, AgentRunResult, AgentRunResultEvent, CancellationToken, UsageLimits
from pydantic_ai.agent.abstract import AgentRunEvents
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    OutputTokenLimitExceeded,
    RunCancelled,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, UserContent
from pydantic_ai.usage import RunUsage

from punie.agent.errors import ModelUnavailableError, PunieError
from punie.agent.events import Notice, StopReason, UserMessage
from punie.agent.models.sse import AnswerCutError
from punie.agent.turns.checked import back_to_the_model, check_end, tell_left
from punie.agent.turns.context import REPEATS, TurnContext
from punie.agent.turns.outcome import TurnOutcome, TurnUsage
from punie.agent.turns.pictures import content_of, unseen
from punie.agent.turns.thought import with_switch
from punie.agent.turns.translate import Translator

log = logging.getLogger(__name__)

SENTENCE = 400
"""Longest error message, characters."""


ASKED_AGAIN = 2
"""Times in a turn that a model whose answer broke off is asked the same again."""


class TurnEnd(NamedTuple):
    """What a turn leaves behind."""

    outcome: TurnOutcome
    history: list[ModelMessage]
    """Everything said so far, for the next turn."""


class _Stop(NamedTuple):
    reason: StopReason
    error: str = ""
    code: int = 1
    cut: bool = False
    """The connection ended in the middle of an answer."""


async def run_turn(
    agent: Agent[object, str],
    prompt: UserMessage | None,
    *,
    context: TurnContext,
    history: Sequence[ModelMessage],
    new_id: Callable[[], str],
) -> TurnEnd:
    """Run one prompt to its end, and back to the model while checks of its changes fail.

    Args:
        agent: From `turns.build`.
        prompt: What the person wrote; `None` runs the open calls that end the history.
        context: The turn; its emitter must be open.
        history: The conversation so far.
        new_id: Makes message ids.

    Returns:
        The outcome, and the history to keep. Never raises for what happens in the turn.
    """
    content = None
    if prompt is not None:
        text = with_switch(prompt.text, context.spec, context.thought)
        content = content_of(text, prompt.images)
        if (notice := unseen(context.spec, prompt.images)) is not None:
            await context.emitter.emit(notice)
    end = await _run_once(agent, content, context=context, history=history, new_id=new_id)
    rounds = context.checks.settings.rounds
    for number in range(1, rounds + 2):
        if not rounds or not context.changes or end.outcome.stop_reason != "end_turn":
            break
        if context.parting:  # the person's answer comes first; the checks after the next turn
            break
        findings = await check_end(context, number=number)
        blocking = [one for one in findings if one.blocking]
        if context.cancellation.requested:
            outcome = structs.replace(end.outcome, stop_reason="cancelled")
            return TurnEnd(outcome, end.history)
        if not blocking:
            break
        if number > rounds:
            await tell_left(context, blocking)
            break
        again = await _run_once(
            agent,
            back_to_the_model(blocking),
            context=context,
            history=end.history,
            new_id=new_id,
        )
        end = TurnEnd(_together(end.outcome, again.outcome), again.history)
    return end


async def _ask_again(
    agent: Agent[object, str],
    kept: list[ModelMessage],
    *,
    context: TurnContext,
    new_id: Callable[[], str],
) -> TurnEnd:
    """Send the request again whose answer broke off; half an answer is none."""
    context.asked_again += 1
    await context.emitter.emit(
        Notice(severity="warning", title="The model's answer broke off: asked again")
    )
    while kept and isinstance(kept[-1], ModelResponse):
        kept.pop()
    return await _run_once(agent, None, context=context, history=kept, new_id=new_id)


def _together(first: TurnOutcome, second: TurnOutcome) -> TurnOutcome:
    """Make one outcome of a turn that went back to the model."""
    usage = _sum(first.usage, second.usage)
    return structs.replace(second, usage=usage, text=second.text or first.text)


def _sum(a: TurnUsage, b: TurnUsage) -> TurnUsage:
    return TurnUsage(
        requests=a.requests + b.requests,
        input_tokens=a.input_tokens + b.input_tokens,
        cached_tokens=a.cached_tokens + b.cached_tokens,
        output_tokens=a.output_tokens + b.output_tokens,
    )


async def _run_once(
    agent: Agent[object, str],
    prompt: str | Sequence[UserContent] | None,
    *,
    context: TurnContext,
    history: Sequence[ModelMessage],
    new_id: Callable[[], str],
) -> TurnEnd:
    """Let the model work until it answers, is stopped or fails."""
    token = CancellationToken()
    context.cancellation.on_cancel(token.cancel)
    translator = Translator(context, new_id)
    async with agent.run_stream_events(
        prompt,
        deps=context,
        message_history=history,
        cancellation_token=token,
        usage_limits=UsageLimits(request_limit=None),
    ) as events:
        result: AgentRunResult[str] | None = None
        try:
            async for event in events:
                await translator.see(event)
                if isinstance(event, AgentRunResultEvent):
                    result = event.result
            stop = _finished(result)
        except RunCancelled:
            stop = await _cancelled(context)
        except Exception as error:  # noqa: BLE001 the edge of a turn: whatever a model or server raised
            stop = _failed(error)
        kept, usage = _left(events, history)
    if stop.cut and context.asked_again < ASKED_AGAIN and not context.cancellation.requested:
        again = await _ask_again(agent, kept, context=context, new_id=new_id)
        return TurnEnd(
            structs.replace(again.outcome, usage=_sum(usage, again.outcome.usage)), again.history
        )
    await context.close_rest("cancelled" if stop.reason == "cancelled" else "failed")
    outcome = TurnOutcome(
        stop_reason=stop.reason,
        text=result.output if result is not None else translator.text,
        usage=usage,
        tool_calls=tuple(context.calls.values()),
        denied=context.denied,
        error=stop.error,
        error_code=stop.code,
    )
    return TurnEnd(outcome, kept)


def _finished(result: AgentRunResult[str] | None) -> _Stop:
    if result is None:
        return _Stop("error", "the model's answer was cut off")
    response = result.response
    if response.state == "interrupted":
        return _Stop("error", "the model's answer was cut off")
    match response.finish_reason:
        case "length":
            return _Stop("max_tokens")
        case "content_filter":
            return _Stop("refusal")
        case "error":
            return _Stop("error", "the model reported an error instead of an answer")
        case _:
            return _Stop("end_turn")


async def _cancelled(context: TurnContext) -> _Stop:
    if not context.looping:
        return _Stop("cancelled")
    await context.emitter.emit(
        Notice(
            severity="warning",
            title=f"Stopped: the model made the same call {REPEATS} times and learned nothing new",
        )
    )
    return _Stop("max_turn_requests")


def _failed(error: Exception) -> _Stop:
    match error:
        case PunieError():
            return _Stop("error", one_line(str(error)), error.exit_code)
        case OutputTokenLimitExceeded():
            return _Stop("max_tokens")
        case ContentFilterError():
            return _Stop("refusal")
        case ModelConnectionError():
            text = f"the model's server does not answer: {error.message}"
            return _Stop("error", one_line(text), ModelUnavailableError.exit_code)
        case ModelHTTPError():
            text = f"the model's server answered {error.status_code}: {error.body or error.message}"
            return _Stop("error", one_line(text))
        case ModelAPIError():
            text = f"the model's server failed: {error.message}"
            return _Stop("error", one_line(text), cut=isinstance(error, AnswerCutError))
        case UnexpectedModelBehavior():
            return _Stop("error", one_line(f"the model's answer cannot be used: {error.message}"))
        case AgentRunError():
            return _Stop("error", one_line(error.message))
        case _:
            log.error("turn failed", exc_info=error)
            return _Stop("error", one_line(f"{type(error).__name__}: {error}"))


def one_line(text: str) -> str:
    """Squeeze a message into one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= SENTENCE else line[: SENTENCE - 3] + "..."


def _left(
    events: AgentRunEvents[str], before: Sequence[ModelMessage]
) -> tuple[list[ModelMessage], TurnUsage]:
    try:
        return list(events.all_messages()), _usage(events.usage)
    except UserError:  # the run never began
        return list(before), TurnUsage()


def _usage(usage: RunUsage) -> TurnUsage:
    return TurnUsage(
        requests=usage.requests,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
    )
