"""A wire is recorded without its secrets, and a recording plays either side."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from punie.acp.agent_side import serve
from punie.acp.client_side import connect
from punie.acp.errors import ConnectionClosedError, RecordingMismatchError, RequestError
from punie.acp.process import start_agent
from punie.acp.recording import (
    REDACTED,
    Entry,
    Recorder,
    Replay,
    TracedTransport,
    read_recording,
    readable,
    redact,
)
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient
from punie.acp.testing.bench_agent import BenchAgent
from punie.acp.transports.memory import pair

BENCH = [sys.executable, "-m", "punie.acp.testing.bench_agent"]
STREAM = [v1.TextContent(text="bench:stream:3:4")]


async def converse(agent: Any, text: list[Any] = STREAM) -> v1.PromptResponse:
    await agent.initialize(msgspec.structs.replace(INITIALIZE, meta={"token": "hush"}))
    session = await agent.new_session(v1.NewSessionRequest(cwd="/", mcp_servers=[]))
    return await agent.prompt(v1.PromptRequest(session_id=session.session_id, prompt=text))


@pytest.fixture
async def recording(tmp_path: Path) -> Path:
    """A conversation with a real process."""
    path = tmp_path / "wire.jsonl"
    with path.open("wb") as file:
        recorder = Recorder(file)
        wrap = lambda transport: TracedTransport(transport, "client", recorder)  # noqa: E731
        async with start_agent(BENCH, RecordingClient(), wrap=wrap) as agent:
            await converse(agent)
    return path


async def test_a_recording_holds_every_frame_in_order_and_no_meta(recording: Path) -> None:
    entries = read_recording(recording)
    senders = "".join(entry.sender[0] for entry in entries)
    assert senders == "ca" + "ca" + "c" + "aaa" + "a"
    assert all(entry.frame is not msgspec.UNSET for entry in entries)
    assert not any(b"hush" in bytes(entry.frame) for entry in entries)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)


async def test_a_recorded_agent_answers_a_client_as_the_real_one_did(recording: Path) -> None:
    agent_end, client_end = pair()
    client = RecordingClient()
    replay = Replay(read_recording(recording), "agent", agent_end)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(replay.run())
        async with connect(client, client_end) as agent:
            assert (await converse(agent)).stop_reason == "end_turn"
    assert client.text == "xxxx" * 3


async def test_a_recorded_client_drives_an_agent_that_gives_other_ids(recording: Path) -> None:
    seen: list[v1.PromptRequest] = []

    class Other(BenchAgent):
        async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
            return v1.NewSessionResponse(session_id="another")

        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            seen.append(params)
            return await super().prompt(params)

    agent_end, client_end = pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(Other, agent_end))
        await Replay(read_recording(recording), "client", client_end).run()
    assert [params.session_id for params in seen] == ["another"]


async def test_a_client_that_does_something_else_is_told_and_the_replay_fails(
    recording: Path,
) -> None:
    agent_end, client_end = pair()
    replay = Replay(read_recording(recording), "agent", agent_end)
    playing = asyncio.ensure_future(replay.run())
    async with connect(RecordingClient(), client_end) as agent:
        with pytest.raises((ConnectionClosedError, RequestError)):
            await agent.authenticate(v1.AuthenticateRequest(method_id="x"))
    with pytest.raises(RecordingMismatchError, match="authenticate"):
        await playing


async def test_a_client_that_leaves_early_fails_the_replay(recording: Path) -> None:
    agent_end, client_end = pair()
    playing = asyncio.ensure_future(Replay(read_recording(recording), "agent", agent_end).run())
    async with connect(RecordingClient(), client_end) as agent:
        await agent.initialize(INITIALIZE)
    with pytest.raises(RecordingMismatchError, match="left before a request 'session/new'"):
        await playing


async def test_a_traced_transport_passes_everything_on() -> None:
    left, right = pair(max_frame=10)
    seen: list[tuple[str, bytes]] = []
    traced = TracedTransport(left, "agent", lambda sender, frame: seen.append((sender, frame)))
    inbox = Inbox()
    await traced.open(inbox)
    await right.open(Inbox())
    traced.pause_reading()
    right.send(b"[1]")
    right.send(b"x" * 11)
    await some_turns_of_the_loop()
    assert inbox.got == []
    traced.resume_reading()
    traced.send(b"[2]")
    await traced.drain()
    await some_turns_of_the_loop()
    assert inbox.got == [b"[1]", 11]
    assert seen == [("agent", b"[2]"), ("client", b"[1]")]
    traced.stop_reading()
    await some_turns_of_the_loop()
    assert inbox.got[-1] == "ended"
    await traced.aclose()


async def some_turns_of_the_loop() -> None:
    """A memory transport delivers on the next turn."""
    for _ in range(3):
        await asyncio.sleep(0)


class Inbox:
    """Notes what a transport brings."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def frame_received(self, frame: bytes) -> None:
        self.got.append(frame)

    def frame_dropped(self, size: int) -> None:
        self.got.append(size)

    def ended(self) -> None:
        self.got.append("ended")


def test_values_of_environments_and_headers_are_hidden_and_their_names_kept() -> None:
    frame = {
        "params": {
            "mcpServers": [
                {"env": [{"name": "KEY", "value": "s1"}], "headers": [{"name": "A", "value": "s2"}]}
            ],
            "authMethods": [{"env": {"TOKEN": "s3"}}],
            "_meta": {"proxy": {"token": "s4"}},
        }
    }
    clean = redact(json.dumps(frame).encode())
    assert clean is not None
    params = json.loads(clean)["params"]
    assert params["mcpServers"][0]["env"] == [{"name": "KEY", "value": REDACTED}]
    assert params["mcpServers"][0]["headers"] == [{"name": "A", "value": REDACTED}]
    assert params["authMethods"] == [{"env": {"TOKEN": REDACTED}}]
    assert params["_meta"] == {}


VALUES = st.recursive(
    st.none() | st.just("SECRET") | st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["_meta", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=15,
)


def without_meta(value: Any) -> Any:
    if isinstance(value, list):
        return [without_meta(one) for one in value]
    if isinstance(value, dict):
        return {
            key: ({} if inner is not None else None) if key == "_meta" else without_meta(inner)
            for key, inner in value.items()
        }
    return value


@given(VALUES)
def test_wherever_meta_stands_it_is_emptied_and_nothing_else_changes(value: Any) -> None:
    clean = redact(json.dumps(value).encode())
    assert clean is not None
    assert json.loads(clean) == without_meta(value)


def test_a_line_that_is_no_json_is_kept_as_text_unless_it_may_hold_a_secret() -> None:
    assert redact(b"Loading model...") is None
    assert readable(b"Loading model...") == "Loading model..."
    assert readable(b'{"_meta": {"a": "hush"}') == REDACTED
    assert readable(b"x" * 5000) == "x" * 200


def test_a_stray_line_is_recorded_as_text(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    with path.open("wb") as file:
        Recorder(file)("agent", b"hello \xff")
    (entry,) = read_recording(path)
    assert entry == Entry(at=entry.at, sender="agent", text="hello \ufffd", size=7)


def test_json_that_is_nested_too_deeply_is_not_recorded_but_does_no_harm() -> None:
    deep = b"[" * 10_000 + b"]" * 10_000
    assert redact(deep) in {None, deep}


@pytest.mark.parametrize("value", ["s", ["s"], None, {"a": "s"}])
def test_variables_of_any_shape_are_survived(value: Any) -> None:
    clean = redact(json.dumps({"env": value}).encode())
    assert clean is not None
    hidden = {"a": REDACTED} if isinstance(value, dict) else value
    assert json.loads(clean) == {"env": hidden}


async def test_a_traced_transport_that_is_not_open_brings_nothing() -> None:
    seen: list[tuple[str, bytes]] = []
    traced = TracedTransport(pair()[0], "agent", lambda *frame: seen.append(frame))
    traced.frame_received(b"[1]")
    traced.frame_dropped(11)
    traced.ended()
    assert seen == [("client", b"[1]")]


@pytest.mark.parametrize("frame", [b"{nope", b"[1]", b"x" * 20])
async def test_a_frame_that_cannot_be_in_a_recording_fails_the_replay(frame: bytes) -> None:
    agent_end, client_end = pair(max_frame=10)
    hello = Entry(at=0, sender="client", frame=msgspec.Raw(b'{"id":1,"method":"m"}'), size=21)
    playing = asyncio.ensure_future(Replay([hello], "agent", agent_end).run())
    await client_end.open(Inbox())
    client_end.send(frame)
    client_end.send(b"[2]")
    with pytest.raises(RecordingMismatchError):
        await playing


async def test_what_comes_when_a_replay_is_over_is_passed_over() -> None:
    agent_end, client_end = pair()
    inbox = Inbox()
    await client_end.open(inbox)
    replay = Replay([], "agent", agent_end)
    await replay.run()
    replay.frame_received(b'{"id":1,"method":"m"}')
    await asyncio.sleep(0)
    assert inbox.got in ([], ["ended"])
