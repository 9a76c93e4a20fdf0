"""Cut at any length, an example has something to learn and a loss that is a number, or is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from punie.agent.models.embedded.blas import preload_fast_blas
from punie.train.backends.tokenizer import load_tokenizer
from punie.train.data.example import Message, called, returned, said
from punie.train.data.example import example as made
from punie.train.data.render import Renderer, Weights
from punie.train.data.tokens import Tokens
from punie.train.errors import EmptyTargetError
from punie.train.stages.bases import tool_specs

preload_fast_blas()

from punie.train.backends import loss, mlx  # noqa: E402 - a fast BLAS must be loaded before mlx

texts = st.text(max_size=30)
turns = st.lists(
    st.tuples(
        texts,
        st.lists(st.tuples(st.text(max_size=12), texts, st.booleans()), max_size=2),
        texts,
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    return mlx.load(tiny)


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    return load_tokenizer(tiny)


def conversation(drawn: list[Any]) -> list[Message]:
    messages: list[Message] = []
    for prompt, calls, answer, trained in drawn:
        messages.append(said(prompt))
        for path, result, learnt in calls:
            call = called("run_tests", {"path": path})
            messages += [
                Message(role=call.role, call=call.call, arguments=call.arguments, trained=learnt)
            ]
            messages += [returned(result)]
        messages.append(Message(role="assistant", content=answer, trained=trained))
    return messages


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=turns, limit=st.integers(1, 400))
@example(drawn=[("a", [], "", True)], limit=400)
@example(drawn=[("a", [("b", "c", False)], "", False)], limit=400)
def test_truncation_never_gives_an_empty_target_or_a_loss_that_is_no_number(
    model: Any, tokenizer: Any, drawn: list[Any], limit: int
) -> None:
    one = made(tuple(conversation(drawn)), provenance="test")
    rendering = Renderer(
        tokenizer,
        instructions="Be Punie.",
        tools=tool_specs(["run_tests(path)"]),
        weights=Weights(),
        max_tokens=limit,
    )
    try:
        row: Tokens = rendering.tokens(one)
    except EmptyTargetError:
        return
    assert len(row.ids) == len(row.weights) <= limit
    assert any(row.weights)
    assert math.isfinite(loss.batch_loss(model, loss.collate([row])).item())
