"""A session that is loaded by a later process is the session that it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.agent.errors import SessionBusyError
from punie.agent.events import (
    AgentMessageChunk,
    Notice,
    PermissionRequested,
    PermissionResolved,
    SessionInfoUpdate,
    StateUpdate,
    ToolCallUpdate,
    UserMessage,
)
from punie.agent.models.history import chat_messages
from punie.agent.sessions.manager import UnknownCursorError, UnknownSessionError
from punie.agent.testing import Answers, Call, Recorder, Think, Wait

Start = Callable[..., Any]
WRITE = Call("write_file", {"path": "a.txt", "content": "x"})


def sent(requests: Any, index: int = -1) -> list[dict[str, Any]]:
    """What the model read, as a server would be sent it."""
    messages, info = requests[index]
    return chat_messages(messages, info.model_request_parameters.instruction_parts)


async def test_a_loaded_session_has_all_events(process: Start) -> None:
    async with process([[Think("hm"), "one ", WRITE], ["done"]], mode="edit") as first:
        session = first.open()
        await session.prompt("write it")
        before = list(session.events)
    async with process() as second:
        assert (await second.load()).events == before


async def test_the_model_reads_the_same_bytes_as_if_the_process_had_lived(
    process: Start, root: Path
) -> None:
    script = [[Think("hm"), "one ", WRITE], ["done"], ["two"]]
    async with process(script, mode="edit") as lived:
        session = lived.open("lived")
        await session.prompt("write it")
        await session.prompt("and now?")
        expected = sent(lived.requests)
    (root / "a.txt").unlink()
    async with process(script[:2], mode="edit") as first:
        await first.open().prompt("write it")
    async with process(script[2:], mode="edit") as second:
        await (await second.load()).prompt("and now?")
        assert sent(second.requests) == expected


async def test_a_second_load_after_a_loaded_turn_still_has_everything(process: Start) -> None:
    async with process([["one"]]) as first:
        await first.open().prompt("first")
    async with process([["two"]]) as second:
        await (await second.load()).prompt("second")
    async with process([["three"]]) as third:
        await (await third.load()).prompt("third")
        said = [str(part.content) for message in third.requests[0][0] for part in message.parts]
    assert said == ["first", "one", "second", "two", "third"]


async def test_an_answer_that_was_cut_off_stays_as_far_as_it_came(process: Start) -> None:
    async with process([["half an ans", Wait()]]) as first:
        session = first.open()
        heard = Recorder()
        session.attach(heard)
        turn = asyncio.ensure_future(session.prompt("first"))
        await heard.first(AgentMessageChunk)
    turn.cancel()
    async with process([["whole"]]) as second:
        session = await second.load()
        assert isinstance(session.events[-2], Notice)
        assert session.events[-1].state == "idle"
        await session.prompt("go on")
        roles = [(m["role"], m["content"]) for m in sent(second.requests)[1:]]
    assert roles == [("user", "first"), ("assistant", "half an ans"), ("user", "go on")]


async def test_what_was_cut_off_outlives_a_command_and_another_kill(process: Start) -> None:
    async with process([["half an ans", Wait()]]) as first:
        session = first.open()
        heard = Recorder()
        session.attach(heard)
        turn = asyncio.ensure_future(session.prompt("first"))
        await heard.first(AgentMessageChunk)
    turn.cancel()

    async def reply(_emitter: Any, _cancellation: Any) -> str:
        return "a list of commands"

    async with process() as second:
        await (await second.load()).prompt("/help", reply=reply)
    async with process([["whole"]]) as third:
        await (await third.load()).prompt("go on")
        roles = [(m["role"], m["content"]) for m in sent(third.requests)[1:]]
    assert roles == [("user", "first"), ("assistant", "half an ans"), ("user", "go on")]


async def test_a_call_that_was_cut_off_gets_a_result(process: Start) -> None:
    slow = Call("run_command", {"command": "echo begun; sleep 60"})
    async with process([[slow]], mode="bypass") as first:
        session = first.open()
        heard = Recorder()
        session.attach(heard)
        turn = asyncio.ensure_future(session.prompt("first"))
        await heard.status("in_progress")
    turn.cancel()
    async with process([["whole"]]) as second:
        session = await second.load()
        assert [e.status for e in session.events if isinstance(e, ToolCallUpdate)][-1] == (
            "cancelled"
        )
        await session.prompt("go on")
        chat = sent(second.requests)
    calls = [call["id"] for message in chat for call in message.get("tool_calls", ())]
    results = {m["tool_call_id"]: m["content"] for m in chat if m["role"] == "tool"}
    assert calls == ["call_0"]
    assert results == {
        "call_0": "Interrupted: it had begun and did not end. "
        "Look at what is there before trying again."
    }


async def test_what_ended_before_the_cut_is_read_as_it_was(process: Start, root: Path) -> None:
    (root / "b.txt").write_text("text of b\n")
    read = Call("read_file", {"path": "b.txt"})
    slow = Call("run_command", {"command": "sleep 60"})
    async with process([[read, slow]], mode="bypass") as first:
        session = first.open()
        heard = Recorder()
        session.attach(heard)
        turn = asyncio.ensure_future(session.prompt("first"))
        await heard.until(
            lambda: "completed" in heard.statuses and heard.statuses.count("in_progress") > 1
        )
    turn.cancel()
    async with process([["whole"]]) as second:
        await (await second.load()).prompt("go on")
        results = [m["content"] for m in sent(second.requests) if m["role"] == "tool"]
    assert results[0] == "b.txt, 1 line\ntext of b\n"
    assert results[1].startswith("Interrupted")


async def test_a_prompt_whose_model_never_came_is_not_forgotten(process: Start) -> None:
    async with process([]) as first:
        session = first.open()
        turn = asyncio.ensure_future(session.prompt("lost?"))
        heard = Recorder()
        session.attach(heard)
        await heard.first(UserMessage)
    turn.cancel()
    async with process([["no"]]) as second:
        await (await second.load()).prompt("go on")
        users = [m["content"] for m in sent(second.requests) if m["role"] == "user"]
    assert users == ["lost?\n\ngo on"]


async def cut_while_asking(process: Start, *calls: Call) -> list[Any]:
    async with process([[*calls]]) as first:
        session = first.open()
        heard, silent = Recorder(), Answers(None)
        session.attach(heard, asker=silent)
        turn = asyncio.ensure_future(session.prompt("write it"))
        await silent.was_asked.wait()
        events = list(session.events)
    turn.cancel()
    return events


async def test_an_open_question_is_asked_again_and_the_turn_ends(
    process: Start, root: Path
) -> None:
    await cut_while_asking(process, WRITE)
    async with process([["written"]]) as second:
        session = await second.load()
        heard, person = Recorder(), Answers("allow_once")
        await session.join(heard, asker=person)
        outcome = await session.go_on()
        chat = sent(second.requests)
    assert [ask.title for ask in person.asked] == ["Write a.txt"]
    assert (root / "a.txt").read_text() == "x"
    assert (outcome.stop_reason, outcome.text) == ("end_turn", "written")
    assert [m["role"] for m in chat] == ["system", "user", "assistant", "tool"]
    ids = {update.tool_call_id for update in heard.of(ToolCallUpdate)}
    assert len(ids) == 1


async def test_what_the_model_asked_is_asked_again_and_answered(process: Start) -> None:
    ask = Call("ask_user", {"question": "Which one?", "choices": "a.py\nb.py"})
    await cut_while_asking(process, ask)
    async with process([["a.py it is"]]) as second:
        session = await second.load()
        person, screen = Answers("allow_once"), Recorder()
        await session.join(screen, asker=person)
        outcome = await session.go_on()
        assert (person.asked[0].title, outcome.text) == ("Which one?", "a.py it is")
        assert screen.statuses[-1] == "completed"


async def test_a_question_stays_open_when_the_process_is_told_to_end(
    process: Start, root: Path
) -> None:
    async with process([[WRITE]]) as first:
        session = first.open()
        silent = Answers(None)
        session.attach(Recorder(), asker=silent)
        turn = asyncio.ensure_future(session.prompt("write it"))
        await silent.was_asked.wait()
        await first.sessions.aclose()
        assert (await turn).stop_reason == "cancelled"
    async with process([["written"]]) as second:
        session = await second.load()
        session.attach(Recorder(), asker=Answers("allow_once"))
        await session.go_on()
    assert (root / "a.txt").read_text() == "x"


async def test_a_question_asked_again_can_be_rejected(process: Start, root: Path) -> None:
    await cut_while_asking(process, WRITE)
    async with process([["then not"]]) as second:
        session = await second.load()
        session.attach(Recorder(), asker=Answers("reject_once"))
        outcome = await session.go_on()
    assert outcome.denied
    assert not (root / "a.txt").exists()


async def test_a_question_that_is_cut_off_twice_is_asked_a_third_time(
    process: Start, root: Path
) -> None:
    await cut_while_asking(process, WRITE)
    async with process([]) as second:
        session = await second.load()
        silent = Answers(None)
        session.attach(Recorder(), asker=silent)
        turn = asyncio.ensure_future(session.go_on())
        await silent.was_asked.wait()
    turn.cancel()
    async with process([["written"]]) as third:
        session = await third.load()
        session.attach(Recorder(), asker=Answers("allow_once"))
        await session.go_on()
    assert (root / "a.txt").read_text() == "x"


async def test_calls_that_ended_are_not_run_again_when_the_turn_goes_on(
    process: Start, root: Path
) -> None:
    (root / "log").touch()
    count = Call("run_command", {"command": "echo ran >> log"})
    async with process([[count, WRITE]]) as first:
        session = first.open()
        person = Answers("allow_once")
        heard = Recorder()
        detach = session.attach(heard, asker=person)
        turn = asyncio.ensure_future(session.prompt("both"))
        await heard.status("completed")
        silent = Answers(None)
        session.attach(heard, asker=silent)
        detach()
        await silent.was_asked.wait()
    turn.cancel()
    async with process([["both done"]]) as second:
        session = await second.load()
        session.attach(Recorder(), asker=Answers("allow_once"))
        await session.go_on()
        results = [m["content"] for m in sent(second.requests) if m["role"] == "tool"]
    assert (root / "log").read_text() == "ran\n"
    assert (root / "a.txt").read_text() == "x"
    assert len(results) == 2


async def test_every_question_of_the_log_is_closed(process: Start) -> None:
    await cut_while_asking(process, WRITE)
    async with process([["written"]]) as second:
        session = await second.load()
        session.attach(Recorder(), asker=Answers("allow_once"))
        await session.go_on()
        asked = {e.request_id for e in session.events if isinstance(e, PermissionRequested)}
        closed = {e.request_id for e in session.events if isinstance(e, PermissionResolved)}
    assert len(asked) == 2
    assert asked == closed
    assert session.events[-1] == StateUpdate(state="idle", stop_reason="end_turn")


async def test_a_turn_that_only_plans_goes_on_only_planning(process: Start, root: Path) -> None:
    ask = Call("ask_user", {"question": "Which one?", "choices": "a.py\nb.py"})
    async with process([[ask]], mode="edit") as first:
        session = first.open()
        heard = Recorder()
        session.attach(heard, asker=Answers(None))
        turn = asyncio.ensure_future(session.prompt("plan it", mode="plan"))
        await heard.first(PermissionRequested)
    turn.cancel()
    async with process([[WRITE], ["planned"], [WRITE], ["done"]], mode="edit") as second:
        session = await second.load()
        session.attach(Recorder(), asker=Answers("allow_once"))
        assert (await session.go_on()).denied
        assert not (root / "a.txt").exists()
        assert session.mode == "edit"
        await session.prompt("do it")
        assert (root / "a.txt").read_text() == "x"


async def test_nothing_is_asked_again_in_a_session_that_came_to_rest(process: Start) -> None:
    async with process([["fine"]]) as first:
        await first.open().prompt("hello")
    async with process() as second:
        assert await (await second.load()).go_on() is None


async def test_a_session_that_is_open_here_is_joined_in_the_middle_of_a_turn(
    process: Start,
) -> None:
    go = asyncio.Event()
    async with process([["one ", Wait(go), "two"]]) as only:
        session = only.open()
        early, late = Recorder(), Recorder()
        session.attach(early)
        turn = asyncio.ensure_future(session.prompt("count"))
        await early.first(AgentMessageChunk)
        assert await only.load() is session
        await session.join(late)
        go.set()
        await turn
    assert late.text == early.text == "one two"
    assert [message.text for message in late.of(UserMessage)] == ["count"]


async def test_a_session_that_another_process_has_open_is_refused(process: Start) -> None:
    async with process([["fine"]]) as first:
        await first.open().prompt("hello")
        async with process() as second:
            with pytest.raises(SessionBusyError, match="close it there first"):
                await second.load()
            page = await second.sessions.page()
            assert [listed.session_id for listed in page.sessions] == ["s"]
    async with process() as third:
        assert (await third.load()).title == "hello"


async def test_a_closed_session_can_be_opened_elsewhere(process: Start) -> None:
    async with process([["fine"]]) as first:
        await first.open().prompt("hello")
        await first.sessions.close("s")
        async with process() as second:
            assert (await second.load()).id == "s"


async def test_an_unknown_session_is_named(process: Start) -> None:
    async with process() as only:
        with pytest.raises(UnknownSessionError) as refused:
            await only.load("other")
    assert refused.value.session_id == "other"


async def test_deleting_twice_is_as_good_as_once(process: Start) -> None:
    async with process([["fine"]]) as only:
        await only.open().prompt("hello")
        assert await only.sessions.delete("s")
        assert not await only.sessions.delete("s")
        assert (await only.sessions.page()).sessions == []
        with pytest.raises(UnknownSessionError):
            await only.load()


async def test_a_fork_goes_its_own_way(process: Start) -> None:
    async with process([["one"], ["original"], ["copy"]]) as only:
        original = only.open()
        await original.prompt("first")
        copy = await only.sessions.fork("s", only.parts, new_id="f")
        await original.prompt("second")
        await copy.prompt("other")
        said = [str(part.content) for message in only.requests[2][0] for part in message.parts]
    assert said == ["first", "one", "other"]
    assert "second" not in [e.text for e in copy.events if isinstance(e, UserMessage)]


async def test_a_fork_of_a_session_that_asks_does_not_ask(process: Start) -> None:
    async with process([[WRITE], ["fine"]]) as only:
        original = only.open()
        silent = Answers(None)
        original.attach(Recorder(), asker=silent)
        turn = asyncio.ensure_future(original.prompt("first"))
        await silent.was_asked.wait()
        copy = await only.sessions.fork("s", only.parts, new_id="f")
        assert await copy.go_on() is None
        assert (await copy.prompt("and?")).text == "fine"
        original.cancel()
        await turn


async def test_pages_follow_each_other_and_hold_every_session_once(process: Start) -> None:
    count = 120
    async with process([["fine"]] * count) as only:
        for number in range(count):
            await only.open(f"s{number}").prompt(f"prompt {number}")
        seen: list[str] = []
        cursor = None
        while True:
            page = await only.sessions.page(cursor=cursor)
            seen += [listed.session_id for listed in page.sessions]
            if (cursor := page.next_cursor) is None:
                break
    assert seen == [f"s{number}" for number in reversed(range(count))]


async def test_a_list_can_be_of_one_folder(process: Start, root: Path) -> None:
    async with process([["fine"]]) as only:
        await only.open().prompt("hello")
        here, elsewhere = (
            await only.sessions.page(cwd=root),
            await only.sessions.page(cwd=Path("/")),
        )
    assert [listed.title for listed in here.sessions] == ["hello"]
    assert elsewhere.sessions == []


async def test_a_cursor_of_nobody_is_refused(process: Start) -> None:
    async with process() as only:
        with pytest.raises(UnknownCursorError):
            await only.sessions.page(cursor="garbage")


async def test_the_first_prompt_gives_the_title(process: Start) -> None:
    async with process([["one"], ["two"]]) as only:
        session = only.open()
        await session.prompt("Fix the test\nplease")
        await session.prompt("and more")
    titles = [e.title for e in session.events if isinstance(e, SessionInfoUpdate)]
    assert titles == ["Fix the test"]


async def test_what_was_said_is_found_by_its_words(process: Start) -> None:
    async with process([["Paris is a city"], ["Rome"]]) as only:
        await only.open("one").prompt("capital of France")
        await only.open("two").prompt("capital of Italy")

        async def found(words: str) -> list[str]:
            stored = await only.journal.run(lambda store, _: store.search(words))
            return [session.session_id for session in stored]

        assert await found("paris city") == ["one"]
        assert sorted(await found("capital")) == ["one", "two"]
        assert await found('"; DROP') == []


async def test_a_conversation_that_was_shortened_is_loaded_as_it_was_then(
    process: Start, root: Path
) -> None:
    (root / "b.txt").write_text("line\n" * 2000)
    read = Call("read_file", {"path": "b.txt"})
    turns = [[read], ["one"], ["two"], ["three"], ["four"]]
    async with process(turns) as first:
        session = first.open()
        for prompt in ("first", "second", "third", "fourth"):
            await session.prompt(prompt)
        assert await session.compact()
        shortened = list(session.memory.messages)
    async with process([["five"]]) as second:
        session = await second.load()
        await session.prompt("fifth")
        assert second.requests[0][0][:-1] == shortened


async def allowed_always(process: Start, root: Path) -> None:
    """A session in which a person always allowed to write, and which ended as a killed one does."""
    async with process([[WRITE], ["done"]]) as first:
        session = first.open()
        session.attach(Recorder(), asker=Answers("allow_always"))
        await session.prompt("write it")
    (root / "a.txt").unlink()


async def test_what_was_always_allowed_in_a_session_still_is_after_a_restart(
    process: Start, root: Path
) -> None:
    await allowed_always(process, root)
    async with process([[WRITE], ["done"]]) as second:
        session = await second.load()
        await session.prompt("again")  # and nobody is there to be asked
    assert (root / "a.txt").read_text() == "x"


async def test_what_was_taken_back_is_asked_about_after_a_restart(
    process: Start, root: Path
) -> None:
    await allowed_always(process, root)
    async with process() as second:
        gate = (await second.load()).gate
        for answer in await gate.remembered():
            await gate.forget(answer)
    async with process([[WRITE], ["done"]]) as third:
        assert (await (await third.load()).prompt("again")).denied
    assert not (root / "a.txt").exists()


async def test_a_copy_of_a_session_was_allowed_nothing(process: Start, root: Path) -> None:
    await allowed_always(process, root)
    async with process([[WRITE], ["done"]]) as second:
        fork = await second.sessions.fork("s", second.parts, new_id="copy")
        assert (await fork.prompt("again")).denied
    async with process([[WRITE], ["done"]]) as third:
        assert (await (await third.load("copy")).prompt("again")).denied
    assert not (root / "a.txt").exists()
