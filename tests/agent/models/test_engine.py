"""The engine over a tiny random model: nonsense text, real behaviour."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from punie.agent.errors import ModelUnavailableError
from punie.agent.models.cache import Cancelled
from punie.agent.models.embedded.decoding import GrammarError, Sampling
from punie.agent.models.embedded.engine import Engine, Finished, Prefilling, Text
from punie.agent.models.embedded.grammar import Copied, Grammar, reply_grammar
from punie.agent.testing.tiny_model import make_tiny_adapter

PROMPT = [1, *range(40, 140)]


def _tool(name: str, *arguments: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "string"} for argument in arguments},
        "required": list(arguments),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


async def _first(engine: Engine, kind: type[Any], tokens: list[int], *, max_tokens: int) -> Any:
    """Run a job until its first event of a kind, then leave it."""
    events = engine.stream(tokens, sampling=Sampling(max_tokens=max_tokens))
    try:
        async for event in events:
            if isinstance(event, kind):
                return event
    finally:
        await events.aclose()
    raise AssertionError("no such event")


def test_the_same_prompt_gives_the_same_answer(engine: Engine) -> None:
    first = engine.generate(PROMPT, max_tokens=12)
    assert engine.generate(PROMPT, max_tokens=12).text == first.text


def test_a_repeated_prompt_is_cached_but_for_its_last_token(engine: Engine) -> None:
    engine.generate(PROMPT, max_tokens=4)
    assert engine.generate(PROMPT, max_tokens=4).cached_tokens == len(PROMPT) - 1


def test_a_longer_conversation_reuses_the_shorter_one(engine: Engine) -> None:
    engine.generate(PROMPT, max_tokens=1)
    longer = engine.generate([*PROMPT, *range(200, 240)], max_tokens=1)
    assert longer.cached_tokens == len(PROMPT)


def test_a_cached_answer_equals_a_fresh_one(engine: Engine, tiny_folder: Path) -> None:
    engine.generate([*PROMPT[:60], 7, 8, 9], max_tokens=3)
    reused = engine.generate(PROMPT, max_tokens=12)
    fresh = Engine(tiny_folder)
    alone = fresh.generate(PROMPT, max_tokens=12)
    fresh.close()
    assert (reused.cached_tokens, reused.text) == (60, alone.text)


def test_two_conversations_with_one_beginning_both_stay_cached(engine: Engine) -> None:
    shared = [1, *range(40, 80)]
    left, right = [*shared, *range(100, 200)], [*shared, *range(200, 300)]
    engine.generate(left, max_tokens=1)
    assert engine.generate(right, max_tokens=1).cached_tokens == len(shared)
    assert engine.generate(left, max_tokens=1).cached_tokens == len(left) - 1


async def test_events_come_in_order(engine: Engine) -> None:
    events = [event async for event in engine.stream(PROMPT, sampling=Sampling(max_tokens=8))]
    kinds = [type(event) for event in events]
    text = "".join(event.text for event in events if isinstance(event, Text))
    last = events[-1]
    assert kinds == sorted(kinds, key=[Prefilling, Text, Finished].index)
    assert isinstance(last, Finished)
    assert (text, last.output_tokens, last.reason) == (last.text, 8, "length")


async def test_a_job_left_in_prefill_stops_and_keeps_what_it_read(engine: Engine) -> None:
    long = [1] + [40 + n % 300 for n in range(4000)]
    await _first(engine, Prefilling, long, max_tokens=1)
    done = await asyncio.to_thread(engine.generate, long, max_tokens=1)
    assert done.cached_tokens < len(long) - 1


async def test_a_job_left_in_decode_stops_and_leaves_the_cache_consistent(engine: Engine) -> None:
    await _first(engine, Text, PROMPT, max_tokens=100_000)
    done = await asyncio.to_thread(engine.generate, PROMPT, max_tokens=1)
    assert done.cached_tokens == len(PROMPT) - 1


async def test_waiting_jobs_are_served_in_their_order(engine: Engine) -> None:
    ended: list[int] = []

    async def run(number: int) -> None:
        prompt = [1, 50 + number, *range(40, 80)]
        async for _ in engine.stream(prompt, sampling=Sampling(max_tokens=3)):
            pass
        ended.append(number)

    await engine.loaded()
    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(run(number))
    assert ended == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(20))
def test_random_weights_under_a_grammar_always_make_a_valid_call(engine: Engine, seed: int) -> None:
    tools = [_tool("run_tests", "path"), _tool("search", "query"), _tool("git_status")]
    copied = {
        "run_tests": Copied(paths=("path",)),
        "search": Copied(quotes=("query",)),
        "git_status": Copied(),
    }
    words = f"find load_model{seed} in src/app{seed} please"
    messages = [{"role": "user", "content": words}]
    grammar = reply_grammar(messages, tools, copied=copied, allow_text=False)
    out = engine.generate(
        [1, 40 + seed, *range(60, 90)], grammar=grammar, max_tokens=400, temperature=1.5
    )
    head, body, tail = out.text.split("\n")
    call = json.loads(body)
    given = call["arguments"]
    assert (out.reason, head, tail) == ("stop", "<tool_call>", "</tool_call>")
    assert (
        set(given)
        == {"run_tests": {"path"}, "search": {"query"}, "git_status": set()}[call["name"]]
    )
    assert all(value == "." or value in words for value in given.values())


def test_a_grammar_that_is_not_valid_is_reported_and_the_engine_lives_on(engine: Engine) -> None:
    with pytest.raises(GrammarError):
        engine.generate(PROMPT, grammar=Grammar(lark="start: nothing"), max_tokens=2)
    assert engine.generate(PROMPT, max_tokens=2).output_tokens == 2


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    with pytest.raises(ModelUnavailableError, match="no MLX model folder"):
        engine.generate([1], max_tokens=1)
    engine.close()


def test_damaged_weights_are_named(tiny_folder: Path, tmp_path: Path) -> None:
    for path in tiny_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    engine = Engine(tmp_path)
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        engine.generate([1], max_tokens=1)
    engine.close()


def test_a_closed_engine_refuses_jobs(engine: Engine) -> None:
    engine.load_now()
    engine.close()
    with pytest.raises(Cancelled):
        engine.generate(PROMPT, max_tokens=2)


def test_a_fused_adapter_answers_as_the_unfused_one(tiny_folder: Path, tmp_path: Path) -> None:
    import mlx.core as mx  # noqa: TID251
    import numpy as np
    from mlx_lm.utils import load_adapters, load_model  # noqa: TID251

    from punie.agent.models.embedded.loading import load

    adapter = make_tiny_adapter(tmp_path / "adapter")
    fused = load(tiny_folder, adapter=adapter).model
    plain, _ = load_model(tiny_folder)
    apart = load_adapters(plain, str(adapter))
    apart.eval()
    ids = mx.array([PROMPT])
    with_fused, with_apart = np.array(fused(ids)), np.array(apart(ids))
    without = np.array(load(tiny_folder).model(ids))
    assert np.abs(with_fused - with_apart).max() < 1e-3 * np.abs(with_apart).max()
    assert np.abs(with_fused - without).max() > 1e-2 * np.abs(without).max()
