"""A person at the page: is asked, looks, and answers by button or by key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from playwright.async_api import expect

ARMED = ".card[data-keys=now]"


async def start(page: Any, prompt: str) -> None:
    """Begin a session with a prompt."""
    await page.wait_for_selector("select[name=agent] option", state="attached")
    await page.fill("form.new textarea[name=text]", prompt)
    await page.click("form.new button")


async def test_one_key_allows_a_write(page: Any, project: Path) -> None:
    await start(page, "write notes.txt hello")
    assert "hello" in await page.inner_text(".card .diff .add")
    await expect(page).to_have_title("(1) Punie")
    await page.wait_for_selector(ARMED)
    await page.keyboard.press("a")
    await page.wait_for_selector(".item.agent >> text=notes.txt created")
    assert (project / "notes.txt").read_text() == "hello"
    await expect(page).to_have_title("Punie")


async def test_one_key_rejects_a_write(page: Any, project: Path) -> None:
    await start(page, "write notes.txt hello")
    await page.wait_for_selector(ARMED)
    await page.keyboard.press("r")
    await page.wait_for_selector(".item.approval >> text=Reject once")
    await page.wait_for_selector(".card", state="detached")
    assert not (project / "notes.txt").exists()


async def test_a_button_in_the_inbox_allows_a_write(page: Any, running: Any, project: Path) -> None:
    session = await running.new_session()
    await running.prompt(session, "write notes.txt hello")
    await page.click(".inbox .card button.allow >> nth=0")
    await page.wait_for_selector("text=Nobody needs you.")
    await running.idle(session)
    assert (project / "notes.txt").read_text() == "hello"


async def test_a_key_for_one_card_does_not_answer_the_next(page: Any, attached: Any) -> None:
    """The first card goes, and the finger was on its way: nothing is answered by mistake."""
    async with attached("s1", "s2") as puppet, asyncio.TaskGroup() as asking:
        first = asking.create_task(puppet.ask("s1", "First"))
        await page.wait_for_selector(f"{ARMED} >> text=First")
        second = asking.create_task(puppet.ask("s2", "Second"))
        await page.wait_for_selector(".card >> text=Second")
        await page.keyboard.press("a")
        assert (await first)["optionId"] == "yes"
        await page.wait_for_selector(".card >> text=First", state="detached")
        assert await page.get_attribute(".card", "data-keys") == "soon"
        await page.keyboard.press("a")
        await page.wait_for_selector("#said >> text=look at it")
        await page.wait_for_selector(f"{ARMED} >> text=Second")
        assert not second.done()
        await page.keyboard.press("r")
        assert (await second)["optionId"] == "no"


async def test_a_key_answers_no_card_that_took_the_place_of_another(
    page: Any, attached: Any
) -> None:
    """As above, but it was answered in the IDE."""
    async with attached("s1", "s2") as puppet, asyncio.TaskGroup() as asking:
        first = asyncio.ensure_future(puppet.ask("s1", "First"))
        await page.wait_for_selector(f"{ARMED} >> text=First")
        second = asking.create_task(puppet.ask("s2", "Second"))
        await page.wait_for_selector(".card >> text=Second")
        # The key comes in the very moment in which the cards were drawn anew.
        await page.evaluate(
            """() => new MutationObserver(() => {
                document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'a', bubbles: true }));
            }).observe(document.querySelector('.inbox'), { childList: true })"""
        )
        first.cancel()
        await page.wait_for_selector("#said >> text=look at it")
        await page.wait_for_selector(f"{ARMED} >> text=Second")
        assert not second.done()
        await page.keyboard.press("r")
        await second


async def test_buttons_that_slid_under_the_pointer_take_no_click(page: Any, attached: Any) -> None:
    async with attached("s1", "s2") as puppet, asyncio.TaskGroup() as asking:
        first = asyncio.ensure_future(puppet.ask("s1", "First"))
        await page.wait_for_selector(".card >> text=First")
        asking.create_task(puppet.ask("s2", "Second"))
        await page.wait_for_selector(".card >> nth=1")
        slid = page.evaluate(
            """() => new Promise((seen) => new MutationObserver((_, observer) => requestAnimationFrame(() => {
                observer.disconnect();
                const button = document.querySelector('.card button.allow').getBoundingClientRect();
                seen(document.elementFromPoint(button.x + 5, button.y + 5).className);
            })).observe(document.querySelector('.inbox'), { childList: true }))"""
        )
        looking = asyncio.ensure_future(slid)
        await page.evaluate("1")
        first.cancel()
        assert "allow" not in await looking
        await page.click(".card button.reject")  # waits until it can be clicked


async def test_j_and_k_choose_the_card_that_keys_answer(page: Any, attached: Any) -> None:
    async with attached("s1", "s2") as puppet, asyncio.TaskGroup() as asking:
        first = asking.create_task(puppet.ask("s1", "First"))
        await page.wait_for_selector(".card >> text=First")
        second = asking.create_task(puppet.ask("s2", "Second"))
        await page.wait_for_selector(".card >> text=Second")
        for key in "jjkj":
            await page.keyboard.press(key)
        assert "Second" in await page.inner_text(ARMED)
        await page.keyboard.press("1")
        assert (await second)["optionId"] == "yes"
        assert not first.done()
        await page.wait_for_selector(f"{ARMED} >> text=First")
        await page.keyboard.press("2")
        await first


async def test_only_what_shows_the_same_is_answered_together(page: Any, attached: Any) -> None:
    """An agent may give one title to two different commands."""
    sessions = ("s1", "s2", "s3")
    async with attached(*sessions) as puppet, asyncio.TaskGroup() as asking:
        for session_id, cwd in zip(sessions, ("a", "a", "b"), strict=True):
            call = {"toolCallId": "c", "rawInput": {"command": "make clean", "cwd": cwd}}
            subject = {"type": "tool_call", "toolCall": call}
            asking.create_task(puppet.ask(session_id, "Clean", subject=subject))
        await page.wait_for_selector(".card >> nth=2")
        cards = await page.locator(".card").all_inner_texts()
        assert ["all 2 like this" in text for text in cards] == [True, True, False]
        assert '"cwd": "b"' in cards[2]
        await page.locator(".card >> nth=0").get_by_text("Allow: all 2 like this").click()
        await page.wait_for_selector(".card >> nth=1", state="detached")
        await page.wait_for_selector(ARMED)
        await page.keyboard.press("r")


async def test_the_card_closes_when_the_ide_answers_first(page: Any, attached: Any) -> None:
    async with attached("s1") as puppet:
        asked = asyncio.ensure_future(puppet.ask("s1", "May I?"))
        await page.wait_for_selector(".card >> text=May I?")
        asked.cancel()
        await page.wait_for_selector("text=Nobody needs you.")
        assert await page.locator(".card").count() == 0


async def test_what_is_asked_in_the_ide_alone_is_told(page: Any, attached: Any) -> None:
    async with attached("s1") as puppet:
        puppet.become("s1", "requires_action")
        await page.wait_for_selector(".calm >> text=An agent waits for an answer in the IDE.")
        await expect(page).to_have_title("(1) Punie")
        assert await page.inner_text("#sessions a.needs_approval .state") == "needs approval"


async def test_characters_that_hide_what_a_command_does_are_shown(page: Any, attached: Any) -> None:
    """U+202E would show the end of the command in another order."""
    async with attached("s1") as puppet:
        subject = {"type": "command", "command": "rm \u202efdp.tset\u200b", "cwd": "/"}
        asked = asyncio.ensure_future(puppet.ask("s1", "Run", subject=subject))
        assert await page.inner_text(".card pre") == "$ rm ⟨U+202E⟩fdp.tset⟨U+200B⟩"
        asked.cancel()


async def test_a_change_that_looks_like_the_head_of_a_patch_is_shown(
    page: Any, attached: Any
) -> None:
    """A line that adds `++ x` reads `+++ x`, one that takes `-- x` away `--- x`."""
    text = "diff --git a/a.js b/a.js\n--- a/a.js\n+++ b/a.js\n@@ -1,2 +1,2 @@\n same\n--- old\n+++ steal()\n"
    diff = {"type": "diff", "patch": {"format": "git_patch", "text": text}, "changes": []}
    async with attached("s1") as puppet:
        subject = {"type": "tool_call", "toolCall": {"toolCallId": "c", "content": [diff]}}
        asked = asyncio.ensure_future(puppet.ask("s1", "Edit", subject=subject))
        assert await page.inner_text(".card .diff .add code") == "+++ steal()"
        assert await page.inner_text(".card .diff .del code") == "--- old"
        asked.cancel()
