"""The beginning of a request stays the same to the byte, so that a server's prefix cache holds it.

Measured on the bodies that a server on a real socket received: tools and messages, as a chat
template writes them one behind the other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from punie.agent.events import AgentMessageChunk, UsageUpdate
from punie.agent.runtime import Runtime
from punie.agent.testing import Recorder
from punie.agent.testing.fake_server import FakeServer, Piece, call, chunk, open_fake_server
from punie.agent.turns.steering import Steering


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with open_fake_server() as fake:
        yield fake


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text("timeout = 5\n" * 20)
    return folder


def reads() -> list[Piece]:
    return [
        chunk(content="I read."),
        chunk(tool_calls=[call("read_file", '{"path": "app.py"}')]),
        chunk(finish="tool_calls"),
    ]


def edits() -> list[Piece]:
    edit = {"path": "app.py", "old": "timeout = 5\n" * 20, "new": "timeout = 10\n"}
    return [chunk(tool_calls=[call("edit_file", json.dumps(edit))]), chunk(finish="tool_calls")]


def says(text: str) -> list[Piece]:
    return [chunk(content=text), chunk(finish="stop")]


def runtime(server: FakeServer, home: Path) -> Runtime:
    return Runtime(model=f"local:{server.url}/fake", environ={"HOME": str(home)})


def kept(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Which share of an earlier request a later one repeats, byte by byte, at its beginning."""
    first, second = _read(before), _read(after)
    same = next(
        (at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
        min(len(first), len(second)),
    )
    return same / len(first)


def _read(body: dict[str, Any]) -> bytes:
    parts = [json.dumps(body["tools"]), *(json.dumps(message) for message in body["messages"])]
    return "\n".join(parts).encode()


def all_kept(server: FakeServer) -> list[float]:
    pairs = zip(server.requests, server.requests[1:], strict=False)
    return [kept(before, after) for before, after in pairs]


async def test_the_prefix_is_kept_within_a_turn_and_at_the_next_prompt(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    server.scripts[:] = [reads(), edits(), says("done"), says("you are welcome")]
    host = runtime(server, tmp_path)
    session = host.open_session(project, mode="bypass")
    await session.prompt("set the timeout to 10")
    await session.prompt("thanks")
    await host.aclose()
    # Four requests: nothing is asked of the model behind the person's back.
    assert (len(server.requests), all_kept(server)) == (4, [1.0, 1.0, 1.0])


async def test_the_prefix_is_kept_after_a_cancel_in_mid_answer(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    server.scripts[:] = [reads(), [chunk(content="half"), asyncio.Event()], says("go on")]
    host = runtime(server, tmp_path)
    session = host.open_session(project)
    heard = Recorder()
    session.attach(heard)
    turn = asyncio.ensure_future(session.prompt("read"))
    await heard.until(lambda: any(c.text == "half" for c in heard.of(AgentMessageChunk)))
    session.cancel()
    assert (await turn).stop_reason == "cancelled"
    await session.prompt("go on")
    await host.aclose()
    assert all_kept(server) == [1.0, 1.0]


async def test_the_prefix_is_kept_after_a_cancel_in_a_tool(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    command = call("run_command", '{"command": "sleep 60"}')
    server.scripts[:] = [
        [chunk(tool_calls=[command]), chunk(finish="tool_calls")],
        says("go on"),
    ]
    host = runtime(server, tmp_path)
    session = host.open_session(project, mode="bypass")
    heard = Recorder()
    session.attach(heard)
    turn = asyncio.ensure_future(session.prompt("sleep"))
    await heard.status("in_progress")
    session.cancel()
    await turn
    await session.prompt("go on")
    await host.aclose()
    assert all_kept(server) == [1.0]


async def test_the_prefix_is_kept_when_a_prompt_waited_for_the_one_before_it(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    server.scripts[:] = [reads(), says("one"), says("two")]
    host = runtime(server, tmp_path)
    session = host.open_session(project)
    await asyncio.gather(session.prompt("first"), session.prompt("second"))
    await host.aclose()
    assert all_kept(server) == [1.0, 1.0]


async def test_the_prefix_is_kept_when_a_person_steers_the_running_turn(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    server.scripts[:] = [reads(), edits(), says("done"), says("as you like")]
    host = runtime(server, tmp_path)
    session = host.open_session(project, mode="bypass")
    heard = Recorder()
    session.attach(heard)
    turn = asyncio.ensure_future(session.prompt("set the timeout to 10"))
    await heard.status("completed")
    assert session.services.get(Steering, Steering).put("and keep the comment")
    await turn
    await host.aclose()
    steered = [at for at, r in enumerate(server.requests) if "keep the comment" in str(r)]
    assert steered[0] > 0
    assert all_kept(server) == [1.0] * (len(server.requests) - 1)


async def test_the_prefix_is_kept_when_another_process_resumes_the_session(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    server.scripts[:] = [reads(), edits(), says("done"), says("again")]
    host = runtime(server, tmp_path)
    session = host.open_session(project, mode="bypass")
    await session.prompt("set the timeout to 10")
    await host.aclose()
    other = runtime(server, tmp_path)
    again = await other.load_session(session.id)
    await again.prompt("and now?")
    await other.aclose()
    assert all_kept(server) == [1.0, 1.0, 1.0]


async def test_another_project_shares_nearly_all_of_the_first_request(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "quite-another-place"
    other.mkdir()
    server.scripts[:] = [says("hi"), says("hi")]
    host = runtime(server, tmp_path)
    await host.open_session(project).prompt("hello")
    await host.open_session(other).prompt("hello")
    await host.aclose()
    share = kept(*server.requests)
    print(f"{share:.3f} of the first request is the same in another project")
    assert share >= 0.98


async def test_cached_and_new_tokens_of_each_call_are_told(
    server: FakeServer, project: Path, tmp_path: Path
) -> None:
    usage = {
        "prompt_tokens": 1_000,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 900},
    }
    server.scripts[:] = [[*says("hi"), {"choices": [], "usage": usage}]]
    host = runtime(server, tmp_path)
    session = host.open_session(project)
    heard = Recorder()
    session.attach(heard)
    await session.prompt("hello")
    await host.aclose()
    (told,) = heard.of(UsageUpdate)
    assert (told.input_tokens, told.cached_tokens, told.output_tokens) == (1_000, 900, 5)
