"""An agent written once, as clients of both versions meet it: turns, and questions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from punie.acp.errors import CapabilityError, RequestError
from punie.acp.schema import v1, v2
from punie.acp.versions.diffs import file_diff

from .conftest import (  # type: ignore[import-not-found]
    PROMPT,
    Agent,
    opened,
    text,
)


async def test_a_prompt_of_version_2_is_answered_at_once_and_goes_on() -> None:
    async with opened(2) as wire:
        assert await wire.exchange("session/prompt", PROMPT) == [{"messageId": "m1"}]
        assert [await wire.update() for _ in range(3)] == [
            {
                "sessionUpdate": "user_message",
                "messageId": "m1",
                "content": [{"type": "text", "text": "hi"}],
            },
            {"sessionUpdate": "state_update", "state": "running"},
            {"sessionUpdate": "state_update", "state": "idle", "stopReason": "end_turn"},
        ]


async def test_a_prompt_of_version_1_is_answered_at_the_end_of_its_turn() -> None:
    async with opened(1) as wire:
        agent = wire.agent

        async def work() -> None:
            await agent.say(v2.AgentMessageChunk(message_id="a", content=text("hello")))

        agent.work = work
        assert await wire.exchange("session/prompt", PROMPT) == [
            {
                "sessionUpdate": "agent_message_chunk",
                "messageId": "a",
                "content": {"type": "text", "text": "hello"},
            },
            {"stopReason": "end_turn"},
        ]


async def test_all_updates_of_a_turn_come_before_its_answer_and_none_of_the_next() -> None:
    async with opened(1) as wire:
        agent = wire.agent

        async def work() -> Any:
            for number in range(50):
                await agent.say(v2.AgentMessageChunk(message_id="a", content=text(str(number))))
            await agent.say(v2.IdleStateUpdate(stop_reason="max_tokens"))
            # What the agent says right behind the end belongs to what comes next.
            await agent.say(v2.SessionInfoUpdate(title="Next"))
            return v2.IdleStateUpdate(stop_reason="end_turn")

        agent.work = work
        *updates, answer = await wire.exchange("session/prompt", PROMPT)
        assert [one["content"]["text"] for one in updates] == [str(n) for n in range(50)]
        assert answer == {"stopReason": "max_tokens"}
        assert (await wire.update())["title"] == "Next"


@pytest.mark.parametrize(
    ("told", "answered"),
    [
        ("refusal", "refusal"),
        ("max_turn_requests", "max_turn_requests"),
        ("cancelled", "cancelled"),
        ("_own", "end_turn"),
        (None, "end_turn"),
    ],
)
async def test_the_reason_of_the_end_is_one_that_version_1_has(told: Any, answered: str) -> None:
    async with opened(1) as wire:

        async def work() -> Any:
            return v2.IdleStateUpdate(stop_reason=told)

        wire.agent.work = work
        assert await wire.ask("session/prompt", PROMPT) == {"stopReason": answered}


async def test_a_turn_that_fails_is_an_error_of_version_1() -> None:
    ends = [
        v2.IdleStateUpdate(
            stop_reason="error", error=v2.Error(code=-32603, message="no model", data={"a": 1})
        ),
        v2.IdleStateUpdate(stop_reason="error"),
    ]
    async with opened(1) as wire:

        async def work() -> Any:
            return ends.pop(0)

        wire.agent.work = work
        failed = await wire.ask("session/prompt", PROMPT)
        assert failed == {"code": -32603, "message": "no model", "data": {"a": 1}}
        assert (await wire.ask("session/prompt", PROMPT))["message"] == "the turn failed"


async def test_cancelling_answers_cancelled() -> None:
    for how in ("session/cancel", "$/cancel_request"):
        async with opened(1) as wire:
            started = asyncio.Event()

            async def work(started: asyncio.Event = started) -> None:
                started.set()
                await asyncio.Event().wait()

            wire.agent.work = work
            wire.send("session/prompt", PROMPT, id=7)
            await started.wait()
            wire.send(how, {"sessionId": "s", "requestId": 7})
            (answer,) = await wire.until_answer(7)
            assert answer["result"] == {"stopReason": "cancelled"}


async def test_a_prompt_that_was_never_taken_is_cancelled_too() -> None:
    class Refusing(Agent):
        code = -32800

        async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
            raise RequestError(self.code, "no")

    async with opened(1, Refusing) as wire:
        assert await wire.ask("session/prompt", PROMPT) == {"stopReason": "cancelled"}
        for code in (-32002, -32602):
            wire.agent.code = code  # type: ignore[attr-defined]
            assert (await wire.ask("session/prompt", PROMPT))["code"] == code


async def test_a_prompt_during_a_turn_ends_with_it() -> None:
    async with opened(1) as wire:
        agent = wire.agent
        begun: list[asyncio.Event] = []

        async def work() -> None:
            begun.append(asyncio.Event())
            if len(begun) == 2:
                begun[0].set()
            await begun[-1].wait()

        agent.work = work
        wire.send("session/prompt", PROMPT, id=1)
        wire.send("session/prompt", PROMPT, id=2)
        answers = [await wire.frames.get() for _ in range(2)]
        assert {one["id"] for one in answers} == {1, 2}
        for task in agent.tasks:
            task.cancel()


async def test_a_turn_that_is_over_before_its_prompt_is_answered_ends_it() -> None:
    class Quick(Agent):
        async def prompt(self, params: v2.PromptRequest) -> v2.PromptResponse:
            await self.turn("quick", params.prompt)
            await self.say(v2.IdleStateUpdate(stop_reason="refusal"))  # told again: no other end
            return v2.PromptResponse(message_id="quick")

    async with opened(1, Quick) as wire:
        assert await wire.exchange("session/prompt", PROMPT) == [{"stopReason": "end_turn"}]


async def test_a_state_that_is_told_again_ends_no_turn() -> None:
    class Late(Agent):
        async def turn(self, message_id: str, prompt: list[v2.ContentBlock]) -> None:
            await asyncio.sleep(0)
            await self.say(v2.IdleStateUpdate(stop_reason="refusal"))
            await super().turn(message_id, prompt)

    async with opened(1, Late) as wire:
        assert await wire.ask("session/prompt", PROMPT) == {"stopReason": "end_turn"}


async def test_what_somebody_else_asks_is_shown_to_a_client_of_version_1() -> None:
    async with opened(1) as wire:
        await wire.agent.say(v2.UserMessage(message_id="other", content=[text("from afar")]))
        await wire.agent.say(v2.UserMessageChunk(message_id="more", content=text("and more")))
        assert (await wire.update())["content"]["text"] == "from afar"
        assert (await wire.update())["content"]["text"] == "and more"


async def test_closing_a_session_ends_its_prompts() -> None:
    async with opened(1) as wire:
        started = asyncio.Event()

        async def work() -> None:
            started.set()
            await asyncio.Event().wait()

        wire.agent.work = work
        wire.send("session/prompt", PROMPT, id=7)
        await started.wait()
        wire.send("session/close", {"sessionId": "s"}, id=8)
        answers = {one["id"]: one["result"] for one in [await wire.frames.get() for _ in range(2)]}
        assert answers == {7: {"stopReason": "cancelled"}, 8: {}}
        for task in list(wire.agent.tasks):
            task.cancel()


# Questions


def ask_permission(subject: Any, *kinds: str) -> v2.RequestPermissionRequest:
    return v2.RequestPermissionRequest(
        session_id="s",
        title="Edit a?",
        description="It changes a.",
        subject=subject,
        options=[v2.PermissionOption(option_id=kind, name=kind, kind=kind) for kind in kinds],
    )


DIFF = file_diff("/a", old_text="1\n", new_text="2\n")
CALL = v2.ToolCallUpdate(tool_call_id="t", title="Edit a", kind="edit", content=[DIFF])


async def test_permission_is_asked_with_the_whole_call_in_version_1() -> None:
    async with opened(1) as wire:
        await wire.agent.say(CALL)
        begun = await wire.update()
        subject = v2.ToolCallPermissionSubject(tool_call=v2.ToolCallPatch(tool_call_id="t"))
        asking = asyncio.ensure_future(
            wire.agent.client.request_permission(ask_permission(subject, "allow_once", "_own"))
        )
        asked = await wire.frames.get()
        wire.answer(asked, {"outcome": {"outcome": "selected", "optionId": "allow_once"}})
        assert (await asking).outcome == v2.SelectedPermissionOutcome(option_id="allow_once")
    diff = {"type": "diff", "path": "/a", "oldText": "1\n", "newText": "2\n"}
    assert begun["content"] == [diff]
    assert asked["params"] == {
        "sessionId": "s",
        "toolCall": {"toolCallId": "t", "title": "Edit a", "kind": "edit", "content": [diff]},
        "options": [{"optionId": "allow_once", "name": "allow_once", "kind": "allow_once"}],
    }


async def test_permission_is_asked_with_a_patch_in_version_2() -> None:
    async with opened(2) as wire:
        call = v2.ToolCallPatch(tool_call_id="t", title="Edit a", content=[DIFF])
        subject = v2.ToolCallPermissionSubject(tool_call=call)
        asking = asyncio.ensure_future(
            wire.agent.client.request_permission(ask_permission(subject, "allow_once"))
        )
        asked = await wire.frames.get()
        wire.answer(asked, {"outcome": {"outcome": "cancelled"}})
        assert (await asking).outcome == v2.CancelledPermissionOutcome()
    (content,) = asked["params"]["subject"]["toolCall"]["content"]
    assert content["changes"] == [{"operation": "modify", "path": "/a", "fileType": "text"}]
    assert content["patch"]["text"].endswith("@@ -1 +1 @@\n-1\n+2\n")
    assert "path" not in content


@pytest.mark.parametrize(
    ("subject", "kind", "shown"),
    [
        (None, "other", "It changes a."),
        (v2.CommandPermissionSubject(command="ls", cwd="/"), "execute", "It changes a.\nls"),
    ],
)
async def test_a_question_about_no_call_makes_one_for_version_1(
    subject: Any, kind: str, shown: str
) -> None:
    async with opened(1) as wire:
        asking = asyncio.ensure_future(
            wire.agent.client.request_permission(ask_permission(subject, "reject_once"))
        )
        begun, asked = await wire.update(), await wire.frames.get()
        wire.answer(asked, {"outcome": {"outcome": "cancelled"}})
        await asking
        ended = await wire.update()
        assert (ended["toolCallId"], ended["status"]) == (begun["toolCallId"], "completed")
        assert (begun["title"], begun["kind"]) == ("Edit a?", kind)
        assert begun["content"][0]["content"]["text"] == shown
        assert asked["params"]["toolCall"]["toolCallId"] == begun["toolCallId"]


async def test_a_question_about_no_call_is_asked_as_it_is_in_version_2() -> None:
    async with opened(2) as wire:
        asking = asyncio.ensure_future(
            wire.agent.client.request_permission(ask_permission(None, "allow_once"))
        )
        asked = await wire.frames.get()
        wire.answer(asked, {"outcome": {"outcome": "selected", "optionId": "allow_once"}})
        assert (await asking).outcome == v2.SelectedPermissionOutcome(option_id="allow_once")
        assert (asked["params"]["title"], "subject" in asked["params"]) == ("Edit a?", False)


async def test_a_question_whose_answers_version_1_cannot_give_is_not_asked() -> None:
    async with opened(1) as wire:
        answer = await wire.agent.client.request_permission(ask_permission(None, "_own"))
        assert answer.outcome == v2.CancelledPermissionOutcome()
        assert wire.frames.empty()


FORM = v2.ElicitationFormMode(
    session_id="s",
    message="Which?",
    requested_schema=v2.ElicitationSchema(
        type="object", properties={"a": v2.StringPropertySchema(title="A")}
    ),
)


async def test_a_form_reaches_clients_of_both_versions() -> None:
    able = {"elicitation": {"form": {}, "url": {}}}
    for version, more in ((1, {"clientCapabilities": able}), (2, {"capabilities": able})):
        async with opened(version, **more) as wire:
            asking = asyncio.ensure_future(wire.agent.client.create_elicitation(FORM))
            asked = await wire.frames.get()
            wire.answer(asked, {"action": "accept", "content": {"a": "x"}})
            assert (await asking).content == {"a": "x"}
            assert (asked["method"], asked["params"]["message"]) == ("elicitation/create", "Which?")
            await wire.agent.client.complete_elicitation("e")
            assert (await wire.frames.get())["params"] == {"elicitationId": "e"}


async def test_a_form_that_the_client_does_not_show_is_not_sent() -> None:
    for version in (1, 2):
        async with opened(version) as wire:
            with pytest.raises(CapabilityError, match=r"elicitation\.form"):
                await wire.agent.client.create_elicitation(FORM)
            with pytest.raises(CapabilityError, match=r"elicitation\.url"):
                await wire.agent.client.complete_elicitation("e")
            assert wire.frames.empty()


async def test_files_are_the_clients_in_version_1_alone() -> None:
    async with opened(1, clientCapabilities={"fs": {"readTextFile": True}}) as wire:
        assert wire.agent.client.v1 is not None
        reading = asyncio.ensure_future(wire.agent.client.v1.read_text_file("s", "/a"))
        wire.answer(await wire.frames.get(), {"content": "text"})
        assert await reading == "text"
        with pytest.raises(CapabilityError):
            await wire.agent.client.v1.create_terminal(
                v1.CreateTerminalRequest(session_id="s", command="ls")
            )


async def test_diffs_of_updates_are_patches_in_version_2() -> None:
    async with opened(2) as wire:
        await wire.agent.say(CALL)
        await wire.agent.say(v2.ToolCallContentChunk(tool_call_id="t", content=DIFF))
        await wire.agent.say(v2.ToolCallUpdate(tool_call_id="t", status="completed"))
        begun, more, done = [await wire.update() for _ in range(3)]
    assert begun["content"][0]["patch"]["format"] == "git_patch"
    assert more["content"]["patch"] == begun["content"][0]["patch"]
    assert done == {
        "sessionUpdate": "tool_call_update",
        "toolCallId": "t",
        "status": "completed",
    }
