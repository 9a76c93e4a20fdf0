"""A person at the page: starts an agent, watches it, and answers by key."""

from __future__ import annotations

import asyncio
from typing import Any

from punie.acp.transports.websocket import dial
from punie.http.config import Settings
from punie.http.testing import Puppet


async def start(page: Any, link: str, prompt: str) -> None:
    """Open the hub's link and begin a session with a prompt."""
    await page.goto(link)
    await page.wait_for_selector("select[name=agent] option", state="attached")
    await page.fill("form.new textarea[name=text]", prompt)
    await page.click("form.new button")


async def test_one_key_allows_a_write(running: Any, page: Any, settings: Settings) -> None:
    await start(page, running.address.link, "write notes.txt hello")
    card = await page.wait_for_selector(".card .diff .add")
    assert (await card.inner_text()).split() == ["1", "+hello"]
    assert await page.title() == "(1) Punie"
    await page.keyboard.press("a")
    await page.wait_for_selector(".item.agent >> text=notes.txt created")
    assert (settings.folder / "notes.txt").read_text() == "hello"
    await page.wait_for_function("document.title === 'Punie'")


async def test_one_key_rejects_a_write(running: Any, page: Any, settings: Settings) -> None:
    await start(page, running.address.link, "write notes.txt hello")
    await page.wait_for_selector(".card")
    await page.keyboard.press("r")
    await page.wait_for_selector(".item.approval >> text=Reject once")
    await page.wait_for_selector(".card", state="detached")
    assert not (settings.folder / "notes.txt").exists()


async def test_only_what_shows_the_same_is_answered_together(running: Any, page: Any) -> None:
    """An agent may give one title to two different commands."""
    url = running.address.url.replace("http", "ws") + "/agents"
    headers = {"Authorization": f"Bearer {running.address.token}"}
    puppet = Puppet(await dial(url, headers=headers))
    sessions = ("s1", "s2", "s3")
    await puppet.start(*sessions)
    async with asyncio.timeout(30), asyncio.TaskGroup() as asking:
        for session_id in sessions:
            await puppet.joined[session_id].wait()
        for session_id, cwd in zip(sessions, ("a", "a", "b"), strict=True):
            call = {"toolCallId": "c", "rawInput": {"command": "make clean", "cwd": cwd}}
            subject = {"type": "tool_call", "toolCall": call}
            asking.create_task(puppet.ask(session_id, "Clean", subject=subject))
        await page.goto(running.address.link)
        await page.wait_for_selector(".card >> nth=2")
        cards = await page.locator(".card").all_inner_texts()
        assert ["all 2 like this" in text for text in cards] == [True, True, False]
        assert '"cwd": "b"' in cards[2]
        await page.locator(".card >> nth=0").get_by_text("Allow: all 2 like this").click()
        await page.wait_for_selector(".card >> nth=1", state="detached")
        await page.keyboard.press("r")
    await puppet.aclose()


async def test_an_answer_streams_and_a_reload_has_no_gap(running: Any, page: Any) -> None:
    await start(page, running.address.link, "count slowly to 30")
    await page.wait_for_selector(".item.agent >> text=1 2 3")
    await page.reload()
    await page.wait_for_selector(".item.agent >> text=30")
    said = await page.inner_text(".item.agent p")
    assert said.split() == [str(number) for number in range(1, 31)]
