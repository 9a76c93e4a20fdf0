"""A model or a server that misbehaves once does not cost the task: ten forms, one real edit each.

The same task over a real HTTP socket and a real session: read the file, edit it, say so. Three
requests are needed when all goes well.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from punie.agent.events import Notice, PermissionRequested, ToolCallUpdate
from punie.agent.runtime import Runtime
from punie.agent.testing import Answers, Recorder
from punie.agent.testing.fake_server import (
    CUT,
    FakeServer,
    Piece,
    Refusal,
    call,
    chunk,
    open_fake_server,
)
from punie.agent.turns.outcome import TurnOutcome

NEEDED = 3
OLD = "def wait():\n    timeout = 5\n    return timeout\n"
READ = {"path": "app.py"}
EDIT = {"path": "app.py", "old": "    timeout = 5\n", "new": "    timeout = 10\n"}


def calls(name: str, arguments: Any) -> list[Piece]:
    return [chunk(tool_calls=[call(name, arguments)]), chunk(finish="tool_calls")]


def says(text: str) -> list[Piece]:
    return [
        *(chunk(content=text[at : at + 5]) for at in range(0, len(text), 5)),
        chunk(finish="stop"),
    ]


def written(name: str, arguments: dict[str, Any]) -> str:
    return json.dumps({"name": name, "arguments": arguments})


GOOD = calls("edit_file", json.dumps(EDIT))
LOOSE = {
    "path": "app.py",
    "old": "timeout = 5\nreturn timeout",
    "new": "timeout = 10\nreturn timeout",
}
XML = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in EDIT.items())

FORMS: dict[str, list[Piece] | Refusal] = {
    "broken JSON": calls("edit_file", json.dumps(EDIT)[:-1] + ",}"),
    "wrong types": calls("read_file", '{"path": "app.py", "line": "1", "limit": 50.0}'),
    "a call in tags": says(f"I edit.\n<tool_call>\n{written('edit_file', EDIT)}\n</tool_call>"),
    "a call as XML": says(f"<tool_call>\n<function=edit_file>\n{XML}</function>\n</tool_call>"),
    "a call in a fence": says(f"I edit.\n```json\n{written('edit_file', EDIT)}\n```"),
    "an unknown name": calls("EditFile", json.dumps(EDIT)),
    "wrong indentation": calls("edit_file", json.dumps(LOOSE)),
    "HTTP 500": Refusal(500, '{"error": "out of luck"}'),
    "a cut stream": [chunk(content="I will now "), CUT],
}
SAID = {
    "broken JSON": "its JSON was mended",
    "wrong types": "line read as integer",
    "a call in tags": "written as text",
    "a call as XML": "written as text",
    "a call in a fence": "written as text",
    "an unknown name": "EditFile read as edit_file",
    "wrong indentation": "indentation adjusted",
    "HTTP 500": "the server answered 500: asked again",
    "a cut stream": "answer broke off: asked again",
}


class Task(NamedTuple):
    server: FakeServer
    heard: Recorder
    outcome: TurnOutcome
    text: str
    """Of the file, at the end."""
    said: str
    """Everything that a person reads of notices and results."""
    person: Answers


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with open_fake_server() as fake:
        yield fake


Answer = Callable[[dict[str, Any]], "list[Piece] | Refusal"]


class Run(Protocol):
    async def __call__(self, answer: Answer, *, person: Answers | None = None) -> Task: ...


def always(reply: list[Piece] | Refusal) -> Answer:
    return lambda request: reply


@pytest.fixture
def run(tmp_path: Path, server: FakeServer) -> Run:
    async def task(answer: Answer, *, person: Answers | None = None) -> Task:
        folder = tmp_path / "project"
        folder.mkdir()
        (folder / "app.py").write_text(OLD)
        server.answer = answer
        runtime = Runtime(model=f"local:{server.url}/fake", environ={"HOME": str(tmp_path)})
        session = await _opened(runtime, folder)
        heard, asked = Recorder(), person or Answers("allow_once")
        session.attach(heard, asker=asked)
        outcome = await session.prompt("set the timeout to 10")
        await runtime.aclose()
        said = [f"{notice.title} {notice.description}" for notice in heard.of(Notice)]
        said += [str(update.raw_output) for update in heard.of(ToolCallUpdate)]
        text = (folder / "app.py").read_text()
        return Task(server, heard, outcome, text, "\n".join(said), asked)

    return task


async def _opened(runtime: Runtime, folder: Path) -> Any:
    opened: Any = runtime.open_session(folder, mode="edit")
    return await opened if hasattr(opened, "__await__") else opened


def once(form: str) -> Answer:
    """A model that does the task, and misbehaves in one way at the first occasion."""
    left = [FORMS[form]]

    def answer(request: dict[str, Any]) -> list[Piece] | Refusal:
        results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
        if any("edited at line" in result for result in results):
            return says("The timeout is 10 now.")
        reading = form == "wrong types" if left else not results
        if not results and not (left and reading):
            return calls("read_file", json.dumps(READ))
        return left.pop() if left else GOOD

    return answer


@pytest.mark.parametrize("form", FORMS)
async def test_the_edit_is_done_and_what_was_mended_is_said(run: Run, form: str) -> None:
    task = await run(once(form))
    assert (task.outcome.stop_reason, task.outcome.error) == ("end_turn", "")
    assert task.text == OLD.replace("5", "10")
    assert SAID[form] in task.said or SAID[form] in str(task.heard.events)
    refused = form == "HTTP 500"
    extra = len(task.server.requests) - refused - NEEDED
    print(f"{form}: {extra} more model calls than needed")
    assert extra == (form == "a cut stream")


async def test_the_same_call_for_ever_stops_after_three_and_asks_the_person(run: Run) -> None:
    task = await run(always(calls("read_file", json.dumps(READ))), person=Answers("reject_once"))
    assert (task.outcome.stop_reason, len(task.server.requests)) == ("max_turn_requests", 3)
    (ask,) = task.person.asked
    assert (ask.about, len(task.heard.of(PermissionRequested))) == ("loop", 1)
    assert "3 times" in ask.reason
    assert task.text == OLD


async def test_a_person_can_let_it_go_on_and_is_asked_again_after_three_more(run: Run) -> None:
    asked: list[str] = []

    class Twice(Answers):
        async def __call__(self, ask: Any) -> Any:
            asked.append(ask.about)
            self._kind = "allow_once" if len(asked) == 1 else "reject_once"
            return await super().__call__(ask)

    task = await run(always(calls("read_file", json.dumps(READ))), person=Twice("allow_once"))
    assert (asked, len(task.server.requests)) == (["loop", "loop"], 6)


async def test_a_stream_that_always_breaks_off_is_an_error_and_never_an_end_of_turn(
    run: Run,
) -> None:
    task = await run(always([chunk(content="I will now "), CUT]))
    assert task.outcome.stop_reason == "error"
    assert "broke off" in task.outcome.error
    assert len(task.server.requests) == 3


async def test_a_server_that_always_answers_500_is_an_error_after_three_tries(run: Run) -> None:
    task = await run(always(Refusal(500, '{"error": "out of luck"}')))
    assert (task.outcome.stop_reason, len(task.server.requests)) == ("error", 3)
    assert "out of luck" in task.outcome.error
