"""Extension methods and elicitation: both sides can serve them and call them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from punie.acp.agent_side import ClientProxy
from punie.acp.client_side import AgentProxy
from punie.acp.errors import CapabilityError, RequestError
from punie.acp.methods import TABLE, of_version
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient, linked

PROMPT = v1.PromptRequest(session_id="s", prompt=[v1.TextContent(text="hi")])
ELICITING = v1.InitializeRequest(
    protocol_version=1,
    client_capabilities=v1.ClientCapabilities(
        elicitation=v1.ElicitationCapabilities(
            form=v1.ElicitationFormCapabilities(), url=v1.ElicitationUrlCapabilities()
        )
    ),
)


class Agent:
    """Serves `_echo`, notes notifications, and does what a test wants in a turn."""

    turn: Callable[[ClientProxy], Any]

    def __init__(self, client: ClientProxy) -> None:
        self.client = client
        self.notified: list[Any] = []

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        return v1.InitializeResponse(protocol_version=1)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        return v1.NewSessionResponse(session_id="s")

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        await type(self).turn(self.client)
        return v1.PromptResponse(stop_reason="end_turn")

    async def cancel(self, params: v1.CancelNotification) -> None: ...

    async def close(self) -> None: ...

    async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
        if method == "_seen":
            return self.notified
        if method != "_echo":
            raise RequestError.method_not_found(method)
        return params

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        self.notified.append([method, params])


class Client(RecordingClient):
    """Serves `_echo` and elicitation, and notes notifications."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
        if method != "_echo":
            raise RequestError.method_not_found(method)
        return params

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        self.seen.append((method, params))

    async def create_elicitation(
        self, params: v1.CreateElicitationRequest
    ) -> v1.CreateElicitationResponse:
        self.seen.append(params)
        return v1.CreateElicitationResponse(action="accept", content={"name": "Punie"})

    async def complete_elicitation(self, params: v1.CompleteElicitationNotification) -> None:
        self.seen.append(params)


async def run_turn(
    client: Any, turn: Callable[[ClientProxy], Any], hello: v1.InitializeRequest = INITIALIZE
) -> None:
    """Run something on the agent's side of a connection, within a turn."""
    agent_type = type("TurningAgent", (Agent,), {"turn": staticmethod(turn)})
    async with linked(agent_type, client) as agent:
        await agent.initialize(hello)
        await agent.prompt(PROMPT)


async def test_a_client_calls_an_extension_of_the_agent() -> None:
    async with linked(Agent, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        assert await agent.ext_method("_echo", {"a": [1]}) == {"a": [1]}
        assert await agent.ext_method("_echo") == {}


async def test_an_agent_calls_an_extension_of_the_client() -> None:
    answers: list[Any] = []

    async def turn(client: ClientProxy) -> None:
        answers.append(await client.ext_method("_echo", {"a": 1}))

    await run_turn(Client(), turn)
    assert answers == [{"a": 1}]


async def test_notifications_of_extensions_arrive_in_order() -> None:
    async with linked(Agent, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        for number in range(20):
            await agent.ext_notification("_n", {"number": number})
        seen = await agent.ext_method("_seen")
    assert seen == [["_n", {"number": number}] for number in range(20)]


async def test_a_client_sees_notifications_of_extensions_among_the_updates() -> None:
    client = Client()

    async def turn(proxy: ClientProxy) -> None:
        await proxy.ext_notification("_punie/session_opened", {"sessionId": "s"})

    await run_turn(client, turn)
    assert client.seen == [("_punie/session_opened", {"sessionId": "s"})]


async def test_an_extension_that_nobody_knows_is_not_found() -> None:
    async def turn(client: ClientProxy) -> None:
        with pytest.raises(RequestError) as refused:
            await client.ext_method("_nope")
        assert refused.value.code == -32601
        await client.ext_notification("_nope")  # ignored

    await run_turn(RecordingClient(), turn)
    await run_turn(Client(), turn)
    async with linked(Agent, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        with pytest.raises(RequestError) as refused:
            await agent.ext_method("_nope")
        assert refused.value.code == -32601


async def test_an_agent_without_extensions_ignores_their_notifications() -> None:
    plain_agent = type("PlainAgent", (Agent,), {"ext_method": None, "ext_notification": None})
    async with linked(plain_agent, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        await agent.ext_notification("_n", {})
        assert (await agent.new_session(NEW)).session_id == "s"


NEW = v1.NewSessionRequest(cwd="/", mcp_servers=[])


async def test_a_session_that_an_extension_names_is_known_to_the_client() -> None:
    """An update about it may go out at once."""

    class Steered(Agent):
        async def ext_method(self, method: str, params: dict[str, Any]) -> Any:
            chunk = v1.AgentMessageChunk(content=v1.TextContent(text="steered"))
            await self.client.session_update(params["sessionId"], chunk)
            return {}

    client = RecordingClient()
    async with linked(Steered, client) as agent:
        await agent.initialize(INITIALIZE)
        await agent.ext_method("_session/steering", {"sessionId": "s"})
    assert client.text == "steered"


@pytest.mark.parametrize("send", [AgentProxy.ext_method, AgentProxy.ext_notification])
async def test_the_name_of_an_extension_begins_with_an_underscore(send: Any) -> None:
    async with linked(Agent, RecordingClient()) as agent:
        await agent.initialize(INITIALIZE)
        with pytest.raises(ValueError, match="session/new"):
            await send(agent, "session/new", {})


async def test_a_form_is_filled_in_by_the_client() -> None:
    form = v1.ElicitationFormMode(
        session_id="s",
        message="Your name?",
        requested_schema=v1.ElicitationSchema(properties={"name": v1.StringPropertySchema()}),
    )
    client, answers = Client(), list[Any]()

    async def turn(proxy: ClientProxy) -> None:
        answers.append(await proxy.create_elicitation(form))

    await run_turn(client, turn, ELICITING)
    assert msgspec.to_builtins(client.seen) == [msgspec.to_builtins(form)]
    assert answers == [v1.CreateElicitationResponse(action="accept", content={"name": "Punie"})]


async def test_a_web_page_outside_of_a_session_is_opened_and_completed() -> None:
    page = v1.ElicitationUrlMode(
        request_id=7, message="Log in", elicitation_id="e", url="https://example.com"
    )
    client = Client()

    async def turn(proxy: ClientProxy) -> None:
        await proxy.create_elicitation(page)
        await proxy.complete_elicitation("e")

    await run_turn(client, turn, ELICITING)
    assert [type(one).__name__ for one in client.seen] == [
        "CreateElicitationRequest",
        "CompleteElicitationNotification",
    ]


async def test_nobody_is_asked_who_did_not_advertise_it() -> None:
    async def turn(client: ClientProxy) -> None:
        page = v1.ElicitationUrlMode(session_id="s", message="?", elicitation_id="e", url="u")
        with pytest.raises(CapabilityError, match=r"elicitation\.url"):
            await client.create_elicitation(page)
        with pytest.raises(CapabilityError, match=r"elicitation\.url"):
            await client.complete_elicitation("e")

    await asyncio.wait_for(run_turn(Client(), turn), 10)


def test_each_version_lists_its_methods() -> None:
    first = {method.name for method in of_version(1)}
    second = {method.name for method in of_version(2)}
    assert "fs/read_text_file" in first - second
    assert "tool_call/cancel" in second - first
    assert "session/fork" not in first
    assert "session/fork" in {method.name for method in of_version(1, unstable=True)}
    assert TABLE[2, "session/prompt", "request"].stability == "draft"
