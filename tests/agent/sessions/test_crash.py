"""Real processes that are really killed, at moments that nobody chose."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.agent.events import (
    AnyEvent,
    FilesChanged,
    PermissionRequested,
    StateUpdate,
    ToolCallUpdate,
)
from punie.agent.runtime import Runtime
from punie.agent.sessions.session import Session
from punie.agent.testing import Answers, Recorder

# A client that writes down each event as it hears it, and prompts until it is killed.
CHILD = """
import asyncio, sys
from pathlib import Path
import msgspec
from punie.agent.permissions.gate import PermissionAnswer
from punie.agent.runtime import Runtime

async def main(root, mode, *prompts):
    session = Runtime(model="test").open_session(Path(root), session_id="s", mode=mode)

    async def listen(event):
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\\n")
        sys.stdout.buffer.flush()

    async def ask(permission):
        await asyncio.Event().wait()

    session.attach(listen, asker=ask)
    for prompt in prompts:
        await session.prompt(prompt)

asyncio.run(main(*sys.argv[1:]))
"""
SEED = 20261124
decode = msgspec.json.Decoder(AnyEvent).decode


def run_until(
    root: Path,
    *arguments: str,
    stop: Callable[[list[bytes], float], bool],
    clock: bytes = b"user_message",
) -> list[Any]:
    """Start the child, kill it when told to, and give the events that it had heard.

    Args:
        root: Its folder.
        arguments: The mode and the prompts.
        stop: Told the lines so far, and the seconds since a line had `clock` in it.
        clock: Starts the clock.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), *arguments],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    heard, first = b"", 0.0
    while child.poll() is None:
        select.select([child.stdout], [], [], 0.005)
        heard += child.stdout.read() or b""
        first = first or (time.perf_counter() if clock in heard else 0.0)
        if stop(heard.splitlines(), time.perf_counter() - first if first else 0.0):
            child.send_signal(signal.SIGKILL)
            child.wait()
    heard += child.stdout.read() or b""
    child.stdout.close()
    # A line that the kill cut was not heard.
    return [decode(line) for line in heard.split(b"\n")[:-1]]


async def load(root: Path) -> tuple[Runtime, Session]:
    runtime = Runtime(model="test")
    return runtime, await runtime.load_session("s")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.txt").write_text("text of a\n")
    return folder


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", range(8))
async def test_what_was_heard_before_a_kill_is_there_and_the_next_turn_goes_on(
    project: Path, number: int
) -> None:
    moment = random.Random(SEED + number).uniform(0.0, 0.4)
    prompts = [f"write {n}.txt {'x' * 500}" if n % 2 else "read a.txt" for n in range(2000)]
    # At first a process mostly loads the model stack; later it mostly works.
    clock = b"user_message" if number < 2 else b'"idle"'
    heard = run_until(
        project, "edit", *prompts, stop=lambda _, seconds: seconds > moment, clock=clock
    )
    assert heard
    runtime, session = await load(project)
    try:
        assert session.events[: len(heard)] == heard
        assert session.events[-1].state == "idle"
        assert not still_open(session)
        outcome = await session.prompt("read a.txt")
        assert outcome.text == "read_file: a.txt, 1 line"
        assert_no_orphans(session)
    finally:
        await runtime.aclose()


def still_open(session: Session) -> list[str]:
    status = {
        event.tool_call_id: event.status
        for event in session.events
        if isinstance(event, ToolCallUpdate) and event.status
    }
    return [call for call, s in status.items() if s in {"pending", "in_progress"}]


def assert_no_orphans(session: Session) -> None:
    from pydantic_ai.messages import ToolCallPart, ToolReturnPart

    parts = [part for message in session.memory.messages for part in message.parts]
    calls = [part.tool_call_id for part in parts if isinstance(part, ToolCallPart)]
    results = [part.tool_call_id for part in parts if isinstance(part, ToolReturnPart)]
    assert sorted(calls) == sorted(results)


def asks(lines: list[bytes], _seconds: float) -> bool:
    return any(b'"permission_requested"' in line for line in lines)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("answer", "written"), [("allow_once", True), ("reject_once", False)])
async def test_a_question_that_was_open_when_the_process_was_killed_is_asked_again(
    project: Path, answer: str, written: bool
) -> None:
    heard = run_until(project, "ask", "write b.txt text", stop=asks)
    assert isinstance(heard[-1], PermissionRequested | StateUpdate)
    assert not (project / "b.txt").exists()
    runtime, session = await load(project)
    try:
        person = Answers(answer)
        screen = Recorder()
        await session.join(screen, asker=person)
        outcome = await session.go_on()
        assert outcome is not None
        assert [asked.title for asked in person.asked] == ["Write b.txt"]
        assert (project / "b.txt").exists() is written
        assert outcome.text.startswith("write_file: ")
        assert_no_orphans(session)
    finally:
        await runtime.aclose()


@pytest.mark.timeout(180)
async def test_a_turn_that_was_killed_can_be_undone(project: Path) -> None:
    (project / "b.txt").write_bytes(b"before\r\n")
    prompts = ["write b.txt after", "count slowly"]
    run_until(
        project,
        "edit",
        *prompts,
        stop=lambda lines, _: (
            any(b"agent_message_chunk" in line for line in lines[-2:])
            and sum(b'"user_message"' in line for line in lines) == 2
        ),
    )
    assert (project / "b.txt").read_bytes() == b"after"
    runtime, session = await load(project)
    try:
        await session.undo()
    finally:
        await runtime.aclose()
    assert (project / "b.txt").read_bytes() == b"before\r\n"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", range(6))
async def test_a_kill_between_writes_leaves_what_can_be_undone_exactly(
    project: Path, number: int
) -> None:
    """Turn n writes `n` into the file n % 3."""
    moment = random.Random(SEED * 2 + number).uniform(0.0, 0.5)
    prompts = [f"write {n % 3}.txt {n}" for n in range(2000)]
    run_until(project, "edit", *prompts, stop=lambda _, seconds: seconds > moment, clock=b'"idle"')
    runtime, session = await load(project)
    try:
        *_, changed = [event for event in session.events if isinstance(event, FilesChanged)]
        (file,) = changed.files
        after = texts(project)
        written = int(after[file.name])
        before = after | {file.name: str(written - 3)}
        if written < 3:
            del before[file.name]
        await session.undo()
        assert texts(project) == before
        await session.undo()
        assert texts(project) == after
    finally:
        await runtime.aclose()


def texts(project: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in project.glob("[0-9].txt")}
