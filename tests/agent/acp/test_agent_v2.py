"""Punie over protocol version 2, and what both versions make of its sessions."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.acp.agent_side import serve_dual
from punie.acp.client_side.dual import DualAgentProxy
from punie.acp.errors import RequestError
from punie.acp.schema import v2
from punie.acp.testing.dual import HELLO, RecordingDualClient, served_dual
from punie.acp.transports.base import Transport
from punie.agent.acp.agent import PunieAgent
from punie.agent.runtime import Runtime


class Editor(RecordingDualClient):
    """A client with one open session."""

    agent: DualAgentProxy
    session_id: str

    async def ask(self, text: str, *, turns: int = 1) -> v2.StateUpdate:
        await self.put(text)
        return await self.until_idle(turns)

    async def put(self, text: str) -> str:
        blocks: list[v2.ContentBlock] = [v2.TextContent(text=text)]
        request = v2.PromptRequest(session_id=self.session_id, prompt=blocks)
        return (await self.agent.prompt(request)).message_id


@asynccontextmanager
async def at(
    project: Path,
    environment: dict[str, str],
    client: Editor,
    hello: v2.InitializeRequest = HELLO,
) -> AsyncIterator[Editor]:
    def serve(transport: Transport) -> Any:
        def open_host() -> Runtime:
            return Runtime(model="test", environ=environment)

        return serve_dual(lambda proxy: PunieAgent(proxy, open_host), transport)

    async with served_dual(serve, client) as agent:
        client.agent = agent
        assert (await agent.initialize(hello)).protocol_version == 2
        opened = await agent.new_session(v2.NewSessionRequest(cwd=str(project)))
        client.session_id = opened.session_id
        yield client


async def test_a_turn_is_told_by_its_message_and_its_states(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        message_id = await editor.put("hello")
        end = await editor.until_idle()
    assert [message.message_id for message in editor.of(v2.UserMessage)] == [message_id]
    assert editor.text == "Hello from Punie's test model."
    assert editor.states == ["running", "idle"]
    assert end.stop_reason == "end_turn"


async def test_a_question_shows_the_diff_as_a_patch_and_the_session_waits(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        await editor.ask("write b.txt text")
    calls = editor.of(v2.ToolCallUpdate)
    (asked,) = editor.permissions
    assert isinstance(asked.subject, v2.ToolCallPermissionSubject)
    assert asked.subject.tool_call.tool_call_id == calls[0].tool_call_id
    assert isinstance(calls[0].content, list)
    (diff,) = calls[0].content
    assert isinstance(diff, v2.Diff)
    assert diff.changes == [v2.DiffAdd(path=str(project / "b.txt"), file_type="text")]
    assert diff.patch is not None
    assert "+text\n" in diff.patch.text
    assert editor.states == ["running", "requires_action", "running", "idle"]
    assert (project / "b.txt").read_text() == "text"


async def test_a_rejected_write_leaves_no_trace(project: Path, environment: dict[str, str]) -> None:
    async with at(project, environment, Editor(allow=False)) as editor:
        assert (await editor.ask("write b.txt text")).stop_reason == "end_turn"
    assert not (project / "b.txt").exists()


async def test_the_mode_is_a_config_option(project: Path, environment: dict[str, str]) -> None:
    async with at(project, environment, Editor()) as editor:
        chosen = v2.SetSessionConfigOptionRequest(
            session_id=editor.session_id, config_id="mode", type="id", value="edit"
        )
        options = (await editor.agent.set_session_config_option(chosen)).config_options
        await editor.ask("write b.txt text")
    assert isinstance(options[0], v2.SessionConfigSelect)
    assert options[0].current_value == "edit"
    assert editor.permissions == []


async def test_cancelling_stops_the_turn_and_drops_the_prompts_that_wait(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        await editor.put("count slowly")
        waiting = asyncio.ensure_future(editor.put("hello"))
        await editor.until(lambda: editor.text)
        await editor.agent.cancel(editor.session_id)
        with pytest.raises(RequestError) as dropped:
            await waiting
        assert (await editor.until_idle()).stop_reason == "cancelled"
        assert (await editor.ask("hello", turns=2)).stop_reason == "end_turn"
    assert dropped.value.code == -32800
    assert len(editor.of(v2.UserMessage)) == 2


async def test_a_prompt_that_waits_can_be_taken_back_alone(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        await editor.put("count slowly to 3")
        waiting = asyncio.ensure_future(editor.put("hello"))
        await editor.until(lambda: editor.text)
        waiting.cancel()
        assert (await editor.until_idle()).stop_reason == "end_turn"
        assert (await editor.ask("hello", turns=2)).stop_reason == "end_turn"
    assert len(editor.of(v2.UserMessage)) == 2


async def test_a_session_is_listed_closed_and_resumed_with_its_history(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        await editor.ask("read a.txt")
        listed = await editor.agent.list_sessions(v2.ListSessionsRequest(cwd=str(project)))
        await editor.agent.close_session(v2.CloseSessionRequest(session_id=editor.session_id))
        told = len(editor.updates)
        resumed = await editor.agent.resume_session(
            v2.ResumeSessionRequest(
                session_id=editor.session_id, cwd=str(project), replay_from=v2.ReplayFromStart()
            )
        )
        again = editor.updates[told:]
        await editor.ask("hello", turns=3)
    assert [one.session_id for one in listed.sessions] == [editor.session_id]
    assert listed.sessions[0].title == "read a.txt"
    assert isinstance(again[0], v2.UserMessage)
    assert any(isinstance(one, v2.ToolCallUpdate) for one in again)
    assert isinstance(again[-1], v2.StateUpdate)
    assert again[-1].state == "idle"
    assert resumed.config_options != []


async def test_resuming_without_a_history_tells_the_state_alone(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        await editor.ask("hello")
        told = len(editor.updates)
        request = v2.ResumeSessionRequest(session_id=editor.session_id, cwd=str(project))
        await editor.agent.resume_session(request)
        assert [type(one) for one in editor.updates[told:]] == [v2.StateUpdate]
        await editor.ask("hello", turns=3)
    assert len(editor.of(v2.UserMessage)) == 2


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"session_id": "punie-0"}, -32002),
        ({"cwd": "relative"}, -32602),
        ({"replay_from": v2.UnknownVariant(kind="_own", body={"type": "_own"})}, -32602),
    ],
)
async def test_what_cannot_be_resumed_is_refused(
    project: Path, environment: dict[str, str], more: dict[str, Any], code: int
) -> None:
    async with at(project, environment, Editor()) as editor:
        wanted = {"session_id": editor.session_id, "cwd": str(project)} | more
        with pytest.raises(RequestError) as refused:
            await editor.agent.resume_session(v2.ResumeSessionRequest(**wanted))
    assert refused.value.code == code


async def test_a_cursor_of_nobody_is_refused(project: Path, environment: dict[str, str]) -> None:
    async with at(project, environment, Editor()) as editor:
        with pytest.raises(RequestError) as refused:
            await editor.agent.list_sessions(v2.ListSessionsRequest(cursor="nowhere"))
    assert (refused.value.code, refused.value.data["path"]) == (-32602, "$.cursor")


async def test_logging_in_and_out_asks_for_nothing(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        await editor.agent.login(v2.LoginAuthRequest(method_id="none"))
        await editor.agent.logout(v2.LogoutAuthRequest())
        with pytest.raises(RequestError, match="Invalid params"):
            await editor.agent.login(v2.LoginAuthRequest(method_id="other"))


class Forms(Editor):
    """A client of version 2 that fills in forms."""

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        self.form = params
        return v2.CreateElicitationResponse(action="accept", content={"answer": "b.py"})


async def test_what_the_model_asks_is_a_form_in_version_2_too(
    project: Path, environment: dict[str, str]
) -> None:
    forms = v2.ElicitationCapabilities(form=v2.ElicitationFormCapabilities())
    hello = msgspec.structs.replace(HELLO, capabilities=v2.ClientCapabilities(elicitation=forms))
    async with at(project, environment, Forms(), hello) as editor:
        await editor.ask("ask Which one? | a.py | b.py")
        assert editor.text == "ask_user: the person answered: b.py"
        assert editor.form.session_id == editor.session_id
        assert editor.states == ["running", "requires_action", "running", "idle"]


async def test_a_command_is_a_terminal_of_the_agent(
    project: Path, environment: dict[str, str]
) -> None:
    async with at(project, environment, Editor()) as editor:
        await editor.ask("run printf one")
        begun, ended = editor.of(v2.TerminalUpdate)
        assert (begun.command, begun.cwd) == ("printf one", str(project))
        assert ended.exit_status == v2.TerminalExitStatus(exit_code=0)
        (piece,) = editor.of(v2.TerminalOutputChunk)
        assert base64.b64decode(piece.data) == b"one"
