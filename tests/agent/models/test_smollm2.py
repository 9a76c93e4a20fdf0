"""The real embedded model: converted rightly, and held to its grammar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from punie.agent.models import cache, registry
from punie.agent.models.embedded import convert
from punie.agent.models.embedded.engine import Engine
from punie.agent.models.embedded.grammar import Copied, reply_grammar
from punie.agent.models.weights import SMOLLM2
from punie.agent.prompts.chat_template import render

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def smollm2() -> Iterator[Engine]:
    engine = Engine(convert.ensure_embedded_model())
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def gguf_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the GGUF and nothing made from it."""
    convert.ensure_embedded_model()
    folder = tmp_path_factory.mktemp("cache")
    (folder / SMOLLM2.filename).symlink_to(cache.models_folder() / SMOLLM2.filename)
    return folder


def _ask(engine: Engine, prompt: str) -> str:
    messages = [{"role": "user", "content": prompt}]
    tokens = render(engine.load_now().tokenizer, messages)
    return engine.generate(tokens, max_tokens=24).text


def test_the_converted_model_knows_what_it_was_taught(smollm2: Engine) -> None:
    assert "Paris" in _ask(smollm2, "What is the capital of France?")


def test_a_constrained_call_copies_the_path(smollm2: Engine) -> None:
    tool: dict[str, Any] = {
        "name": "run_tests",
        "description": "Run the project's tests.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    }
    tools = [{"type": "function", "function": tool}]
    messages = [{"role": "user", "content": "Run the tests in `tests/acp`."}]
    grammar = reply_grammar(
        messages, tools, copied={"run_tests": Copied(paths=("path",))}, allow_text=False
    )
    out = smollm2.generate(render(smollm2.load_now().tokenizer, messages, tools), grammar=grammar)
    call = json.loads(out.text.split("\n")[1])
    assert call == {"name": "run_tests", "arguments": {"path": "tests/acp"}}


def test_jumping_over_forced_tokens_saves_most_steps_of_a_call(smollm2: Engine) -> None:
    tool: dict[str, Any] = {
        "name": "run_tests",
        "description": "Run the project's tests.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    }
    tools = [{"type": "function", "function": tool}]
    messages = [{"role": "user", "content": "Run the tests in `tests/acp`."}]
    grammar = reply_grammar(
        messages, tools, copied={"run_tests": Copied(paths=("path",))}, allow_text=False
    )
    out = smollm2.generate(render(smollm2.load_now().tokenizer, messages, tools), grammar=grammar)
    print(f"{out.steps} steps for {out.output_tokens} tokens")
    assert out.steps <= 0.6 * out.output_tokens


def test_a_conversion_is_made_once_and_again_when_it_is_damaged(gguf_cache: Path) -> None:
    made: list[str] = []

    def note(progress: object) -> None:
        made.append(getattr(progress, "what", ""))

    folder = convert.ensure_embedded_model(folder=gguf_cache, on_progress=note)
    first = made.count("convert")
    convert.ensure_embedded_model(folder=gguf_cache, on_progress=note)
    second = made.count("convert")
    (folder / "config.json").write_text("{}")
    convert.ensure_embedded_model(folder=gguf_cache, on_progress=note)
    assert (first, second, made.count("convert")) == (272, 272, 544)


def test_an_interrupted_conversion_leaves_nothing(gguf_cache: Path, tmp_path: Path) -> None:
    (tmp_path / SMOLLM2.filename).symlink_to((gguf_cache / SMOLLM2.filename).resolve())

    def interrupt(progress: object) -> None:
        if getattr(progress, "done", 0) == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert.ensure_embedded_model(folder=tmp_path, on_progress=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", SMOLLM2.filename]


async def test_the_registry_opens_it_with_its_fingerprint() -> None:
    opened = await registry.open_model("embedded")
    assert opened.spec.fingerprint == convert.fingerprint(
        Path(opened.spec.adapter) if opened.spec.adapter else None
    )
