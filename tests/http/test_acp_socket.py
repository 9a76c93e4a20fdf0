"""The hub as one ACP agent: clients of both protocol versions, over real WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec
import pytest

from punie.acp.client_side.dual import DualAgentProxy, connect_dual
from punie.acp.errors import DialError, ErrorCode, RequestError
from punie.acp.schema import v2
from punie.acp.testing.dual import HELLO, RecordingDualClient
from punie.acp.transports.websocket import dial
from punie.http.config import Settings
from punie.http.testing import Puppet

PATIENCE = 60.0


class Person(RecordingDualClient):
    """A client with somebody before it, who answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: asyncio.Queue[str | None] = asyncio.Queue()
        self.asked = asyncio.Event()
        self.withdrawn = asyncio.Event()
        self.forms: list[v2.CreateElicitationRequest] = []

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        self.permissions.append(params)
        self.asked.set()
        try:
            option = await self.chosen.get()
        except asyncio.CancelledError:
            self.withdrawn.set()
            raise
        if option is None:
            return v2.RequestPermissionResponse(outcome=v2.CancelledPermissionOutcome())
        outcome = v2.SelectedPermissionOutcome(option_id=option)
        return v2.RequestPermissionResponse(outcome=outcome)

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        self.forms.append(params)
        return v2.CreateElicitationResponse(action="accept", content={"name": "Ada"})


def hello(version: int) -> v2.InitializeRequest:
    form = v2.ElicitationCapabilities(form=v2.ElicitationFormCapabilities())
    capabilities = v2.ClientCapabilities(elicitation=form)
    return msgspec.structs.replace(HELLO, protocol_version=version, capabilities=capabilities)


@asynccontextmanager
async def client(
    running: Any, person: Any, *, version: int = 2, query: str = ""
) -> AsyncGenerator[DualAgentProxy, None]:
    """An ACP client of the hub that has shaken hands."""
    url = running.address.url.replace("http", "ws") + "/acp" + query
    headers = {"Authorization": f"Bearer {running.address.token}"}
    async with connect_dual(person, await dial(url, headers=headers)) as agent:
        await agent.initialize(hello(version))
        assert agent.version == version
        yield agent


def prompt(session_id: str, text: str) -> v2.PromptRequest:
    return v2.PromptRequest(session_id=session_id, prompt=[v2.TextContent(text=text)])


def resume(session_id: str, settings: Settings, *, replay: bool = True) -> v2.ResumeSessionRequest:
    return v2.ResumeSessionRequest(
        session_id=session_id,
        cwd=str(settings.folder),
        replay_from=v2.ReplayFromStart() if replay else None,
    )


@pytest.fixture
def new(settings: Settings) -> v2.NewSessionRequest:
    return v2.NewSessionRequest(cwd=str(settings.folder))


async def until(running: Any, happened: Callable[[], Any]) -> None:
    """Wait until something is so in the hub, looking after each thing that it tells."""
    stream = running.hub.feed.open("all", states=True)
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await stream.take(PATIENCE)
    running.hub.feed.close(stream)


@pytest.mark.parametrize("version", [1, 2])
async def test_a_client_of_either_version_runs_a_turn(
    run_hub: Any, new: v2.NewSessionRequest, version: int
) -> None:
    person = Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, person, version=version) as agent:
            session = await agent.new_session(new)
            assert session.config_options
            await agent.prompt(prompt(session.session_id, "hello"))
            ended = await person.until_idle()
            assert ended.stop_reason == "end_turn"
            assert person.text == "Hello from Punie's test model."
            seen = await running.get(f"/api/sessions/{session.session_id}")
            assert seen["session"]["snippet"] == person.text


@pytest.mark.parametrize("version", [1, 2])
async def test_what_a_client_allows_is_done_and_kept_under_its_name(
    run_hub: Any, new: v2.NewSessionRequest, settings: Settings, version: int
) -> None:
    person = Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, person, version=version) as agent:
            session = await agent.new_session(new)
            await agent.prompt(prompt(session.session_id, "write notes.txt hello"))
            await asyncio.wait_for(person.asked.wait(), PATIENCE)
            told = [one for one in person.updates if isinstance(one, v2.ToolCallUpdate)]
            assert told  # what it is about came first
            assert not (settings.folder / "notes.txt").exists()
            person.chosen.put_nowait("allow_once")
            await person.until_idle()
            assert (settings.folder / "notes.txt").read_text() == "hello"
        (answer,) = (await running.get("/api/audit"))["answers"]
        assert (answer["by"], answer["client"]) == ("client", "tests 1")


async def test_the_page_answers_first_and_the_clients_question_is_withdrawn(
    run_hub: Any, new: v2.NewSessionRequest, settings: Settings
) -> None:
    person = Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, person) as agent:
            session = await agent.new_session(new)
            await agent.prompt(prompt(session.session_id, "write notes.txt hello"))
            await asyncio.wait_for(person.asked.wait(), PATIENCE)
            asked = await running.asked(int(session.session_id))
            await running.post(f"/api/inbox/{asked['id']}/select", {"option_id": "reject_once"})
            await asyncio.wait_for(person.withdrawn.wait(), PATIENCE)
            await person.until_idle()
        assert not (settings.folder / "notes.txt").exists()
        (answer,) = (await running.get("/api/audit"))["answers"]
        assert answer["by"] == "program"


async def test_of_two_clients_the_first_answer_stands(
    run_hub: Any, new: v2.NewSessionRequest, settings: Settings
) -> None:
    one, other = Person(), Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, one) as agent, client(running, other, version=1) as second:
            session = await agent.new_session(new)
            await agent.prompt(prompt(session.session_id, "write notes.txt hello"))
            await asyncio.wait_for(one.asked.wait(), PATIENCE)
            await second.resume_session(resume(session.session_id, settings))
            await asyncio.wait_for(other.asked.wait(), PATIENCE)  # an open one, too
            one.chosen.put_nowait(None)  # closed without an answer: the other is still asked
            other.chosen.put_nowait("allow_once")
            await one.until_idle()
        assert (settings.folder / "notes.txt").read_text() == "hello"
        assert len((await running.get("/api/audit"))["answers"]) == 1


@pytest.mark.parametrize("version", [1, 2])
async def test_who_joins_hears_the_history_once_and_then_what_happens(
    run_hub: Any, new: v2.NewSessionRequest, settings: Settings, version: int
) -> None:
    first, later = Person(), Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, first) as agent:
            session = await agent.new_session(new)
            await agent.prompt(prompt(session.session_id, "hello"))
            await first.until_idle()
            async with client(running, later, version=version) as joined:
                (listed,) = (await joined.list_sessions(v2.ListSessionsRequest())).sessions
                assert listed.session_id == session.session_id
                assert listed.meta == {"punie/agent": "punie", "punie/live": True}
                await joined.resume_session(resume(listed.session_id, settings))
                said = "Hello from Punie's test model."
                await agent.prompt(prompt(session.session_id, "hello"))
                await first.until_idle(2)
                await later.until(lambda: text_of(later) == f"hello{said}hello{said}")


def text_of(person: Person) -> str:
    """All that was said by anybody, as a client sees it."""
    parts: list[str] = []
    for update in person.updates:
        match update:
            case v2.AgentMessageChunk(content=content) | v2.UserMessageChunk(content=content):
                parts.append(content.text)
            case v2.AgentMessage(content=content) | v2.UserMessage(content=content):
                parts += [block.text for block in content or ()]
            case _:
                pass
    return "".join(parts)


async def test_prompts_of_clients_and_pages_wait_in_one_line(
    run_hub: Any, new: v2.NewSessionRequest
) -> None:
    person = Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, person, version=1) as agent:
            session = await agent.new_session(new)
            key = int(session.session_id)
            await running.prompt(key, "write a.txt 1")
            await asyncio.wait_for(person.asked.wait(), PATIENCE)
            await agent.prompt(prompt(session.session_id, "hello"))
            await until(running, lambda: len(running.hub.prompts.of(key)) == 1)
            person.chosen.put_nowait("reject_once")
            await person.until(lambda: "Hello from Punie" in person.text)
            await person.until_idle()
        assert not running.hub.prompts.of(key)


async def test_cancelling_stops_the_turn_and_drops_what_waits(
    run_hub: Any, new: v2.NewSessionRequest
) -> None:
    person = Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, person) as agent:
            session = await agent.new_session(new)
            await agent.prompt(prompt(session.session_id, "count slowly"))
            await person.until(lambda: person.text)
            second = asyncio.ensure_future(agent.prompt(prompt(session.session_id, "hello")))
            await until(running, lambda: running.hub.prompts.of(int(session.session_id)))
            await agent.cancel(session.session_id)
            with pytest.raises(RequestError) as refused:
                await second
            assert refused.value.code == ErrorCode.REQUEST_CANCELLED
            assert (await person.until_idle()).stop_reason == "cancelled"


async def test_a_prompt_that_is_taken_back_is_not_sent(
    run_hub: Any, new: v2.NewSessionRequest
) -> None:
    person = Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, person) as agent:
            session = await agent.new_session(new)
            key = int(session.session_id)
            await agent.prompt(prompt(session.session_id, "write a.txt 1"))
            await asyncio.wait_for(person.asked.wait(), PATIENCE)
            second = asyncio.ensure_future(agent.prompt(prompt(session.session_id, "hello")))
            await until(running, lambda: running.hub.prompts.of(key))
            second.cancel()
            await until(running, lambda: not running.hub.prompts.of(key))
            person.chosen.put_nowait("reject_once")
            await person.until_idle()
            assert "Hello" not in person.text


async def test_a_question_of_a_session_goes_to_the_client(run_hub: Any) -> None:
    person = Person()
    async with run_hub() as running:
        url = running.address.url.replace("http", "ws") + "/agents"
        headers = {"Authorization": f"Bearer {running.address.token}"}
        puppet = Puppet(await dial(url, headers=headers))
        await puppet.start("s1")
        await asyncio.wait_for(puppet.joined["s1"].wait(), PATIENCE)
        await until(running, running.hub.sessions.all)
        (summary,) = running.hub.sessions.all()
        async with client(running, person) as agent:
            request = v2.ResumeSessionRequest(session_id=str(summary.key), cwd="/project")
            await agent.resume_session(request)
            form = {"type": "object", "properties": {"name": {"type": "string"}}}
            params = {"sessionId": "s1", "mode": "form", "message": "Who?", "requestedSchema": form}
            answer = await puppet.request("elicitation/create", params)
            assert answer == {"action": "accept", "content": {"name": "Ada"}}
            assert person.forms[0].message == "Who?"
        await puppet.aclose()


async def test_an_agent_that_is_gone_leaves_no_client_waiting(
    run_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("punie.http.routes.agents.HOLD", 0.1)
    person = Person()
    async with run_hub() as running:
        url = running.address.url.replace("http", "ws") + "/agents"
        headers = {"Authorization": f"Bearer {running.address.token}"}
        puppet = Puppet(await dial(url, headers=headers))
        await puppet.start("s1")
        await asyncio.wait_for(puppet.joined["s1"].wait(), PATIENCE)
        puppet.become("s1", "running")
        await until(
            running, lambda: [one for one in running.hub.sessions.all() if one.working != "idle"]
        )
        (summary,) = running.hub.sessions.all()
        async with client(running, person) as agent:
            request = v2.ResumeSessionRequest(session_id=str(summary.key), cwd="/project")
            await agent.resume_session(request)
            await person.until(lambda: person.states == ["running"])
            await puppet.aclose()
            ended = await person.until_idle()
            assert ended.stop_reason == "error"
            with pytest.raises(RequestError, match="is not connected"):
                await agent.prompt(prompt(str(summary.key), "hello"))


async def test_a_closed_session_is_closed_for_everybody(
    run_hub: Any, new: v2.NewSessionRequest, settings: Settings
) -> None:
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person()) as agent:
            session = await agent.new_session(new)
            await agent.close_session(v2.CloseSessionRequest(session_id=session.session_id))
            await running.hub.store.flush()
            assert (await agent.list_sessions(v2.ListSessionsRequest())).sessions == []
            for call in (
                agent.prompt(prompt(session.session_id, "hello")),
                agent.resume_session(resume(session.session_id, settings)),
            ):
                with pytest.raises(RequestError) as refused:
                    await call
                assert refused.value.code == ErrorCode.RESOURCE_NOT_FOUND


async def test_an_option_is_chosen(run_hub: Any, new: v2.NewSessionRequest) -> None:
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person()) as agent:
            session = await agent.new_session(new)
            request = v2.SetSessionConfigOptionRequest(
                session_id=session.session_id, config_id="mode", type="id", value="plan"
            )
            options = (await agent.set_session_config_option(request)).config_options
            chosen = {one.config_id: one.current_value for one in options}
            assert chosen["mode"] == "plan"
            unknown = msgspec.structs.replace(request, config_id="none-such")
            with pytest.raises(RequestError) as refused:
                await agent.set_session_config_option(unknown)
            assert refused.value.code == ErrorCode.INVALID_PARAMS  # the agent's own


async def test_a_client_says_which_agent_a_session_gets(
    run_hub: Any, new: v2.NewSessionRequest
) -> None:
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person(), query="?agent=nobody") as agent:
            with pytest.raises(RequestError) as refused:
                await agent.new_session(new)
            assert refused.value.data == {
                "path": "$._meta.punie/agent",
                "reason": "the hub has no such agent",
            }
            named = msgspec.structs.replace(new, meta={"punie/agent": "punie"})
            assert (await agent.new_session(named)).meta == {"punie/agent": "punie"}
            odd = msgspec.structs.replace(new, meta={"punie/agent": 1})
            with pytest.raises(RequestError):
                await agent.new_session(odd)


async def test_a_list_comes_in_pages(
    run_hub: Any, new: v2.NewSessionRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("punie.http.acp_socket.agent.PAGE", 2)
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person()) as agent:
            opened = [(await agent.new_session(new)).session_id for _ in range(3)]
            first = await agent.list_sessions(v2.ListSessionsRequest())
            rest = await agent.list_sessions(v2.ListSessionsRequest(cursor=first.next_cursor))
            listed = [one.session_id for one in (*first.sessions, *rest.sessions)]
            assert listed == opened[::-1]
            assert rest.next_cursor is None
            elsewhere = await agent.list_sessions(v2.ListSessionsRequest(cwd="/elsewhere"))
            assert elsewhere.sessions == []
            with pytest.raises(RequestError):
                await agent.list_sessions(v2.ListSessionsRequest(cursor="x"))


@pytest.mark.parametrize("folder", ["relative", "/no/such/folder"])
async def test_a_session_needs_a_folder(run_hub: Any, folder: str) -> None:
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person()) as agent:
            with pytest.raises(RequestError, match="existing folder"):
                await agent.new_session(v2.NewSessionRequest(cwd=folder))


async def test_a_client_that_floods_is_refused(
    run_hub: Any, new: v2.NewSessionRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("punie.http.app.CHANGES_AT_ONCE", 1)
    monkeypatch.setattr("punie.http.app.CHANGES_A_SECOND", 0.0)
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person()) as agent:
            await agent.new_session(new)
            with pytest.raises(RequestError, match="too many changes"):
                await agent.new_session(new)


async def test_there_is_a_most_of_clients(run_hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("punie.http.acp_socket.socket.MAX_CLIENTS", 1)
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person()):
            with pytest.raises(DialError, match="429"):
                async with client(running, Person()):
                    pass


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer TOKEN", "Origin": "https://evil.example"}, 403),
        ({"Authorization": "Bearer TOKEN", "Host": "evil.example"}, 421),
        ({"Cookie": "COOKIE"}, 403),
        ({"Cookie": "COOKIE", "Origin": "https://evil.example"}, 403),
    ],
)
async def test_who_may_not_connect_does_not(
    run_hub: Any, headers: dict[str, str], status: int
) -> None:
    async with run_hub() as running, aiohttp.ClientSession(running.address.url) as stranger:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stranger.ws_connect("/acp", headers=await filled(running, headers))
        assert refused.value.status == status


async def test_a_page_may_connect_with_its_cookie(run_hub: Any) -> None:
    async with run_hub() as running, aiohttp.ClientSession(running.address.url) as browser:
        headers = {"Cookie": "COOKIE", "Origin": running.address.url}
        async with browser.ws_connect("/acp", headers=await filled(running, headers)) as socket:
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "session/list"})
            answer = await socket.receive_json()
            assert answer["error"]["code"] == ErrorCode.INVALID_REQUEST  # initialize comes first


async def filled(running: Any, headers: dict[str, str]) -> dict[str, str]:
    """Headers with the hub's token and cookie in their places."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(running.address.link, allow_redirects=False) as response,
    ):
        cookie = response.headers["Set-Cookie"].partition(";")[0]
    swaps = {"TOKEN": running.address.token, "COOKIE": cookie}
    return {
        name: value.replace("TOKEN", swaps["TOKEN"]).replace("COOKIE", swaps["COOKIE"])
        for name, value in headers.items()
    }


async def test_a_prompt_of_content_that_nobody_knows_ends_nothing(
    run_hub: Any, new: v2.NewSessionRequest
) -> None:
    body = {"type": "hologram", "width": 3}
    person = Person()
    async with run_hub() as running:
        await running.ready()
        async with client(running, person) as agent:
            session_id = (await agent.new_session(new)).session_id
            strange = v2.PromptRequest(
                session_id=session_id, prompt=[v2.UnknownVariant(kind="hologram", body=body)]
            )
            with suppress(RequestError):  # the agent may refuse it
                await agent.prompt(strange)
            await agent.prompt(prompt(session_id, "hello"))
            await person.until_idle()
            assert "Hello" in person.text


async def test_what_waits_is_bounded_in_bytes(run_hub: Any, new: v2.NewSessionRequest) -> None:
    """The list of what waits is written down whole at each change."""
    picture = v2.ImageContent(data="A" * 3_000_000, mime_type="image/png")
    async with run_hub() as running:
        await running.ready()
        async with client(running, Person()) as agent:
            session_id = (await agent.new_session(new)).session_id
            await agent.prompt(prompt(session_id, "count slowly to 90"))
            pictures = v2.PromptRequest(session_id=session_id, prompt=[picture])
            waiting = [asyncio.ensure_future(agent.prompt(pictures)) for _ in range(4)]
            with pytest.raises(RequestError, match="prompts of more than 8 MB would wait"):
                await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)
            assert sum(one.done() for one in waiting) <= 2
            await agent.cancel(session_id)
            await asyncio.gather(*waiting, return_exceptions=True)
