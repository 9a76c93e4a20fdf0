"""What an agent of version 1 asks beyond permissions, and prompts that it cannot be sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from punie.acp.agent_side import ClientProxy
from punie.acp.client_side.dual import DualAgentProxy
from punie.acp.errors import CapabilityError, RequestError
from punie.acp.schema import v1, v2
from punie.acp.testing.dual import RecordingDualClient, linked_dual

FORMS = v2.ClientCapabilities(
    elicitation=v2.ElicitationCapabilities(
        form=v2.ElicitationFormCapabilities(), url=v2.ElicitationUrlCapabilities()
    )
)
HELLO = v2.InitializeRequest(
    protocol_version=2, info=v2.Implementation(name="tests", version="1"), capabilities=FORMS
)
NAME = v1.ElicitationSchema(properties={"name": v1.StringPropertySchema(title="Name")})
IN_SESSION = v1.ElicitationFormMode(message="Who?", session_id="s", requested_schema=NAME)
AT_LOGIN = v1.ElicitationFormMode(message="Who?", request_id=0, requested_schema=NAME)


class Curious:
    """An agent of version 1 whose turns do what a test says."""

    turn: Callable[[ClientProxy], Awaitable[None]]

    def __init__(self, client: ClientProxy) -> None:
        self.client = client

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        known = v1.AgentCapabilities(mcp_capabilities=v1.McpCapabilities(http=True))
        return v1.InitializeResponse(protocol_version=1, agent_capabilities=known)

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        return v1.NewSessionResponse(session_id="s")

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        await type(self).turn(self.client)
        return v1.PromptResponse(stop_reason="end_turn")

    async def cancel(self, params: v1.CancelNotification) -> None:
        pass

    async def close(self) -> None:
        pass


def curious(turn: Callable[[ClientProxy], Awaitable[None]]) -> type[Curious]:
    return type("Asking", (Curious,), {"turn": staticmethod(turn)})


class Forms(RecordingDualClient):
    """Fills in forms, and hears when a web page is done."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[v2.CreateElicitationRequest] = []
        self.done: list[str] = []

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        self.forms.append(params)
        return v2.CreateElicitationResponse(action="accept", content={"name": "Ada"})

    async def complete_elicitation(self, params: v2.CompleteElicitationNotification) -> None:
        self.done.append(params.elicitation_id)


async def take_a_turn(agent: DualAgentProxy, client: RecordingDualClient) -> None:
    await agent.initialize(HELLO)
    await agent.new_session(v2.NewSessionRequest(cwd="/"))
    text: list[v2.ContentBlock] = [v2.TextContent(text="hi")]
    await agent.prompt(v2.PromptRequest(session_id="s", prompt=text))
    await client.until_idle()


@pytest.mark.parametrize(
    ("question", "states"),
    [
        (IN_SESSION, ["running", "requires_action", "running", "idle"]),
        (AT_LOGIN, ["running", "idle"]),
    ],
)
async def test_a_form_is_filled_in_and_requires_action_in_its_session(
    question: v1.CreateElicitationRequest, states: list[str]
) -> None:
    answers: list[v1.CreateElicitationResponse] = []

    async def turn(client: ClientProxy) -> None:
        answers.append(await client.create_elicitation(question))
        await client.complete_elicitation("page")

    client = Forms()
    async with linked_dual(curious(turn), client) as agent:
        await take_a_turn(agent, client)
    assert answers == [v1.CreateElicitationResponse(action="accept", content={"name": "Ada"})]
    assert client.forms[0].requested_schema == v2.ElicitationSchema(
        type="object", properties={"name": v2.StringPropertySchema(title="Name")}
    )
    assert client.done == ["page"]
    assert client.states == states


async def test_a_question_that_belongs_to_nothing_is_refused() -> None:
    codes: list[int] = []

    async def turn(client: ClientProxy) -> None:
        with pytest.raises(RequestError) as refused:
            await client.create_elicitation(
                v1.ElicitationUrlMode(message="Go", elicitation_id="e", url="http://x")
            )
        codes.append(refused.value.code)

    client = Forms()
    async with linked_dual(curious(turn), client) as agent:
        await take_a_turn(agent, client)
    assert codes == [-32602]
    assert client.forms == []


async def test_a_client_without_forms_or_terminals_answers_that_it_has_none() -> None:
    codes: list[int] = []

    async def turn(client: ClientProxy) -> None:
        # An agent that does not look at what was offered.
        client.capabilities = v1.ClientCapabilities(
            terminal=True, elicitation=client.capabilities.elicitation
        )
        terminal = v1.CreateTerminalRequest(session_id="s", command="ls")
        for asking in (client.create_elicitation(IN_SESSION), client.create_terminal(terminal)):
            with pytest.raises(RequestError) as refused:
                await asking
            codes.append(refused.value.code)
        await client.complete_elicitation("page")

    client = RecordingDualClient()
    async with linked_dual(curious(turn), client) as agent:
        await take_a_turn(agent, client)
    assert codes == [-32601, -32601]


async def test_content_of_a_kind_of_ones_own_cannot_be_sent() -> None:
    async def turn(client: ClientProxy) -> None:
        raise AssertionError

    own: Any = v2.UnknownVariant(kind="_own", body={"type": "_own"})
    async with linked_dual(curious(turn), RecordingDualClient()) as agent:
        await agent.initialize(HELLO)
        http = v2.McpServerHttp(name="x", url="http://x")
        await agent.new_session(v2.NewSessionRequest(cwd="/", mcp_servers=[http]))
        with pytest.raises(CapabilityError, match="kind of one's own"):
            await agent.prompt(v2.PromptRequest(session_id="s", prompt=[own]))


async def test_a_client_that_says_nothing_answers_with_the_first_fitting_option_or_cancelled() -> (
    None
):
    options = [v2.PermissionOption(option_id="n", name="No", kind="reject_once")]
    question = v2.RequestPermissionRequest(session_id="s", title="T", options=options)
    allowed = await RecordingDualClient().request_permission(question)
    assert allowed.outcome == v2.CancelledPermissionOutcome()
    denied = await RecordingDualClient(allow=False).request_permission(question)
    assert denied.outcome == v2.SelectedPermissionOutcome(option_id="n")
