"""The model `test`: the same words every time."""

from __future__ import annotations

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart

from punie.agent.models.scripted import GREETING, ScriptedModel

CALLS: list[tuple[str, ...]] = []


@pytest.fixture
def agent() -> Agent[None, str]:
    CALLS.clear()
    agent = Agent(ScriptedModel())

    @agent.tool_plain
    def read_file(path: str) -> str:
        CALLS.append(("read_file", path))
        return "3 lines\nand more"

    @agent.tool_plain
    def write_file(path: str, content: str) -> str:
        CALLS.append(("write_file", path, content))
        return "written"

    @agent.tool_plain
    def run_command(command: str) -> str:
        CALLS.append(("run_command", command))
        return "exit 0"

    return agent


async def test_it_greets(agent: Agent[None, str]) -> None:
    assert (await agent.run("Hi there")).output == GREETING


@pytest.mark.parametrize(
    ("prompt", "call", "answer"),
    [
        ("read a.py", ("read_file", "a.py"), "read_file: 3 lines"),
        ("write a.py x = 1", ("write_file", "a.py", "x = 1"), "write_file: written"),
        ("run git log -1", ("run_command", "git log -1"), "run_command: exit 0"),
    ],
)
async def test_it_calls_one_tool_and_reports(
    agent: Agent[None, str], prompt: str, call: tuple[str, ...], answer: str
) -> None:
    result = await agent.run(prompt)
    assert (CALLS, result.output) == ([call], answer)


async def test_it_counts_in_pieces(agent: Agent[None, str]) -> None:
    pieces = 0
    async with agent.run_stream_events("Count slowly to 4") as events:
        async for event in events:
            text = isinstance(event, PartStartEvent) and isinstance(event.part, TextPart)
            pieces += text or isinstance(event, PartDeltaEvent)
    assert pieces == 4


async def test_a_second_prompt_is_answered_anew(agent: Agent[None, str]) -> None:
    first = await agent.run("read a.py")
    second = await agent.run("Hi", message_history=first.all_messages())
    assert second.output == GREETING
