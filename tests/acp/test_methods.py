"""The method table and the proxies agree: whatever it lists can be called and is served."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from punie.acp.agent_side import ClientProxy, serve
from punie.acp.client_side import connect
from punie.acp.errors import RequestError
from punie.acp.methods import METHODS, Method
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient, linked
from punie.acp.transports.memory import pair

ALL: dict[str, Any] = {
    "loadSession": True,
    "promptCapabilities": {"image": True, "audio": True, "embeddedContext": True},
    "mcpCapabilities": {"http": True, "sse": True},
    "sessionCapabilities": {
        name: {} for name in ("list", "delete", "additionalDirectories", "resume", "close")
    },
    "auth": {"logout": {}},
}
# One request and its answer for each method that an agent serves, as on the wire.
EXCHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "initialize": ({"protocolVersion": 1}, {"protocolVersion": 1, "agentCapabilities": ALL}),
    "authenticate": ({"methodId": "key"}, {}),
    "logout": ({}, {}),
    "session/new": ({"cwd": "/", "mcpServers": []}, {"sessionId": "s"}),
    "session/load": ({"sessionId": "s", "cwd": "/", "mcpServers": []}, {}),
    "session/resume": ({"sessionId": "s", "cwd": "/"}, {}),
    "session/list": ({"cwd": "/"}, {"sessions": [{"sessionId": "s", "cwd": "/"}]}),
    "session/close": ({"sessionId": "s"}, {}),
    "session/delete": ({"sessionId": "s"}, {}),
    "session/set_mode": ({"sessionId": "s", "modeId": "ask"}, {}),
    "session/set_config_option": (
        {"sessionId": "s", "configId": "fast", "value": True, "type": "boolean"},
        {
            "configOptions": [
                {"type": "boolean", "id": "fast", "name": "Fast", "currentValue": True}
            ]
        },
    ),
    "session/prompt": ({"sessionId": "s", "prompt": []}, {"stopReason": "end_turn"}),
}
REQUESTS = [m for m in METHODS if m.served_by == "agent" and m.kind == "request"]


class Complete:
    """Serves every method of the table with the answer of `EXCHANGES`."""

    def __init__(self, client: ClientProxy) -> None:
        self.seen: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        method = next((one for one in REQUESTS if one.attribute == name), None)
        if method is None:
            raise AttributeError(name)

        async def serve_it(params: Any) -> Any:
            self.seen.append(params)
            return msgspec.convert(EXCHANGES[method.name][1], method.result)

        return serve_it

    async def cancel(self, params: v1.CancelNotification) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("method", REQUESTS, ids=lambda method: method.name)
async def test_a_method_is_called_by_the_proxy_and_served_by_the_agent(method: Method) -> None:
    made: list[Any] = []

    def make(client: ClientProxy) -> Any:
        made.append(Complete(client))
        return made[0]

    request, answer = EXCHANGES[method.name]
    async with linked(make, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        params = msgspec.convert(request, method.params)
        result = await getattr(agent, method.attribute)(params)
    assert made[0].seen[-1] == params
    assert msgspec.to_builtins(result) == answer


def test_names_and_attributes_are_unique() -> None:
    assert len({method.name for method in METHODS}) == len(METHODS)
    assert len({method.attribute for method in METHODS}) == len(METHODS)


async def test_a_client_answers_only_what_it_serves() -> None:
    class Bare:
        async def session_update(self, params: v1.SessionNotification) -> None:
            pass

        async def request_permission(
            self, params: v1.RequestPermissionRequest
        ) -> v1.RequestPermissionResponse:
            raise RequestError(-32603, "no")

    codes: list[int] = []

    class Probing(Complete):
        def __init__(self, client: ClientProxy) -> None:
            super().__init__(client)
            self.client = client

        async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
            try:
                await self.client.read_text_file("s", "/a")
            except RequestError as error:
                codes.append(error.code)
            return v1.PromptResponse(stop_reason="end_turn")

    async with linked(Probing, Bare()) as agent:
        await agent.initialize(INITIALIZE)
        await agent.prompt(v1.PromptRequest(session_id="s", prompt=[]))
    assert codes == [-32601]


async def test_a_frame_over_the_limit_is_answered_and_the_connection_lives_on() -> None:
    ours, theirs = pair(max_frame=2000)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(Complete, theirs))
        async with connect(RecordingClient(), ours) as agent:
            await agent.initialize(INITIALIZE)
            prompt = v1.PromptRequest(session_id="s", prompt=[v1.TextContent(text="x" * 3000)])
            lost = asyncio.ensure_future(agent.prompt(prompt))
            short = v1.PromptRequest(session_id="s", prompt=[])
            assert (await agent.prompt(short)).stop_reason == "end_turn"
            assert not lost.done()
            lost.cancel()
            with pytest.raises(asyncio.CancelledError):
                await lost


async def test_requests_behind_a_failed_initialize_are_invalid() -> None:
    class Refusing(Complete):
        async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
            await asyncio.sleep(0)
            raise RequestError(-32000, "Authentication required")

    async with linked(Refusing, RecordingClient()) as agent:
        hello = asyncio.ensure_future(agent.initialize(INITIALIZE))
        behind = asyncio.ensure_future(agent.authenticate(v1.AuthenticateRequest(method_id="x")))
        with pytest.raises(RequestError, match="Authentication required"):
            await hello
        with pytest.raises(RequestError) as refused:
            await behind
        assert refused.value.code == -32600
