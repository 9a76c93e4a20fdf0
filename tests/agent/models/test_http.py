"""The HTTP model against a scripted server on a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic_ai import Agent, CancellationToken, RunCancelled
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import (
    FunctionToolCallEvent,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)

from punie.agent.errors import ModelUnavailableError
from punie.agent.events import Progress
from punie.agent.models import registry
from punie.agent.models.http import ChatModel
from punie.agent.models.probe import probe
from punie.agent.testing.fake_server import FakeServer, Refusal, call, chunk

DONE = [chunk(content="done"), chunk(finish="stop")]


def _agent(server: FakeServer, **options: Any) -> Agent[None, str]:
    agent = Agent(ChatModel("fake", server.url, **options), instructions="You are Punie.")

    @agent.tool_plain
    def read_file(path: str, line: int = 0) -> str:
        """Read a file."""
        return f"{path} has 3 lines"

    return agent


async def _calls(server: FakeServer, *script: Any) -> list[tuple[str, Any]]:
    """Let the model send a script, then `done`; give the calls that were made of it."""
    server.scripts[:] = [list(script), DONE]
    result = await _agent(server).run("go")
    responses = [m for m in result.all_messages() if isinstance(m, ModelResponse)]
    parts = [part for part in responses[0].parts if isinstance(part, ToolCallPart)]
    return [(part.tool_name, part.args_as_dict()) for part in parts]


async def test_text_arrives_in_pieces_and_usage_is_counted(server: FakeServer) -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    server.scripts[:] = [
        [chunk(content="Hel"), chunk(content="lo"), chunk(finish="stop"), {"usage": usage}]
    ]
    result = await _agent(server).run("hi")
    used = result.usage
    assert (result.output, used.input_tokens, used.output_tokens, used.cache_read_tokens) == (
        "Hello",
        9,
        2,
        4,
    )


async def test_the_request_carries_one_system_message_tools_and_limits(server: FakeServer) -> None:
    server.scripts[:] = [DONE]
    await _agent(server).run("hi", model_settings={"temperature": 0.0, "max_tokens": 77})
    sent = server.requests[0]
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("fake", 77, 0.0)
    assert sent["tools"][0]["function"]["name"] == "read_file"


async def test_a_tool_result_goes_back_with_its_call(server: FakeServer) -> None:
    server.scripts[:] = [
        [chunk(tool_calls=[call("read_file", '{"path": "a.py"}')]), chunk(finish="tool_calls")],
        DONE,
    ]
    result = await _agent(server).run("go")
    assistant, tool = server.requests[1]["messages"][-2:]
    assert result.output == "done"
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"path": "a.py"}
    assert (tool["role"], tool["tool_call_id"]) == ("tool", assistant["tool_calls"][0]["id"])


CORPUS: dict[str, list[Any]] = {
    "arguments in pieces": [
        chunk(tool_calls=[call("read_file", "")]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"path":'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '"a.py"}'}}]),
        chunk(finish="tool_calls"),
    ],
    "arguments as an object": [
        chunk(tool_calls=[call("read_file", {"path": "a.py"})]),
        chunk(finish="tool_calls"),
    ],
    "arguments encoded twice": [
        chunk(tool_calls=[call("read_file", json.dumps('{"path": "a.py"}'))]),
        chunk(finish="tool_calls"),
    ],
    "a trailing comma": [
        chunk(tool_calls=[call("read_file", '{"path": "a.py",}')]),
        chunk(finish="tool_calls"),
    ],
    "single quotes": [
        chunk(tool_calls=[call("read_file", "{'path': 'a.py'}")]),
        chunk(finish="tool_calls"),
    ],
    "null for an optional argument": [
        chunk(tool_calls=[call("read_file", '{"path": "a.py", "line": null}')]),
        chunk(finish="tool_calls"),
    ],
    "a near-miss name": [
        chunk(tool_calls=[call("ReadFile", '{"path": "a.py"}')]),
        chunk(finish="tool_calls"),
    ],
    "no finish reason": [chunk(tool_calls=[call("read_file", '{"path": "a.py"}')])],
    "finish reason stop": [
        chunk(tool_calls=[call("read_file", '{"path": "a.py"}')]),
        chunk(finish="stop"),
    ],
    "no index and no id": [
        chunk(tool_calls=[call("read_file", '{"path": "a.py"}', index=None, id=None)]),
        chunk(finish="tool_calls"),
    ],
    "leaked into the text": [
        chunk(content='<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}'),
        chunk(content="\n</tool_call>"),
        chunk(finish="stop"),
    ],
    "leaked with the tag in pieces": [
        chunk(content="Let me <to"),
        chunk(content='ol_call>{"name": "read_file", "argum'),
        chunk(content='ents": {"path": "a.py",}}</tool_'),
        chunk(content="call>"),
        chunk(finish="stop"),
    ],
    "leaked as Qwen's XML": [
        chunk(content="<tool_call>\n<function=read_file>\n<parameter=path>\na.py\n</parameter>"),
        chunk(content="\n</function>\n</tool_call>"),
        chunk(finish="stop"),
    ],
    "leaked as a fenced block": [
        chunk(content='```json\n{"name": "read_file",'),
        chunk(content=' "arguments": {"path": "a.py"}}\n```'),
        chunk(finish="stop"),
    ],
    "leaked as bare JSON": [
        chunk(content='{"name": "read_file", "arguments": {"path": "a.py"}}'),
        chunk(finish="stop"),
    ],
}


@pytest.mark.parametrize("script", CORPUS.values(), ids=CORPUS.keys())
async def test_a_malformed_call_is_understood(server: FakeServer, script: list[Any]) -> None:
    assert await _calls(server, *script) == [("read_file", {"path": "a.py"})]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"index": 0, "id": "u1"}, {"index": 0, "id": "u2"}),
        ({"index": 0, "id": "same"}, {"index": 1, "id": "same"}),
        ({"index": 0, "id": ""}, {"index": 1, "id": ""}),
        ({"index": None, "id": "u1"}, {"index": None, "id": "u2"}),
        ({"index": None, "id": None}, {"index": None, "id": None}),
    ],
    ids=["one index, two ids", "one id twice", "empty ids", "no index", "no index, no id"],
)
async def test_two_calls_stay_two(
    server: FakeServer, first: dict[str, Any], second: dict[str, Any]
) -> None:
    calls = await _calls(
        server,
        chunk(tool_calls=[call("read_file", '{"path": "a"}', **first)]),
        chunk(tool_calls=[call("read_file", '{"path": "b"}', **second)]),
        chunk(finish="tool_calls"),
    )
    assert calls == [("read_file", {"path": "a"}), ("read_file", {"path": "b"})]


@pytest.mark.parametrize(
    "cut",
    [
        [chunk(content='<tool_call>\n{"name": "read_file", "arguments": {"path": "a.p')],
        [chunk(tool_calls=[call("read_file", '{"path": "a.p')])],
        [chunk(content="<tool_call><function=read_file><parameter=path>a.p")],
    ],
    ids=["in the text", "as a call", "as XML"],
)
async def test_a_call_that_was_cut_short_is_never_run(server: FakeServer, cut: list[Any]) -> None:
    server.scripts[:] = [[*cut, chunk(finish="length")], DONE]
    async with _agent(server).run_stream_events("go") as events:
        seen = [event async for event in events]
    assert [e.args_valid for e in seen if isinstance(e, FunctionToolCallEvent)] == [False]


async def test_reasoning_is_told_apart_when_its_tags_come_in_pieces(server: FakeServer) -> None:
    server.scripts[:] = [
        [chunk(content="<th"), chunk(content="ink>hmm</thi"), chunk(content="nk>\n\nyes")]
    ]
    result = await _agent(server).run("go")
    parts = result.all_messages()[-1].parts
    assert [(type(part), getattr(part, "content", "")) for part in parts] == [
        (ThinkingPart, "hmm"),
        (TextPart, "yes"),
    ]


async def test_text_with_angle_brackets_and_code_stays_as_it_is(server: FakeServer) -> None:
    text = 'if a < b and <thing> {"x": 1}:\n```json\n{"y": 2}\n``` <'
    server.scripts[:] = [[chunk(content=letter) for letter in text]]
    assert (await _agent(server).run("go")).output == text


@pytest.mark.parametrize("text", ['{"y": 2}', '```json\n{"y": 2}\n```', "```\ncode\n```", "{"])
async def test_json_that_is_no_call_is_an_answer(server: FakeServer, text: str) -> None:
    server.scripts[:] = [[chunk(content=text), chunk(finish="stop")]]
    assert (await _agent(server).run("go")).output == text


async def test_keepalive_comments_become_progress(server: FakeServer) -> None:
    server.scripts[:] = [[b": keepalive 10/100\n\n", *DONE]]
    seen: list[Progress] = []
    await _agent(server, on_progress=seen.append).run("go")
    assert [(p.what, p.done, p.total) for p in seen] == [("prefill", 10, 100)]


async def test_a_refusal_shows_the_servers_own_words(server: FakeServer) -> None:
    server.scripts[:] = [Refusal(404, '{"error": "no such model"}')]
    with pytest.raises(ModelHTTPError, match="no such model"):
        await _agent(server).run("go")


@pytest.mark.parametrize(
    ("piece", "message"),
    [({"error": {"message": "boom"}}, "boom"), (b"data: {oops\n\n", "not JSON")],
    ids=["an error", "no JSON"],
)
async def test_a_broken_stream_is_an_error(server: FakeServer, piece: Any, message: str) -> None:
    server.scripts[:] = [[chunk(content="par"), piece]]
    with pytest.raises(ModelAPIError, match=message):
        await _agent(server).run("go")


async def test_cancelling_closes_the_connection(server: FakeServer) -> None:
    server.scripts[:] = [[chunk(content="one "), asyncio.Event()]]
    token = CancellationToken()

    async def run_until_the_first_event() -> None:
        async with _agent(server).run_stream_events("go", cancellation_token=token) as events:
            async for _ in events:
                token.cancel()

    with pytest.raises(RunCancelled):
        await run_until_the_first_event()
    async with asyncio.timeout(5):
        await server.disconnected.wait()


async def test_a_server_that_stops_answering_is_an_error(server: FakeServer) -> None:
    server.scripts[:] = [[chunk(content="one "), asyncio.Event()]]
    with pytest.raises(ModelAPIError, match="stopped answering"):
        await _agent(server, read_timeout=0.2).run("go")


async def test_a_server_that_is_down_is_named_with_the_command_that_starts_one() -> None:
    agent = Agent(ChatModel("x", "http://127.0.0.1:9/v1"))
    with pytest.raises(ModelUnavailableError) as refused:
        await agent.run("go")
    message = str(refused.value)
    assert ("http://127.0.0.1:9/v1" in message, "ollama serve" in message) == (True, True)


async def test_a_local_name_takes_the_first_model_listed(server: FakeServer) -> None:
    opened = await registry.open_model(f"local:{server.url}")
    assert opened.model.model_name == "fake"


async def test_a_model_that_is_not_listed_fails_the_check(server: FakeServer) -> None:
    opened = await registry.open_model(f"local:{server.url}/other")
    with pytest.raises(ModelUnavailableError, match=r"does not list other; it lists fake"):
        await probe(opened.model, "ready?")


async def test_a_server_that_answers_as_another_model_fails_the_check(server: FakeServer) -> None:
    server.models = ("asked",)
    server.scripts[:] = [DONE]
    opened = await registry.open_model(f"local:{server.url}/asked")
    with pytest.raises(ModelUnavailableError, match="answered as fake"):
        await probe(opened.model, "ready?")


async def test_the_listed_model_that_answers_passes_the_check(server: FakeServer) -> None:
    server.scripts[:] = [DONE]
    opened = await registry.open_model(f"local:{server.url}/fake")
    assert await probe(opened.model, "ready?") == "done"


async def test_history_with_a_refused_call_is_sent_as_valid_json(server: FakeServer) -> None:
    server.scripts[:] = [
        [chunk(tool_calls=[call("read_file", "not json")]), chunk(finish="tool_calls")],
        DONE,
    ]
    result = await _agent(server).run("go")
    arguments = server.requests[1]["messages"][-2]["tool_calls"][0]["function"]["arguments"]
    returns = [p for m in result.all_messages() for p in m.parts if isinstance(p, ToolReturnPart)]
    assert (isinstance(json.loads(arguments), dict), returns[0].outcome) == (True, "retried")
