"""Who looks elsewhere is told that somebody needs them, and no longer when that is over.

The desktop is the edge: what a notification does there is not seen, that it is made and closed is.
"""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import expect

DESKTOP = """
window.shown = [];
window.Notification = class {
    static permission = 'granted';
    constructor(title, { body, tag }) { Object.assign(this, { title, body, tag }); shown.push(this); tell(); }
    close() { this.closed = true; tell(); }
};
const tell = () => {
    const open = shown.filter((one) => !one.closed).map((one) => one.title);
    document.documentElement.dataset.open = open.join();
};
document.hasFocus = () => window.looking === true;
"""


async def test_an_approval_is_told_and_cleared_when_it_is_answered_elsewhere(
    open_page: Any, attached: Any
) -> None:
    async with attached("s1") as puppet:
        page = await open_page(script=DESKTOP)
        asked = asyncio.ensure_future(puppet.ask("s1", "May I?"))
        await page.wait_for_selector("html[data-open='May I?']")
        await expect(page).to_have_title("(1) Punie")
        asked.cancel()
        await page.wait_for_selector("html[data-open='']")
        await expect(page).to_have_title("Punie")


async def test_a_click_on_it_leads_to_the_session(
    open_page: Any, attached: Any, key_of: Any
) -> None:
    async with attached("s1") as puppet:
        page = await open_page(script=DESKTOP)
        asked = asyncio.ensure_future(puppet.ask("s1", "May I?"))
        await page.wait_for_selector("html[data-open='May I?']")
        await page.evaluate("shown[0].onclick()")
        await page.wait_for_selector(".session .card >> text=May I?")
        assert await page.evaluate("location.hash") == f"#/s/{key_of('s1')}"
        asked.cancel()


async def test_what_is_asked_in_the_ide_alone_is_told(open_page: Any, attached: Any) -> None:
    async with attached("s1") as puppet:
        page = await open_page(script=DESKTOP)
        puppet.tell("s1", sessionUpdate="session_info_update", title="Fix it")
        puppet.become("s1", "requires_action")
        await page.wait_for_selector("html[data-open='Fix it']")
        puppet.become("s1", "running")
        await page.wait_for_selector("html[data-open='']")


async def test_nobody_is_told_of_what_they_look_at_or_knew(open_page: Any, attached: Any) -> None:
    async with attached("s1", "s2") as puppet:
        known = asyncio.ensure_future(puppet.ask("s1", "Asked before"))
        first = await open_page()
        await first.wait_for_selector(".card")
        page = await open_page(script=DESKTOP)
        await page.wait_for_selector(".card >> text=Asked before")
        await page.evaluate("window.looking = true")
        seen = asyncio.ensure_future(puppet.ask("s2", "Seen"))
        await page.wait_for_selector(".card >> text=Seen")
        assert await page.evaluate("shown.length") == 0
        known.cancel()
        seen.cancel()


async def test_chromium_takes_them(open_page: Any, attached: Any) -> None:
    """A real notification, by a real permission; whether somebody looks is stubbed."""
    async with attached("s1") as puppet:
        page = await open_page(
            permissions=["notifications"],
            script="""
                document.hasFocus = () => false;
                const real = Notification;
                const tell = (name) => { document.documentElement.dataset.last = name; };
                window.Notification = class extends real {
                    constructor(...told) { super(...told); this.addEventListener('show', () => tell('shown')); }
                    close() { super.close(); tell('closed'); }
                };
            """,
        )
        asked = asyncio.ensure_future(puppet.ask("s1", "May I?"))
        await page.wait_for_selector("html[data-last=shown]")
        asked.cancel()
        await page.wait_for_selector("html[data-last=closed]")
