"""Malformed replies in the formats of real models, as their servers let them through.

Each line of the corpus in `punie.agent.testing` is one reply; it is streamed over a real socket in small pieces.
`as_text` and `as_calls` must become the intended calls, `cut` and `no_call` must not become any.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import ModelRequest
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models import ModelRequestParameters

from punie.agent.models.http import ChatModel
from punie.agent.models.streaming import MENDED
from punie.agent.testing.fake_server import FakeServer, Piece, chunk
from punie.agent.testing.misbehaving import intended, label, lines, runnable
from punie.agent.tools.catalog import CATALOG
from punie.agent.turns.build import definition

GOAL = 0.95
SIZES = (1, 7, 10_000)
"""Characters per streamed piece."""


def script(line: dict[str, Any], size: int) -> list[Piece]:
    content: str = line.get("content", "")
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    chunks: list[Piece] = [chunk(content=piece) for piece in pieces]
    chunks += [chunk(tool_calls=[call]) for call in line.get("tool_calls", ())]
    finish = line.get("finish", "stop")
    return [*chunks, chunk(finish=finish)] if finish else chunks


async def reply(server: FakeServer, line: dict[str, Any], size: int) -> ModelResponse:
    """Let the server say a line; give what the model layer made of it."""
    server.scripts[:] = [script(line, size)]
    parameters = ModelRequestParameters(function_tools=[definition(t) for t in CATALOG.values()])
    model = ChatModel("fake", server.url)
    async with model_request_stream(
        model,
        [ModelRequest.user_text_prompt("go")],
        model_request_parameters=parameters,
    ) as stream:
        async for _ in stream:
            pass
        return stream.get()


@pytest.mark.parametrize("line", lines("cut", "no_call"), ids=label)
@pytest.mark.parametrize("size", SIZES)
async def test_what_was_cut_or_is_no_call_never_runs(
    server: FakeServer, line: dict[str, Any], size: int
) -> None:
    assert runnable(await reply(server, line, size)) == []


@pytest.mark.parametrize("line", lines("no_call"), ids=label)
@pytest.mark.parametrize("size", SIZES)
async def test_an_answer_that_is_no_call_arrives_as_it_is(
    server: FakeServer, line: dict[str, Any], size: int
) -> None:
    (part,) = (await reply(server, line, size)).parts
    assert isinstance(part, TextPart)
    assert part.content == line["content"]


@pytest.mark.parametrize("size", SIZES)
async def test_nearly_all_malformed_calls_become_the_intended_ones_and_none_another(
    server: FakeServer, size: int
) -> None:
    corpus = lines("as_text", "as_calls")
    missed: list[str] = []
    wrong: list[str] = []
    for line in corpus:
        calls = runnable(await reply(server, line, size))
        if calls != intended(line):
            missed.append(label(line))
        if any(call not in intended(line) for call in calls):
            wrong.append(label(line))
    print(f"{len(corpus) - len(missed)} of {len(corpus)} malformed calls understood; not: {missed}")
    assert wrong == []
    assert len(corpus) >= 60
    assert len(missed) <= (1 - GOAL) * len(corpus)


async def test_what_was_mended_is_said(server: FakeServer) -> None:
    line = {
        "content": '<tool_call>{"name": "ReadFile", "arguments": {"path": "a.py",}}</tool_call>'
    }
    response = await reply(server, line, 7)
    assert (response.provider_details or {})[MENDED] == [
        "read_file: written as text",
        "read_file: ReadFile read as read_file",
    ]


def test_the_page_about_repairs_names_every_model_and_counts_the_corpus() -> None:
    page = (Path(__file__).parents[3] / "docs" / "repairs.md").read_text(encoding="utf-8")
    names = {line["model"] for line in lines("as_text", "as_calls")}
    calls, cut, others = (len(lines(*n)) for n in (("as_text", "as_calls"), ("cut",), ("no_call",)))
    assert sorted(name for name in names if name not in page) == []
    assert f"{calls} of {calls} malformed calls" in page
    assert f"{cut} cut calls and {others} answers" in page
