"""Punie over protocol version 1, as a client meets it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.acp.agent_side import serve_dual
from punie.acp.errors import RequestError
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient, served
from punie.acp.transports.base import Transport
from punie.agent.acp.agent import PunieAgent
from punie.agent.runtime import Runtime

from .conftest import NOTHING, Editor  # type: ignore[import-not-found]

Open = Callable[..., Any]
FILES = v1.ClientCapabilities(
    fs=v1.FileSystemCapabilities(read_text_file=True, write_text_file=True)
)


def agent_of(transport: Transport) -> Any:
    return serve_dual(lambda proxy: PunieAgent(proxy, lambda: Runtime(model="test")), transport)


async def test_only_what_works_is_advertised() -> None:
    async with served(agent_of, RecordingClient()) as agent:
        answer = await agent.initialize(INITIALIZE)
    assert answer.agent_capabilities == v1.AgentCapabilities(
        load_session=True,
        prompt_capabilities=v1.PromptCapabilities(embedded_context=True, image=True),
        mcp_capabilities=v1.McpCapabilities(http=True, sse=True),
        session_capabilities=v1.SessionCapabilities(
            list=v1.SessionListCapabilities(),
            resume=v1.SessionResumeCapabilities(),
            close=v1.SessionCloseCapabilities(),
            delete=v1.SessionDeleteCapabilities(),
            additional_directories=v1.SessionAdditionalDirectoriesCapabilities(),
        ),
        auth=v1.AgentAuthCapabilities(logout=v1.LogoutCapabilities()),
    )
    assert [method.type for method in answer.auth_methods] == [None]
    assert answer.agent_info is not None
    assert answer.agent_info.name == "punie"


async def test_the_one_way_to_log_in_asks_for_nothing() -> None:
    async with served(agent_of, RecordingClient()) as agent:
        method = (await agent.initialize(INITIALIZE)).auth_methods[0]
        await agent.authenticate(v1.AuthenticateRequest(method_id=method.id))
        with pytest.raises(RequestError) as refused:
            await agent.authenticate(v1.AuthenticateRequest(method_id="other"))
    assert refused.value.code == -32602


@pytest.mark.parametrize("cwd", ["relative", "/does/not/exist"])
async def test_a_session_needs_an_absolute_existing_folder(cwd: str) -> None:
    async with served(agent_of, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        with pytest.raises(RequestError) as refused:
            await agent.new_session(v1.NewSessionRequest(cwd=cwd, mcp_servers=[]))
    assert (refused.value.code, refused.value.data["path"]) == (-32602, "$.cwd")


async def test_an_unknown_session_is_named_in_the_error(opened: Open) -> None:
    async with opened(Editor()) as editor:
        editor.session_id = "other"
        with pytest.raises(RequestError) as refused:
            await editor.ask("hello")
    assert (refused.value.code, refused.value.data) == (-32002, {"sessionId": "other"})


async def test_a_turn_streams_its_answer_with_a_message_id(opened: Open) -> None:
    async with opened(Editor()) as editor:
        assert (await editor.ask("hello")).stop_reason == "end_turn"
        ids = {chunk.message_id for chunk in editor.of(v1.AgentMessageChunk)}
    assert editor.text == "Hello from Punie's test model."
    assert len(ids) == 1
    assert None not in ids


async def test_a_tool_call_begins_whole_and_then_only_changes(opened: Open, project: Path) -> None:
    async with opened(Editor(), NOTHING) as editor:
        await editor.ask("read a.txt")
    (begun,) = editor.of(v1.ToolCall)
    assert (begun.title, begun.kind, begun.status) == ("Read a.txt", "read", "pending")
    assert begun.raw_input == {"path": "a.txt"}
    assert begun.locations == [v1.ToolCallLocation(path=str(project / "a.txt"))]
    running, done = editor.of(v1.ToolCallUpdate)
    assert (running.title, running.status, done.status) == (None, "in_progress", "completed")
    assert done.raw_output["text"] == "on disk\n"


async def test_a_permission_request_repeats_the_call_and_its_diff(
    opened: Open, project: Path
) -> None:
    async with opened(Editor(), NOTHING) as editor:
        await editor.ask("write b.txt text")
    (asked,) = editor.permissions
    diff = v1.Diff(path=str(project / "b.txt"), new_text="text")
    assert asked.tool_call.tool_call_id == editor.of(v1.ToolCall)[0].tool_call_id
    assert (asked.tool_call.title, asked.tool_call.content) == ("Write b.txt", [diff])
    assert [option.kind for option in asked.options] == [
        "allow_once",
        "allow_always",
        "reject_once",
        "reject_always",
    ]
    assert (project / "b.txt").read_text() == "text"


async def test_a_rejected_write_leaves_no_trace(opened: Open, project: Path) -> None:
    async with opened(Editor(allow=False), NOTHING) as editor:
        assert (await editor.ask("write b.txt text")).stop_reason == "end_turn"
    assert not (project / "b.txt").exists()
    assert editor.of(v1.ToolCallUpdate)[-1].status == "failed"


async def test_unsaved_text_is_read_and_written_through_the_editor(
    opened: Open, project: Path
) -> None:
    path = str(project / "a.txt")
    editor = Editor(files={path: "unsaved\n"})
    async with opened(editor, FILES):
        await editor.ask("read a.txt")
        await editor.ask("write a.txt new")
    assert editor.of(v1.ToolCallUpdate)[1].raw_output["text"] == "unsaved\n"
    assert editor.of(v1.ToolCall)[1].content == [
        v1.Diff(path=path, old_text="unsaved\n", new_text="new")
    ]
    assert editor.files[path] == "new"
    assert (project / "a.txt").read_text() == "on disk\n"


async def test_what_the_editor_does_not_know_is_read_from_disk(opened: Open) -> None:
    async with opened(Editor(files={}), FILES) as editor:
        await editor.ask("read a.txt")
    assert editor.of(v1.ToolCallUpdate)[-1].raw_output["text"] == "on disk\n"


async def test_links_and_embedded_texts_become_paths_and_quotes(
    opened: Open, project: Path
) -> None:
    link = v1.ResourceLink(name="a", uri=f"file://{project}/a.txt")
    async with opened(Editor(), NOTHING) as editor:
        await editor.ask("read", link)
        # The test model takes the word after `read` for the path: the link stands right after it.
        text = v1.TextContent(text="read ")
        request = v1.PromptRequest(session_id=editor.session_id, prompt=[text, link])
        await editor.agent.prompt(request)
    assert editor.of(v1.ToolCall)[-1].raw_input == {"path": "`a.txt`"}


async def test_modes_and_the_mode_option_stay_in_step(opened: Open) -> None:
    async with opened(Editor()) as editor:
        ids = {"session_id": editor.session_id}
        await editor.agent.set_session_mode(v1.SetSessionModeRequest(mode_id="plan", **ids))
        option = v1.SetSessionConfigOptionRequest(config_id="mode", value="edit", **ids)
        answer = await editor.agent.set_session_config_option(option)
        again = await editor.agent.set_session_config_option(option)
        await editor.ask("write b.txt text")
    assert editor.of(v1.ConfigOptionUpdate)[0].config_options[0].current_value == "plan"
    assert [update.current_mode_id for update in editor.of(v1.CurrentModeUpdate)] == ["edit"]
    assert answer == again
    assert answer.config_options[0].current_value == "edit"
    assert editor.permissions == []


@pytest.mark.parametrize(("config_id", "value"), [("mode", "yolo"), ("other", "x"), ("mode", True)])
async def test_an_unknown_choice_is_refused(opened: Open, config_id: str, value: Any) -> None:
    async with opened(Editor()) as editor:
        option = v1.SetSessionConfigOptionRequest(
            session_id=editor.session_id, config_id=config_id, value=value
        )
        with pytest.raises(RequestError) as refused:
            await editor.agent.set_session_config_option(option)
    assert refused.value.code == -32602


async def test_a_second_prompt_waits_for_the_first(opened: Open) -> None:
    async with opened(Editor()) as editor:
        first = asyncio.ensure_future(editor.ask("count slowly to 3"))
        second = asyncio.ensure_future(editor.ask("hello"))
        assert [(await first).stop_reason, (await second).stop_reason] == ["end_turn"] * 2
    assert editor.text == "1 2 3 Hello from Punie's test model."


async def test_two_sessions_work_side_by_side(opened: Open, project: Path) -> None:
    async with opened(Editor()) as editor:
        request = v1.NewSessionRequest(cwd=str(project), mcp_servers=[])
        other = (await editor.agent.new_session(request)).session_id
        prompt = v1.PromptRequest(session_id=other, prompt=[v1.TextContent(text="hello")])
        slow = asyncio.ensure_future(editor.ask("count slowly to 5"))
        assert (await editor.agent.prompt(prompt)).stop_reason == "end_turn"
        assert not slow.done()
        assert (await slow).stop_reason == "end_turn"


async def test_a_model_that_is_not_there_is_an_error_of_one_line(
    project: Path, environment: dict[str, str]
) -> None:
    def make(transport: Transport) -> Any:
        host = lambda: Runtime(model="nonsense", environ=environment)  # noqa: E731
        return serve_dual(lambda proxy: PunieAgent(proxy, host), transport)

    async with served(make, Editor()) as agent:
        await agent.initialize(INITIALIZE)
        request = v1.NewSessionRequest(cwd=str(project), mcp_servers=[])
        session_id = (await agent.new_session(request)).session_id
        prompt = v1.PromptRequest(session_id=session_id, prompt=[v1.TextContent(text="hello")])
        with pytest.raises(RequestError) as refused:
            await agent.prompt(prompt)
    assert refused.value.code == -32603
    assert refused.value.message.startswith("unknown model 'nonsense'")
    assert refused.value.data == {"message": refused.value.message}


async def test_settings_that_cannot_be_used_refuse_the_session(opened: Open, project: Path) -> None:
    async with opened(Editor()) as editor:
        (project / "pyproject.toml").write_text("[tool.punie]\nmodle = 1\n")
        with pytest.raises(RequestError, match="unknown setting modle"):
            await editor.agent.new_session(v1.NewSessionRequest(cwd=str(project), mcp_servers=[]))


async def test_a_command_runs_in_the_terminal_of_the_client(opened: Open, project: Path) -> None:
    class WithTerminal(Editor):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[str] = []

        async def create_terminal(self, params: Any) -> Any:
            self.calls.append(f"create {params.command} {params.args} {params.cwd}")
            return v1.CreateTerminalResponse(terminal_id="t1")

        async def wait_for_terminal_exit(self, params: Any) -> Any:
            return v1.WaitForTerminalExitResponse(exit_code=3)

        async def terminal_output(self, params: Any) -> Any:
            return v1.TerminalOutputResponse(output="printed", truncated=False)

        async def release_terminal(self, params: Any) -> Any:
            self.calls.append(f"release {params.terminal_id}")
            return v1.ReleaseTerminalResponse()

    async with opened(WithTerminal(), v1.ClientCapabilities(terminal=True)) as editor:
        await editor.ask("run make test")
    assert editor.calls == [f"create sh ['-c', 'make test'] {project}", "release t1"]
    done = editor.of(v1.ToolCallUpdate)[-1]
    assert done.content == [v1.Terminal(terminal_id="t1")]
    assert (done.raw_output["exit_code"], done.raw_output["output"]) == (3, "printed")


async def test_cancelling_a_command_releases_its_terminal(opened: Open) -> None:
    class Endless(Editor):
        released = False

        async def create_terminal(self, params: Any) -> Any:
            return v1.CreateTerminalResponse(terminal_id="t1")

        async def wait_for_terminal_exit(self, params: Any) -> Any:
            await self.agent.cancel(self.session_id)
            await asyncio.Event().wait()

        async def release_terminal(self, params: Any) -> Any:
            self.released = True
            return v1.ReleaseTerminalResponse()

    async with opened(Endless(), v1.ClientCapabilities(terminal=True)) as editor:
        assert (await editor.ask("run sleep 600")).stop_reason == "cancelled"
        assert editor.released


@pytest.mark.parametrize("model", ["embedded", "mlx:/models/a"])
async def test_images_are_not_advertised_for_a_model_of_this_process(model: str) -> None:
    def make(transport: Transport) -> Any:
        host = lambda: Runtime(model=model)  # noqa: E731
        return serve_dual(lambda proxy: PunieAgent(proxy, host, model=model), transport)

    async with served(make, RecordingClient()) as agent:
        answer = await agent.initialize(INITIALIZE)
    assert not answer.agent_capabilities.prompt_capabilities.image


async def test_a_cancel_for_a_session_that_is_not_open_is_quiet(
    opened: Any, editor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(editor) as client:
        await client.agent.cancel("nobody")
        assert (await client.ask("hello")).stop_reason == "end_turn"
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
