"""The in-process model as Pydantic AI sees it, over the tiny random model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, CancellationToken, RunCancelled, Tool
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.usage import UsageLimits

from punie.agent.errors import ModelUnavailableError, TurnFailedError
from punie.agent.events import Progress
from punie.agent.models.embedded.engine import Engine
from punie.agent.models.embedded.model import EmbeddedModel
from punie.agent.models.spec import ModelSpec

SPEC = ModelSpec(spec="embedded", name="tiny", max_tokens=60, calls_per_turn=1)


def _model(engine: Engine, **options: Any) -> EmbeddedModel:
    return EmbeddedModel(engine, SPEC, copying=True, **options)


def _agent(model: EmbeddedModel) -> Agent[None, str]:
    def run_tests(path: str) -> str:
        """Run tests."""
        return f"5 passed in {path}"

    tool = Tool(run_tests, metadata={"paths": ["path"], "copied": []})
    return Agent(model, instructions="You are Punie.", tools=[tool])


class _MustCall(EmbeddedModel):
    """Random weights rarely choose to call; this one may only call while calls are allowed."""

    def prepare_request(
        self, model_settings: Any, model_request_parameters: ModelRequestParameters
    ) -> Any:
        from dataclasses import replace

        settings, params = super().prepare_request(model_settings, model_request_parameters)
        return settings, replace(params, allow_text_output=False)


async def test_a_turn_calls_a_tool_once_and_reports(engine: Engine) -> None:
    model = _MustCall(engine, SPEC, copying=True)
    result = await _agent(model).run("Run tests/acp")
    responses = [m for m in result.all_messages() if isinstance(m, ModelResponse)]
    kinds = [[type(part) for part in response.parts] for response in responses]
    call = responses[0].parts[0]
    assert kinds == [[ToolCallPart], [TextPart]]
    assert isinstance(call, ToolCallPart)
    assert call.args_as_dict()["path"] in {"Run", "tests/acp", "."}


async def test_the_second_step_reuses_everything_up_to_the_tool_result(engine: Engine) -> None:
    model = _MustCall(engine, SPEC, copying=True)
    result = await _agent(model).run("Run tests/acp")
    first, second = (m.usage for m in result.all_messages() if isinstance(m, ModelResponse))
    assert second.cache_read_tokens >= first.input_tokens


async def test_the_next_turn_reuses_the_turn_before(engine: Engine) -> None:
    agent = _agent(_model(engine))
    first = await agent.run("hello", model_settings={"max_tokens": 5})
    second = await agent.run(
        "again", message_history=first.all_messages(), model_settings={"max_tokens": 5}
    )
    assert second.usage.cache_read_tokens >= first.usage.input_tokens


async def test_a_turn_that_may_not_call_only_writes(engine: Engine) -> None:
    model = _MustCall(engine, SPEC, copying=True)
    result = await _agent(model).run("Run tests/acp", model_settings={"tool_choice": "none"})
    assert [type(part) for part in result.all_messages()[-1].parts] == [TextPart]


async def test_prefill_is_told(engine: Engine) -> None:
    seen: list[Progress] = []
    await _agent(_model(engine, on_progress=seen.append)).run("hello " * 50)
    assert {p.what for p in seen} == {"prefill"}
    assert (seen[-1].done, [p.done for p in seen]) == (
        seen[-1].total - 1,
        sorted(p.done for p in seen),
    )


async def test_a_cancelled_run_leaves_the_model_usable(engine: Engine) -> None:
    agent = _agent(_model(engine))
    token = CancellationToken()

    async def run_until_the_first_event() -> None:
        settings: Any = {"max_tokens": 100_000}
        async with agent.run_stream_events(
            "hello", cancellation_token=token, model_settings=settings
        ) as events:
            async for _ in events:
                token.cancel()

    with pytest.raises(RunCancelled):
        await run_until_the_first_event()
    async with asyncio.timeout(20):
        again = await agent.run("hello", model_settings={"max_tokens": 3})
    assert again.usage.cache_read_tokens > 0


async def test_the_usage_limit_of_a_run_sees_real_tokens(engine: Engine) -> None:
    result = await _agent(_model(engine)).run(
        "hello", usage_limits=UsageLimits(output_tokens_limit=60)
    )
    assert 0 < result.usage.output_tokens <= 60


async def test_a_model_that_cannot_be_loaded_is_named_in_the_run(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    with pytest.raises(ModelUnavailableError, match="no MLX model folder"):
        await _agent(_model(engine)).run("hello")
    engine.close()


async def test_a_conversation_beyond_the_context_window_is_refused(engine: Engine) -> None:
    spec = ModelSpec(spec="embedded", context_window=50)
    with pytest.raises(TurnFailedError, match="begin a new session"):
        await _agent(EmbeddedModel(engine, spec, copying=True)).run("hello " * 100)
