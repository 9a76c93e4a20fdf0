"""An agent written once, as clients of both versions meet it: the handshake and sessions."""

from __future__ import annotations

from typing import Any

import pytest

from punie.acp.errors import RequestError
from punie.acp.schema import v2

from .conftest import (  # type: ignore[import-not-found]
    HELLO,
    MODES,
    NEW,
    Agent,
    opened,
    wired,
)


async def test_nothing_is_served_before_initialize_and_a_failed_one_can_be_repeated() -> None:
    async with wired() as wire:
        assert (await wire.ask("session/new", NEW[2]))["code"] == -32600
        assert (await wire.ask("initialize", {"protocolVersion": 2}))["code"] == -32602
        assert (await wire.ask("session/new", NEW[2]))["code"] == -32600
        assert (await wire.ask("initialize", HELLO[2]))["protocolVersion"] == 2


async def test_the_agent_says_nothing_before_initialize() -> None:
    async with wired() as wire:
        assert (await wire.ask("nope"))["code"] == -32600
        with pytest.raises(RequestError, match="Invalid request"):
            await wire.agent.say(v2.RunningStateUpdate())
        assert wire.agent.client.version is None


@pytest.mark.parametrize(("requested", "spoken"), [(1, 1), ("1", 1), (2, 2), (65535, 2)])
async def test_the_highest_version_of_both_is_spoken(requested: Any, spoken: int) -> None:
    async with wired() as wire:
        hello = HELLO[2] | {"protocolVersion": requested}
        assert (await wire.ask("initialize", hello))["protocolVersion"] == spoken
        assert wire.agent.client.version == spoken
        assert (wire.agent.client.v1 is None) == (spoken == 2)


async def test_an_agent_of_version_2_alone_refuses_a_client_of_version_1() -> None:
    async with wired(versions=(2,)) as wire:
        refused = await wire.ask("initialize", HELLO[1])
        assert refused["code"] == -32022
        assert refused["data"] == {"requested": 1, "supported": [2]}
        assert (await wire.ask("initialize", HELLO[2]))["protocolVersion"] == 2


async def test_version_1_lets_the_handshake_repeat_and_version_2_does_not() -> None:
    async with wired() as wire:
        assert (await wire.ask("initialize", HELLO[1]))["protocolVersion"] == 1
        assert (await wire.ask("initialize", HELLO[2]))["protocolVersion"] == 1
    async with wired() as wire:
        await wire.ask("initialize", HELLO[2])
        assert (await wire.ask("initialize", HELLO[2]))["code"] == -32600


async def test_each_version_has_its_own_methods() -> None:
    foreign = {
        1: ("auth/login", "tool_call/cancel", "terminal/cancel", "fs/read_text_file"),
        2: ("authenticate", "logout", "session/load", "session/set_mode", "session/set_model"),
    }
    for version, methods in foreign.items():
        async with opened(version) as wire:
            for method in (*methods, "session/delete", "session/fork", "nope", "_own"):
                assert (await wire.ask(method, {"sessionId": "s"}))["code"] == -32601


async def test_the_handshake_says_the_same_in_both_versions() -> None:
    class Able(Agent):
        capabilities = v2.AgentCapabilities(
            session=v2.SessionCapabilities(
                prompt=v2.PromptCapabilities(image=v2.PromptImageCapabilities()),
                mcp=v2.McpCapabilities(
                    stdio=v2.McpStdioCapabilities(), http=v2.McpHttpCapabilities()
                ),
                delete=v2.SessionDeleteCapabilities(),
                additional_directories=v2.SessionAdditionalDirectoriesCapabilities(),
            )
        )
        auth_methods = (
            v2.AuthMethodAgent(method_id="a", name="A"),
            v2.AuthMethodTerminal(
                method_id="t", name="T", args=["in"], env=[v2.EnvVariable(name="K", value="V")]
            ),
            v2.UnknownVariant(kind="_own", body={"type": "_own"}),
        )

    async with wired(Able) as wire:
        more = {
            "clientCapabilities": {
                "auth": {"terminal": True},
                "elicitation": {"form": {}},
                "_meta": {"k": 1},
            },
            "clientInfo": {"name": "editor", "version": "3"},
        }
        answer = await wire.ask("initialize", HELLO[1] | more)
        (said,) = wire.agent.seen
        info = wire.agent.client.info
        capabilities = wire.agent.client.capabilities
    assert answer["agentInfo"] == {"name": "agent", "version": "1"}
    assert answer["agentCapabilities"] == {
        "loadSession": True,
        "promptCapabilities": {"image": True},
        "mcpCapabilities": {"http": True},
        "sessionCapabilities": {
            name: {} for name in ("list", "delete", "additionalDirectories", "resume", "close")
        },
        "auth": {"logout": {}},
    }
    assert answer["authMethods"] == [
        {"id": "a", "name": "A"},
        {"id": "t", "name": "T", "type": "terminal", "args": ["in"], "env": {"K": "V"}},
    ]
    assert info == v2.Implementation(name="editor", version="3") == said.info
    assert capabilities == said.capabilities
    assert said.capabilities == v2.ClientCapabilities(
        auth=v2.ClientAuthCapabilities(terminal=v2.TerminalAuthCapabilities()),
        elicitation=v2.ElicitationCapabilities(form=v2.ElicitationFormCapabilities()),
        meta={"k": 1},
    )


async def test_an_agent_without_sessions_offers_none() -> None:
    class Bare(Agent):
        capabilities = v2.AgentCapabilities()

    async with wired(Bare) as wire:
        able = (await wire.ask("initialize", HELLO[1]))["agentCapabilities"]
        assert not any(able.values())
        assert (await wire.ask("session/list"))["code"] == -32601
    async with wired(Bare) as wire:
        await wire.ask("initialize", HELLO[2])
        assert (await wire.ask("session/new", NEW[2]))["code"] == -32601


async def test_what_a_session_begins_with_is_told_in_the_words_of_version_1() -> None:
    async with wired() as wire:
        await wire.ask("initialize", HELLO[1])
        answer = await wire.ask("session/new", NEW[1])
        commands = await wire.update()
    assert answer["modes"] == {
        "currentModeId": "ask",
        "availableModes": [{"id": "ask", "name": "Ask"}, {"id": "edit", "name": "Edit"}],
    }
    assert [option["id"] for option in answer["configOptions"]] == ["how", "which"]
    assert commands == {
        "sessionUpdate": "available_commands_update",
        "availableCommands": [{"name": "help", "description": "Says what there is"}],
    }


async def test_switches_are_for_clients_that_show_them() -> None:
    async with wired() as wire:
        shows = {"session": {"configOptions": {"boolean": {}}}}
        await wire.ask("initialize", HELLO[1] | {"clientCapabilities": shows})
        options = (await wire.ask("session/new", NEW[1]))["configOptions"]
        assert options[-1] == {
            "type": "boolean",
            "id": "loud",
            "name": "Loud",
            "currentValue": False,
        }
        await wire.update()
        loud = {"sessionId": "s", "configId": "loud", "type": "boolean", "value": True}
        changed = await wire.ask("session/set_config_option", loud)
    assert changed["configOptions"][-1]["currentValue"] is True
    assert wire.agent.seen[-1].type == "boolean"


async def test_a_notification_that_nobody_serves_is_ignored() -> None:
    for version in (1, 2):
        async with opened(version) as wire:
            wire.send("mcp/message", {})
            wire.send("session/update", {})
            assert "sessions" in await wire.ask("session/list", {})


async def test_modes_and_their_option_stay_in_step() -> None:
    async with opened(1) as wire:
        updates = await wire.exchange("session/set_mode", {"sessionId": "s", "modeId": "edit"})
        assert updates[0]["configOptions"][0]["currentValue"] == "edit"
        assert updates[1:] == [{}]
        again = await wire.exchange("session/set_mode", {"sessionId": "s", "modeId": "edit"})
        assert again == [{}]
        option = {"sessionId": "s", "configId": "how", "value": "ask"}
        mode, answer = await wire.exchange("session/set_config_option", option)
        assert mode == {"sessionUpdate": "current_mode_update", "currentModeId": "ask"}
        assert answer["configOptions"][0]["currentValue"] == "ask"


async def test_the_removed_way_to_choose_a_model_still_works() -> None:
    async with opened(1) as wire:
        model = {"sessionId": "s", "modelId": "large"}
        update, answer = await wire.exchange("session/set_model", model)
        assert update["configOptions"][1]["currentValue"] == "large"
        assert answer == {}
        assert wire.agent.seen[-1].config_id == "which"


async def test_without_an_option_of_the_category_there_is_nothing_to_choose() -> None:
    class Plain(Agent):
        options = ()

    async with wired(Plain) as wire:
        await wire.ask("initialize", HELLO[1])
        assert "modes" not in await wire.ask("session/new", NEW[1])
        await wire.update()
        mode = await wire.ask("session/set_mode", {"sessionId": "s", "modeId": "x"})
        assert mode["code"] == -32601


async def test_loading_replays_and_resuming_does_not() -> None:
    ids = {"sessionId": "s", "cwd": "/", "mcpServers": []}
    async with opened(1) as wire:
        user, assistant, answer = await wire.exchange("session/load", ids)
        assert (user["sessionUpdate"], user["messageId"]) == ("user_message_chunk", "old")
        assert assistant["messageId"] == "older"
        assert answer["modes"]["currentModeId"] == "ask"
        assert wire.agent.seen[-1].replay_from == v2.ReplayFromStart()
        (resumed,) = await wire.exchange("session/resume", ids)
        assert resumed == answer
        assert wire.agent.seen[-1].replay_from is None


async def test_mcp_servers_reach_the_agent_whatever_their_transport() -> None:
    headers = [{"name": "H", "value": "h"}]
    servers = [
        {"name": "a", "command": "/a", "args": ["x"], "env": [{"name": "K", "value": "V"}]},
        {"type": "http", "name": "b", "url": "http://b", "headers": headers},
        {"type": "sse", "name": "c", "url": "http://c", "headers": []},
    ]
    async with wired() as wire:
        await wire.ask("initialize", HELLO[1])
        await wire.ask("session/new", {"cwd": "/", "mcpServers": servers})
        stdio, http, sse = wire.agent.seen[-1].mcp_servers
    assert stdio == v2.McpServerStdio(
        name="a", command="/a", args=["x"], env=[v2.EnvVariable(name="K", value="V")]
    )
    assert http == v2.McpServerHttp(
        name="b", url="http://b", headers=[v2.HttpHeader(name="H", value="h")]
    )
    assert (sse.kind, sse.body["url"]) == ("sse", "http://c")


async def test_sessions_are_listed_closed_and_deleted() -> None:
    class Deleting(Agent):
        capabilities = v2.AgentCapabilities(
            session=v2.SessionCapabilities(delete=v2.SessionDeleteCapabilities())
        )

        async def delete_session(self, params: v2.DeleteSessionRequest) -> v2.DeleteSessionResponse:
            self.seen.append(params)
            return v2.DeleteSessionResponse()

    for version in (1, 2):
        async with opened(version, Deleting) as wire:
            assert await wire.ask("session/list", {}) == {
                "sessions": [{"sessionId": "s", "cwd": "/", "title": "One"}],
                "nextCursor": "more",
            }
            assert await wire.ask("session/close", {"sessionId": "s"}) == {}
            assert await wire.ask("session/delete", {"sessionId": "s"}) == {}
            assert wire.agent.seen[-1] == v2.DeleteSessionRequest(session_id="s")


async def test_logging_in_and_out_works_in_both_versions() -> None:
    class Locked(Agent):
        auth_methods = (v2.AuthMethodAgent(method_id="key", name="Key"),)

        async def login(self, params: v2.LoginAuthRequest) -> v2.LoginAuthResponse:
            self.seen.append(params.method_id)
            return v2.LoginAuthResponse()

        async def logout(self, params: v2.LogoutAuthRequest) -> v2.LogoutAuthResponse:
            self.seen.append("out")
            return v2.LogoutAuthResponse()

    for version, login, logout in ((1, "authenticate", "logout"), (2, "auth/login", "auth/logout")):
        async with wired(Locked) as wire:
            await wire.ask("initialize", HELLO[version])
            assert await wire.ask(login, {"methodId": "key"}) == {}
            assert await wire.ask(logout) == {}
            assert wire.agent.seen[1:] == ["key", "out"]


async def test_a_session_is_forked_when_the_agent_offers_it() -> None:
    from punie.acp.schema.v2 import unstable

    class Forking(Agent):
        capabilities = v2.AgentCapabilities(
            session=unstable.SessionCapabilities(fork=unstable.SessionForkCapabilities())
        )

        async def fork_session(self, params: Any) -> unstable.ForkSessionResponse:
            await self.client.session_update("copy", v2.Notice(severity="info", title="new"))
            return unstable.ForkSessionResponse(session_id="copy", config_options=[MODES])

    for version in (1, 2):
        async with opened(version, Forking) as wire:
            answer = await wire.ask("session/fork", {"sessionId": "s", "cwd": "/"})
            assert answer["sessionId"] == "copy"
            await wire.update()  # held back until the client knew the copy


async def test_sessions_are_renamed_archived_and_looked_up_when_the_agent_offers_it() -> None:
    from punie.acp.schema.v2 import unstable

    class Keeping(Agent):
        capabilities = v2.AgentCapabilities(
            session=unstable.SessionCapabilities(
                title=unstable.SessionTitleCapabilities(),
                archive=unstable.SessionArchiveCapabilities(),
                status=unstable.SessionStatusCapabilities(),
            )
        )

        async def set_session_title(self, params: Any) -> unstable.SetSessionTitleResponse:
            return unstable.SetSessionTitleResponse(title=params.title.strip())

        async def archive_session(self, params: Any) -> unstable.ArchiveSessionResponse:
            self.seen.append(params)
            return unstable.ArchiveSessionResponse()

        async def unarchive_session(self, params: Any) -> unstable.UnarchiveSessionResponse:
            self.seen.append(params)
            return unstable.UnarchiveSessionResponse()

        async def session_status(self, params: Any) -> unstable.SessionStatusResponse:
            return unstable.SessionStatusResponse(status="saved")

    for version in (1, 2):
        async with opened(version, Keeping) as wire:
            renamed = await wire.ask("session/set_title", {"sessionId": "s", "title": " New "})
            assert renamed == {"title": "New"}
            assert await wire.ask("session/archive", {"sessionId": "s"}) == {}
            assert await wire.ask("session/unarchive", {"sessionId": "s"}) == {}
            assert wire.agent.seen[-2:] == [
                unstable.ArchiveSessionRequest(session_id="s"),
                unstable.UnarchiveSessionRequest(session_id="s"),
            ]
            assert await wire.ask("session/status", {"sessionId": "s"}) == {"status": "saved"}
            assert (await wire.ask("session/fork", {"sessionId": "s", "cwd": "/"}))[
                "code"
            ] == -32601


async def test_extensions_pass_both_ways() -> None:
    class Extended(Agent):
        async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
            return [method, params, await self.client.ext_method("_back", {"x": 1})]

        async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
            await self.client.ext_notification("_heard", {"method": method})

    for version in (1, 2):
        async with opened(version, Extended) as wire:
            wire.send("_tell")
            assert (await wire.frames.get())["params"] == {"method": "_tell"}
            wire.send("_ask", {"a": 1}, id="x")
            back = await wire.frames.get()
            assert (back["method"], back["params"]) == ("_back", {"x": 1})
            wire.answer(back, "yes")
            answer = await wire.frames.get()
            assert answer["result"] == ["_ask", {"a": 1}, "yes"]
    async with opened(1) as wire:
        wire.send("_tell")  # nobody listens
        assert (await wire.ask("_ask"))["code"] == -32601


async def test_version_2_cancels_tool_calls_and_terminals() -> None:
    class Stopping(Agent):
        async def cancel_tool_call(
            self, params: v2.CancelToolCallRequest
        ) -> v2.CancelToolCallResponse:
            return v2.CancelToolCallResponse()

        async def cancel_terminal(
            self, params: v2.CancelTerminalRequest
        ) -> v2.CancelTerminalResponse:
            return v2.CancelTerminalResponse()

    async with opened(2, Stopping) as wire:
        assert await wire.ask("tool_call/cancel", {"sessionId": "s", "toolCallId": "t"}) == {}
        assert await wire.ask("terminal/cancel", {"sessionId": "s", "terminalId": "t"}) == {}


async def test_a_mode_of_a_session_that_nobody_knows_is_refused_as_such() -> None:
    async with opened(1) as wire:
        mode = await wire.ask("session/set_mode", {"sessionId": "nobody", "modeId": "x"})
        assert mode["code"] == -32002
