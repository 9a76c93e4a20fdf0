"""Agents that dial in over a real WebSocket, as those that an IDE started do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from punie.acp.errors import DialError
from punie.acp.transports.websocket import dial
from punie.agent.hosting import serve_agent
from punie.http.config import Settings
from punie.http.testing import Puppet


@asynccontextmanager
async def dialled(
    running: Any, *sessions: str, query: str = "", **more: Any
) -> AsyncGenerator[Puppet, None]:
    """A puppet that dialled in and whose sessions the hub has joined."""
    url = running.address.url.replace("http", "ws") + "/agents" + query
    headers = {"Authorization": f"Bearer {running.address.token}"}
    puppet = Puppet(await dial(url, headers=headers), **more)
    await puppet.start(*sessions)
    try:
        await asyncio.wait_for(puppet.listed.wait(), 30)
        for session_id in sessions:
            await asyncio.wait_for(puppet.joined[session_id].wait(), 30)
        yield puppet
    finally:
        await puppet.aclose()


async def summary(running: Any, session_id: str, **wanted: Any) -> dict[str, Any]:
    """A session once it is as wanted."""

    def fits(message: Any) -> bool:
        return any(is_it(one) for one in told(message))

    def is_it(one: dict[str, Any]) -> bool:
        return one["session_id"] == session_id and wanted.items() <= one.items()

    def told(message: Any) -> list[dict[str, Any]]:
        if message.name == "overview":
            return message.data["sessions"]
        return [message.data] if message.name == "session" else []

    last = (await running.until("", fits))[-1]
    return next(one for one in told(last) if is_it(one))


async def test_the_sessions_of_an_agent_that_dials_in_are_shown(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as puppet:
        puppet.become("s1", "running")
        assert (await summary(running, "s1", state="running"))["agent"] == "ide"


async def test_a_session_that_is_opened_later_is_joined(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running) as puppet:
        puppet.open("later", title="Fix it")
        puppet.say("later", "hi")
        seen = await summary(running, "later", snippet="hi")
        assert seen["title"] == "Fix it"


async def test_a_closed_session_is_closed(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as puppet:
        puppet.close("s1")
        await summary(running, "s1", state="closed")


async def test_an_answer_here_reaches_the_agent(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as puppet:
        question = asyncio.ensure_future(puppet.ask("s1"))
        session = await summary(running, "s1", state="needs_approval")
        (asked_id,) = session["asked"]
        await running.post(f"/api/inbox/{asked_id}/select", {"option_id": "yes"})
        assert await question == {"outcome": "selected", "optionId": "yes"}


async def test_who_hangs_up_has_answered_all_the_same(run_hub: Any) -> None:
    """Else the answer would be written down, and the agent would wait for ever."""
    async with run_hub() as running, dialled(running, "s1") as puppet:
        question = asyncio.ensure_future(puppet.ask("s1"))
        session = await summary(running, "s1", state="needs_approval")
        (asked_id,) = session["asked"]
        answering = asyncio.ensure_future(running.hub.inbox.select(asked_id, "yes", by="page"))
        await asyncio.sleep(0)
        answering.cancel()
        assert await asyncio.wait_for(question, 30) == {"outcome": "selected", "optionId": "yes"}


async def test_an_answer_elsewhere_closes_the_card(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as puppet:
        question = asyncio.ensure_future(puppet.ask("s1"))
        session = await summary(running, "s1", state="needs_approval")
        (asked_id,) = session["asked"]
        question.cancel()  # the IDE was faster
        await summary(running, "s1", asked={})
        late = await running.post(f"/api/inbox/{asked_id}/select", {"option_id": "yes"}, status=409)
        assert late["error"] == "already answered by the agent"


async def test_where_an_agent_cannot_be_steered_its_turn_is_stopped(run_hub: Any) -> None:
    taken: list[str] = []
    both = asyncio.Event()

    def on_prompt(session_id: str, text: str) -> None:
        taken.append(text)
        puppet.become(session_id, "running")
        if len(taken) == 2:
            both.set()

    async with run_hub() as running, dialled(running, "s1", on_prompt=on_prompt) as puppet:
        key = (await summary(running, "s1"))["key"]
        await running.prompt(key, "first")
        await summary(running, "s1", state="running")
        await running.prompt(key, "later")
        await running.prompt(key, "now", when="now")
        await asyncio.wait_for(both.wait(), 30)
        assert taken == ["first", "now"]


async def test_a_session_that_waits_for_an_ide_is_not_shown_as_idle(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as puppet:
        puppet.become("s1", "requires_action")
        seen = await summary(running, "s1", working="requires_action")
        assert seen["state"] == "needs_approval"
        assert seen["waiting_since"] is not None


async def test_who_waits_comes_first_and_the_longest_first_of_all(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "a", "b", "c", "d") as puppet:
        puppet.become("a", "running")
        first = asyncio.ensure_future(puppet.ask("c"))
        await summary(running, "c", state="needs_approval")
        second = asyncio.ensure_future(puppet.ask("d"))
        await summary(running, "d", state="needs_approval")
        puppet.become("b", "idle", stopReason="error", error={"code": 1, "message": "broke"})
        await summary(running, "b", state="failed", error="broke")
        sessions = (await running.get("/api/overview"))["sessions"]
        assert [one["session_id"] for one in sessions] == ["c", "d", "b", "a"]
        first.cancel()
        second.cancel()


async def test_a_question_is_answered_with_a_form(run_hub: Any) -> None:
    form = {"type": "object", "properties": {"name": {"type": "string"}}}
    async with run_hub() as running, dialled(running, "s1") as puppet:
        params = {
            "sessionId": "s1",
            "mode": "form",
            "message": "Which name?",
            "requestedSchema": form,
        }
        question = asyncio.ensure_future(puppet.request("elicitation/create", params))
        session = await summary(running, "s1", state="needs_answer")
        (asked_id,) = session["asked"]
        await running.post(f"/api/inbox/{asked_id}/submit", {"content": {"name": "Ada"}})
        assert await question == {"action": "accept", "content": {"name": "Ada"}}
        (kept,) = (await running.get("/api/audit"))["answers"]
        assert "Ada" not in str(kept)


async def test_a_question_of_punies_own_model_waits_in_the_inbox(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "ask Which database? | SQLite | PostgreSQL")
        asked = await running.asked(session)
        assert (asked["what"], asked["title"]) == ("question", "Which database?")
        (shown,) = (await running.get("/api/overview"))["sessions"]
        assert (shown["state"], shown["working"]) == ("needs_answer", "requires_action")
        ((name, field),) = asked["form"]["properties"].items()
        offered = field.get("enum") or [one["const"] for one in field["oneOf"]]
        assert "PostgreSQL" in offered
        path = f"/api/inbox/{asked['id']}/submit"
        await running.post(path, {"content": {name: "MySQL"}}, status=400)
        await running.post(path, {"content": {name: "PostgreSQL"}})
        await running.idle(session)
        (shown,) = (await running.get("/api/overview"))["sessions"]
        assert shown["state"] == "idle"
        assert "PostgreSQL" in shown["snippet"]


async def test_a_form_that_is_filled_in_wrongly_stays_open(run_hub: Any) -> None:
    form = {
        "type": "object",
        "required": ["age"],
        "properties": {
            "age": {"type": "integer", "minimum": 1, "maximum": 150},
            "ratio": {"type": "number"},
            "sure": {"type": "boolean"},
            "name": {"type": "string", "minLength": 2, "enum": ["Ada", "Bob"]},
            "likes": {
                "type": "array",
                "maxItems": 1,
                "items": {"anyOf": [{"const": "tea", "title": "Tea"}]},
            },
        },
    }
    wrong = {
        "age: this is needed": {"sure": True},
        "age: this is a whole number": {"age": "ten"},
        "age: at least 1": {"age": 0},
        "age: at most 150": {"age": 151},
        "ratio: this is a number": {"age": 1, "ratio": True},
        "sure: this is true or false": {"age": 1, "sure": "yes"},
        "name: this is a text": {"age": 1, "name": 3},
        "name: at least 2 characters": {"age": 1, "name": "A"},
        "name: 'Eve' is none of Ada, Bob": {"age": 1, "name": "Eve"},
        "likes: this is a list of texts": {"age": 1, "likes": [1]},
        "likes: at most 1 choices": {"age": 1, "likes": ["tea", "tea"]},
        "likes: 'rum' is none of tea": {"age": 1, "likes": ["rum"]},
        "more: the form has no such field; it has: age, ratio, sure, name, likes": {"more": 1},
    }
    async with run_hub() as running, dialled(running, "s1") as puppet:
        params = {"sessionId": "s1", "mode": "form", "message": "You?", "requestedSchema": form}
        question = asyncio.ensure_future(puppet.request("elicitation/create", params))
        session = await summary(running, "s1", state="needs_answer")
        (asked_id,) = session["asked"]
        for told, content in wrong.items():
            path = f"/api/inbox/{asked_id}/submit"
            refused = await running.post(path, {"content": content}, status=400)
            assert refused["error"] == told
        assert not question.done()
        await running.post(path, {"content": {"age": 30, "likes": ["tea"], "ratio": 0.5}})
        assert (await question)["content"] == {"age": 30, "likes": ["tea"], "ratio": 0.5}


async def test_two_ides_are_told_apart_and_keep_their_names(run_hub: Any) -> None:
    pycharm = ("aa", "?name=ide&id=aa11aa11&client=PyCharm+2026.1&project=/one")
    zed = ("bb", "?name=ide&id=bb22bb22&client=Zed+0.9&project=/two")
    async with run_hub() as running:
        for first, second in ((pycharm, zed), (zed, pycharm)):  # whoever comes first
            async with (
                dialled(running, first[0], query=first[1]),
                dialled(running, second[0], query=second[1]),
            ):
                agents = {
                    one["name"]: one for one in (await running.get("/api/overview"))["agents"]
                }
                told = {
                    name: (one["client"], one["project"])
                    for name, one in agents.items()
                    if one["kind"] == "dialled"
                }
                assert told == {
                    "ide-aa11aa": ("PyCharm 2026.1", "/one"),
                    "ide-bb22bb": ("Zed 0.9", "/two"),
                }
                await summary(running, "aa", client="PyCharm 2026.1")
                await summary(running, "bb", client="Zed 0.9")
                opened = await running.new_session(agent="ide-bb22bb")
                await summary(running, "new-2", key=opened, client="Zed 0.9")
                await running.http.delete(f"/api/sessions/{opened}")
                await summary(running, "new-2", state="closed")


async def test_an_ide_that_comes_again_takes_its_own_place(run_hub: Any) -> None:
    """Its old connection may look alive for a while."""
    query = "?name=ide&id=aa11&client=PyCharm"
    async with (
        run_hub() as running,
        dialled(running, "s1", query=query) as old,
        dialled(running, "s1", query=query),
    ):
        await asyncio.wait_for(old.gone.wait(), 30)
        await summary(running, "s1", state="idle")
        names = [one["name"] for one in (await running.get("/api/overview"))["agents"]]
        assert names == ["punie", "ide-aa11"]


async def test_agents_without_a_name_do_not_share_sessions(run_hub: Any) -> None:
    async with run_hub() as running, dialled(running, "s1") as one, dialled(running, "s1") as two:
        one.say("s1", "first")
        two.say("s1", "second")
        await summary(running, "s1", snippet="first", agent="ide")
        await summary(running, "s1", snippet="second", agent="ide-2")


@pytest.mark.parametrize("query", ["?name=a/b", "?id=xyz", f"?client={'x' * 101}", "?name=punie"])
async def test_who_says_odd_things_about_itself_is_not_let_in(run_hub: Any, query: str) -> None:
    async with run_hub() as running:
        await running.ready()
        if query == "?name=punie":  # an agent of the hub: found out when the socket is there
            url = running.address.url.replace("http", "ws") + "/agents" + query
            headers = {"Authorization": f"Bearer {running.address.token}"}
            puppet = Puppet(await dial(url, headers=headers, give_up=0.1))
            await puppet.start("s1")
            await asyncio.wait_for(puppet.gone.wait(), 30)
            assert [one["name"] for one in (await running.get("/api/overview"))["agents"]] == [
                "punie"
            ]
            await puppet.aclose()
            return
        with pytest.raises(DialError, match="400"):
            async with dialled(running, query=query):
                pass


async def test_an_agent_that_comes_back_doubles_nothing(run_hub: Any) -> None:
    async with run_hub() as running:
        for times in (1, 2):
            async with dialled(running, "s1") as puppet:
                if times == 1:
                    puppet.say("s1", "one ")
                    puppet.say("s1", "two")
                    await summary(running, "s1", snippet="one two")
                    history = puppet.histories["s1"]
                    key = (await summary(running, "s1"))["key"]
            await summary(running, "s1", state="gone")
        async with dialled(running) as puppet:
            puppet.histories["s1"] = [*history]
            puppet.joined["s1"] = asyncio.Event()
            told = {"sessionId": "s1", "cwd": "/project"}
            puppet._send(method="_punie/session_opened", params=told)
            await asyncio.wait_for(puppet.joined["s1"].wait(), 30)
            puppet.say("s1", " three")
            await summary(running, "s1", snippet="one two three")
            (item,) = (await running.get(f"/api/sessions/{key}"))["items"]
            assert item["content"] == [{"type": "text", "text": "one two three"}]


async def test_a_lost_agent_is_gone_within_seconds(run_hub: Any) -> None:
    async with run_hub() as running:
        async with dialled(running, "s1"):
            await summary(running, "s1", state="idle")
        await summary(running, "s1", state="gone")


async def test_punie_itself_can_dial_in(run_hub: Any, settings: Settings) -> None:
    async with run_hub() as running:
        await running.ready()
        url = running.address.url.replace("http", "ws") + "/agents"
        headers = {"Authorization": f"Bearer {running.address.token}"}
        transport = await dial(url, headers=headers)
        serving = asyncio.ensure_future(serve_agent(transport, model="test"))
        await running.ready(agents=2)
        session = await running.new_session(agent="ide")
        await running.prompt(session, "hello")
        await running.idle(session)
        seen = await running.get(f"/api/sessions/{session}")
        assert seen["session"]["snippet"] == "Hello from Punie's test model."
        await transport.aclose()
        await serving


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer TOKEN", "Origin": "https://evil.example"},
    ],
)
async def test_who_may_not_dial_in_does_not(run_hub: Any, headers: dict[str, str]) -> None:
    async with run_hub() as running:
        url = running.address.url.replace("http", "ws") + "/agents"
        told = {
            name: value.replace("TOKEN", running.address.token) for name, value in headers.items()
        }
        with pytest.raises(DialError, match=r"40[13]"):
            await dial(url, headers=told)


async def test_a_page_cannot_be_an_agent(run_hub: Any) -> None:
    async with run_hub() as running:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(running.address.url, cookie_jar=jar) as session:
            await session.get("/", params={"token": running.address.token})
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect("/agents", headers={"Origin": running.address.url})
            assert refused.value.status == 403


async def test_an_agent_that_died_with_a_prompt_gets_the_next_one_when_it_is_back(
    run_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the prompt and ended before it said that it works."""
    monkeypatch.setattr("punie.http.routes.agents.HOLD", 0.1)
    taken: asyncio.Queue[str] = asyncio.Queue()

    def take(_session_id: str, text: str) -> None:
        taken.put_nowait(text)

    async with run_hub() as running:
        for text in ("first", "second"):
            async with dialled(running, "s1", query="?name=one&id=aaaa", on_prompt=take):
                session = await summary(running, "s1", attached=True)
                await running.prompt(session["key"], text)
                assert await asyncio.wait_for(taken.get(), 10) == text
            await summary(running, "s1", attached=False)
