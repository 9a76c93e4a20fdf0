"""What was computed once is not computed again: across turns, sessions and processes."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse

from punie.agent.models.embedded.decoding import Sampling
from punie.agent.models.embedded.engine import Engine, Finished
from punie.agent.models.embedded.model import EmbeddedModel
from punie.agent.models.spec import ModelSpec

SPEC = ModelSpec(spec="embedded", name="tiny", max_tokens=6)
SYSTEM = [1, *range(40, 140)]


async def finished(engine: Engine, tokens: list[int], *, stable: int = 0) -> Finished:
    sampling = Sampling(max_tokens=6)
    async for event in engine.stream(tokens, sampling=sampling, stable=stable):
        if isinstance(event, Finished):
            return event
    raise AssertionError("no end")


def agent(engine: Engine) -> Agent[None, str]:
    return Agent(EmbeddedModel(engine, SPEC), instructions="You are Punie. " * 20)


async def test_the_second_turn_of_a_session_computes_only_its_new_tokens(engine: Engine) -> None:
    first = await agent(engine).run("hello there")
    second = await agent(engine).run("and again", message_history=first.all_messages())
    (before,) = (m.usage for m in first.all_messages() if isinstance(m, ModelResponse))
    after = second.all_messages()[-1]
    assert isinstance(after, ModelResponse)
    computed = after.usage.input_tokens - after.usage.cache_read_tokens
    new = after.usage.input_tokens - before.input_tokens - before.output_tokens
    print(f"the second turn computes {computed} of {after.usage.input_tokens} tokens")
    # The last token of an answer is said, but not yet fed.
    assert computed <= new + 1


async def test_each_of_many_sessions_keeps_its_own_conversation(engine: Engine) -> None:
    prompts = [[*SYSTEM, *range(200 + 7 * n, 230 + 7 * n)] for n in range(10)]
    for prompt in prompts:
        await finished(engine, prompt)
    again = [await finished(engine, [*prompt, 9, 9]) for prompt in prompts]
    assert [done.prompt_tokens - done.cached_tokens for done in again] == [2] * 10


@pytest.fixture
def opened(tiny_folder: Path, tmp_path: Path) -> Callable[[], Engine]:
    return lambda: Engine(tiny_folder, prefixes=tmp_path / "prefixes")


async def test_another_process_takes_the_system_prompt_from_disk(
    opened: Callable[[], Engine], tmp_path: Path
) -> None:
    prompt, stable = [*SYSTEM, *range(200, 220)], len(SYSTEM)
    first = opened()
    fresh = await finished(first, prompt, stable=stable)
    await asyncio.to_thread(first.close)
    second = opened()
    again = await finished(second, prompt, stable=stable)
    await asyncio.to_thread(second.close)
    assert (fresh.cached_tokens, again.cached_tokens, again.text) == (0, stable, fresh.text)
    assert len(list((tmp_path / "prefixes").iterdir())) == 1


async def test_nobody_else_may_read_what_was_computed_of_a_prompt(
    opened: Callable[[], Engine], tmp_path: Path
) -> None:
    folder = tmp_path / "prefixes"
    folder.mkdir(mode=0o755)  # as versions before this one made it
    engine = opened()
    umask = os.umask(0o002)
    try:
        await finished(engine, [*SYSTEM, 7, 8], stable=len(SYSTEM))
        await asyncio.to_thread(engine.close)
    finally:
        os.umask(umask)
    (file,) = folder.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)] == [0o700, 0o600]


async def test_a_damaged_file_is_dropped_and_the_prompt_is_read(
    opened: Callable[[], Engine], tmp_path: Path
) -> None:
    prompt, stable = [*SYSTEM, *range(200, 220)], len(SYSTEM)
    first = opened()
    fresh = await finished(first, prompt, stable=stable)
    await asyncio.to_thread(first.close)
    (file,) = (tmp_path / "prefixes").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    second = opened()
    again = await finished(second, prompt, stable=stable)
    await asyncio.to_thread(second.close)
    assert (again.cached_tokens, again.text) == (0, fresh.text)


async def test_a_folder_that_cannot_be_written_costs_only_time(
    tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "prefixes").write_text("a file")
    engine = Engine(tiny_folder, prefixes=tmp_path / "prefixes")
    done = await finished(engine, [*SYSTEM, 7, 8], stable=len(SYSTEM))
    await asyncio.to_thread(engine.close)
    assert done.output_tokens > 0


async def test_the_model_knows_which_tokens_every_conversation_begins_with(
    opened: Callable[[], Engine],
) -> None:
    first = opened()
    await agent(first).run("hello there")
    await asyncio.to_thread(first.close)
    second = opened()
    other = (await agent(second).run("something else")).usage
    await asyncio.to_thread(second.close)
    assert other.cache_read_tokens > 100
