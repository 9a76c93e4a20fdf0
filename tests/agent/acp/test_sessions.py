"""Sessions that outlive the process an IDE started, over both versions of the protocol."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import acp  # the official SDK: what it does not accept is not the protocol
import pytest

from .conftest import Process  # type: ignore[import-not-found]

Start = Callable[[], Any]


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start `punie acp` as often as it is called; all of them end with the test."""
    started: list[Any] = []

    def begin() -> Any:
        started.append(Process(environment))
        return started[-1]

    yield begin
    for process in started:
        if not process.child.stdout.closed:
            process.kill()


def hello(process: Any) -> Any:
    return process.ask("initialize", {"protocolVersion": 1, "clientCapabilities": {}})


def greeted(start: Start) -> Any:
    """Start a process that has shaken hands."""
    process = start()
    hello(process)
    return process


def asking(start: Start, project: Path) -> tuple[Any, str]:
    """Start a process, and a session in it that waits for an approval to write `b.txt`."""
    process = start()
    session_id = process.open(project)
    process.prompt(session_id, "write b.txt text")
    process.until(method="session/request_permission")
    return process, session_id


def updates(process: Any, kind: str) -> list[dict[str, Any]]:
    found = (line.get("params", {}).get("update", {}) for line in process.lines)
    return [update for update in found if update.get("sessionUpdate") == kind]


def text(process: Any) -> str:
    return "".join(u["content"]["text"] for u in updates(process, "agent_message_chunk"))


def load(process: Any, session_id: str, project: Path, **more: Any) -> Any:
    params = {"sessionId": session_id, "cwd": str(project), "mcpServers": []} | more
    return process.ask("session/load", params)


def allow(process: Any) -> dict[str, Any]:
    """Wait for a question and allow it once."""
    question = process.until(method="session/request_permission")
    acp.schema.RequestPermissionRequest.model_validate(question["params"])
    option = next(o for o in question["params"]["options"] if o["kind"] == "allow_once")
    outcome = {"outcome": "selected", "optionId": option["optionId"]}
    process.answer(question, {"outcome": outcome})
    return question


def test_the_history_comes_before_the_answer_of_session_load(start: Start, project: Path) -> None:
    first = start()
    session_id = first.open(project)
    first.until(id=first.prompt(session_id, "read a.txt"))
    first.kill()
    second = greeted(start)
    before = len(second.lines)
    answer = load(second, session_id, project)
    replayed, last = second.lines[before:-1], second.lines[-1]
    assert "result" in last
    assert [line["params"]["update"]["sessionUpdate"] for line in replayed] == [
        "user_message_chunk",
        "session_info_update",
        "tool_call",
        "agent_message_chunk",
        "usage_update",
        "available_commands_update",
    ]
    assert replayed[2]["params"]["update"]["status"] == "completed"
    for line in replayed:
        acp.schema.SessionNotification.model_validate(line["params"])
    assert answer["modes"]["currentModeId"] == "ask"


def test_resuming_tells_no_history_and_the_conversation_goes_on(
    start: Start, project: Path
) -> None:
    first = start()
    session_id = first.open(project)
    first.until(id=first.prompt(session_id, "read a.txt"))
    first.kill()
    second = greeted(start)
    second.ask("session/resume", {"sessionId": session_id, "cwd": str(project), "mcpServers": []})
    assert not updates(second, "user_message_chunk")
    second.until(id=second.prompt(session_id, "read a.txt"))
    assert text(second) == "read_file: a.txt, 1 line"


def test_an_approval_that_was_open_at_a_kill_is_asked_again_after_loading(
    start: Start, project: Path
) -> None:
    first = start()
    session_id = first.open(project)
    first.prompt(session_id, "write b.txt text")
    asked = first.until(method="session/request_permission")
    first.kill()
    assert not (project / "b.txt").exists()
    second = greeted(start)
    load(second, session_id, project)
    again = allow(second)
    assert again["params"]["toolCall"]["title"] == asked["params"]["toolCall"]["title"]
    assert again["params"]["options"] == asked["params"]["options"]
    while text(second) != "write_file: b.txt created, 1 line":
        second.read()
    assert (project / "b.txt").read_text() == "text"
    second.until(id=second.prompt(session_id, "read b.txt"))
    assert text(second).endswith("read_file: b.txt, 1 line")


def test_an_approval_that_was_open_is_asked_again_after_resuming_too(
    start: Start, project: Path
) -> None:
    first, session_id = asking(start, project)
    first.kill()
    second = greeted(start)
    second.ask("session/resume", {"sessionId": session_id, "cwd": str(project), "mcpServers": []})
    allow(second)
    while not text(second):
        second.read()
    assert (project / "b.txt").read_text() == "text"


@pytest.mark.parametrize("how", ["eof", "sigterm"])
def test_an_approval_that_was_open_when_the_ide_was_closed_is_asked_again(
    start: Start, project: Path, how: str
) -> None:
    first, session_id = asking(start, project)
    if how == "eof":
        first.child.stdin.close()
    else:
        first.child.send_signal(signal.SIGTERM)
    assert first.child.wait(timeout=30) == 0
    assert not (project / "b.txt").exists()
    second = greeted(start)
    load(second, session_id, project)
    allow(second)
    while not text(second):
        second.read()
    assert (project / "b.txt").read_text() == "text"


def test_a_question_asked_again_can_be_cancelled_and_the_session_goes_on(
    start: Start, project: Path
) -> None:
    first, session_id = asking(start, project)
    first.kill()
    second = greeted(start)
    load(second, session_id, project)
    question = second.until(method="session/request_permission")
    second.notify("session/cancel", {"sessionId": session_id})
    second.answer(question, {"outcome": {"outcome": "cancelled"}})
    second.until(id=second.prompt(session_id, "read a.txt"))
    assert text(second) == "read_file: a.txt, 1 line"
    assert not (project / "b.txt").exists()


def test_a_turn_that_was_cut_off_says_so_when_it_is_loaded(start: Start, project: Path) -> None:
    first = start()
    session_id = first.open(project)
    first.prompt(session_id, "count slowly")
    while not text(first):
        first.read()
    first.kill()
    second = greeted(start)
    load(second, session_id, project)
    assert text(second).startswith(text(first))
    said = "".join(u["content"]["text"] for u in updates(second, "agent_thought_chunk"))
    assert "The last turn was cut off" in said


def test_a_session_that_another_process_has_open_is_listed_and_refused(
    start: Start, project: Path
) -> None:
    first, second = start(), start()
    session_id = first.open(project)
    first.until(id=first.prompt(session_id, "read a.txt"))
    hello(second)
    listed = second.ask("session/list", {"cwd": str(project)})["sessions"]
    assert [(one["sessionId"], one["title"]) for one in listed] == [(session_id, "read a.txt")]
    params = {"sessionId": session_id, "cwd": str(project), "mcpServers": []}
    error = second.until(id=second.send("session/load", params))["error"]
    assert error["data"] == {"sessionId": session_id, "pid": first.child.pid}
    assert "close it there first" in error["message"]
    first.ask("session/close", {"sessionId": session_id})
    load(second, session_id, project)
    assert updates(second, "user_message_chunk")


def test_an_unknown_session_is_named_in_the_error(start: Start, project: Path) -> None:
    process = start()
    hello(process)
    for method in ("session/load", "session/resume", "session/fork"):
        params = {"sessionId": "punie-0", "cwd": str(project), "mcpServers": []}
        error = process.until(id=process.send(method, params))["error"]
        assert (error["code"], error["data"]) == (-32002, {"sessionId": "punie-0"})


def test_deleting_is_idempotent_and_what_was_deleted_is_gone(start: Start, project: Path) -> None:
    process = start()
    session_id = process.open(project)
    process.until(id=process.prompt(session_id, "read a.txt"))
    for _ in range(2):
        assert process.ask("session/delete", {"sessionId": session_id}) == {}
    assert process.ask("session/list", {})["sessions"] == []
    params = {"sessionId": session_id, "cwd": str(project), "mcpServers": []}
    assert process.until(id=process.send("session/load", params))["error"]["code"] == -32002


def test_a_fork_has_the_history_and_goes_its_own_way(start: Start, project: Path) -> None:
    process = start()
    session_id = process.open(project)
    process.until(id=process.prompt(session_id, "read a.txt"))
    params = {"sessionId": session_id, "cwd": str(project), "mcpServers": []}
    copy = process.ask("session/fork", params)["sessionId"]
    assert copy != session_id
    process.until(id=process.prompt(copy, "read a.txt"))
    listed = process.ask("session/list", {"cwd": str(project)})["sessions"]
    assert {one["sessionId"] for one in listed} == {copy, session_id}


def test_the_process_takes_over_what_a_killed_one_had_open(start: Start, project: Path) -> None:
    first = start()
    session_id = first.open(project)
    first.until(id=first.prompt(session_id, "read a.txt"))
    os.kill(first.child.pid, signal.SIGKILL)
    first.child.wait()
    second = greeted(start)
    load(second, session_id, project)
    assert [one["content"]["text"] for one in updates(second, "user_message_chunk")] == [
        "read a.txt"
    ]


def test_version_2_replays_when_asked_and_asks_again_too(start: Start, project: Path) -> None:
    client = {"name": "test", "version": "1"}
    greeting = {"protocolVersion": 2, "info": client, "capabilities": {}}
    first = start()
    first.ask("initialize", greeting)
    session_id = first.ask("session/new", {"cwd": str(project), "mcpServers": []})["sessionId"]
    first.prompt(session_id, "write b.txt text")
    first.until(method="session/request_permission")
    first.kill()
    second = start()
    second.ask("initialize", greeting)
    params = {
        "sessionId": session_id,
        "cwd": str(project),
        "mcpServers": [],
        "replayFrom": {"type": "start"},
    }
    second.ask("session/resume", params)
    assert [m["content"][0]["text"] for m in updates(second, "user_message")] == [
        "write b.txt text"
    ]
    question = second.until(method="session/request_permission")
    option = next(o for o in question["params"]["options"] if o["kind"] == "allow_once")
    outcome = {"outcome": "selected", "optionId": option["optionId"]}
    second.answer(question, {"outcome": outcome})
    states = lambda: [u["state"] for u in updates(second, "state_update")]  # noqa: E731
    while states()[-1:] != ["idle"] or len(states()) < 3:
        second.read()
    assert (project / "b.txt").read_text() == "text"
