"""Masks: every turn of the assistant is trained, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from punie.train.backends.tokenizer import load_tokenizer
from punie.train.data.example import Example, answered, called, example, returned, said
from punie.train.data.render import Renderer, Weights
from punie.train.errors import EmptyTargetError
from punie.train.stages.bases import tool_specs

EXACT = Weights(call=1.0, answer=0.5, report=0.25, first=1.0)
TOOLS = tool_specs(["run_tests(path)"])


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    return load_tokenizer(tiny)


@pytest.fixture
def reported() -> Example:
    return example(
        (
            said("Run tests/a.py"),
            called("run_tests", {"path": "tests/a.py"}),
            returned("1 passed in 0.1 s"),
            answered("1 passed."),
        ),
        provenance="test",
    )


def renderer(tokenizer: Any, *, weights: Weights = EXACT, max_tokens: int = 1024) -> Renderer:
    return Renderer(
        tokenizer, instructions="Be Punie.", tools=TOOLS, weights=weights, max_tokens=max_tokens
    )


def trained_text(tokenizer: Any, row: Any) -> str:
    return tokenizer.decode([i for i, w in zip(row.ids, row.weights, strict=True) if w])


def test_the_call_and_the_report_are_trained_and_nothing_else(
    tokenizer: Any, reported: Example
) -> None:
    """The first token of a call whose result follows is left to examples without a result."""
    rendering = renderer(tokenizer)
    row = rendering.tokens(reported)
    call = '<tool_call>\n{"name": "run_tests", "arguments": {"path": "tests/a.py"}}\n</tool_call>'
    start = len(rendering.prompt_ids(reported.messages[:1]))
    first = tokenizer.decode([row.ids[start]])
    assert row.weights[start] == 0.0
    assert first + trained_text(tokenizer, row) == f"{call}<|im_end|>1 passed.<|im_end|>"


def test_a_direct_answer_is_trained_with_its_end_mark(tokenizer: Any) -> None:
    row = renderer(tokenizer).tokens(example((said("Hi"), answered("Hello!")), provenance="test"))
    assert trained_text(tokenizer, row) == "Hello!<|im_end|>"
    assert row.kind == "answer"


def test_turns_weigh_by_what_they_are(tokenizer: Any, reported: Example) -> None:
    row = renderer(tokenizer).tokens(reported)
    assert set(row.weights) == {0.0, 1.0, 0.25}
    assert row.kind == "report/run_tests"


def test_training_ids_are_serving_ids_followed_by_the_reply(
    tokenizer: Any, reported: Example
) -> None:
    rendering = renderer(tokenizer)
    row = rendering.tokens(reported)
    for index, message in enumerate(reported.messages):
        if message.role == "assistant":
            before = rendering.prompt_ids(reported.messages[:index])
            assert list(row.ids[: len(before)]) == before


def test_an_example_that_is_too_long_keeps_its_whole_turns(
    tokenizer: Any, reported: Example
) -> None:
    whole = renderer(tokenizer).tokens(reported)
    cut = renderer(tokenizer, max_tokens=len(whole.ids) - 3).tokens(reported)
    assert trained_text(tokenizer, cut).endswith("</tool_call><|im_end|>")


def test_an_example_without_room_for_a_turn_is_refused(tokenizer: Any, reported: Example) -> None:
    with pytest.raises(EmptyTargetError, match="nothing to train on"):
        renderer(tokenizer, max_tokens=10).tokens(reported)
