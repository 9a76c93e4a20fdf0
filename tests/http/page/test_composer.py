"""Where a person writes to a session: what is completed, and what is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

WRITE = ".composer textarea"
CHOOSER = ".config label:has-text('Mode ') select >> nth=0"


@pytest.fixture
async def session(running: Any, project: Path) -> int:
    (project / "shop").mkdir()
    for name in ("cart.py", "card.py"):
        (project / "shop" / name).write_text("")
    return await running.new_session()


async def test_a_command_is_completed(open_page: Any, session: int) -> None:
    page = await open_page(at=f"#/s/{session}")
    await page.locator(WRITE).press_sequentially("/")
    first = await page.inner_text(".offers li >> nth=0")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Tab")
    await page.wait_for_selector(".offers", state="hidden")
    assert first.startswith((await page.input_value(WRITE)).strip())


async def test_a_mentioned_file_goes_along(open_page: Any, session: int, running: Any) -> None:
    page = await open_page(at=f"#/s/{session}")
    await page.locator(WRITE).press_sequentially("look at @car")
    await page.wait_for_selector(".offers li >> nth=1")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator(WRITE)).to_have_value("look at @shop/cart.py ")
    async with page.expect_request("**/prompts") as sent:
        await page.keyboard.press("Enter")
    assert (await sent.value).post_data_json == {
        "text": "look at @shop/cart.py ",
        "files": ["shop/cart.py"],
        "when": "next",
    }
    await page.wait_for_selector(".item.user >> text=look at @shop/cart.py")


async def test_the_mode_is_chosen_and_the_other_browser_shows_it(
    open_page: Any, session: int
) -> None:
    page = await open_page(at=f"#/s/{session}")
    other = await open_page(at=f"#/s/{session}")
    chooser = page.locator(CHOOSER)
    values = await chooser.locator("option").evaluate_all("(all) => all.map((one) => one.value)")
    before = await chooser.input_value()
    chosen = next(value for value in values if value != before)
    await chooser.select_option(chosen)
    await expect(other.locator(CHOOSER)).to_have_value(chosen)


async def test_a_prompt_that_is_refused_is_not_lost(open_page: Any, session: int) -> None:
    page = await open_page(at=f"#/s/{session}", refused="400 (Bad Request)")
    # What the page does not do: name a file outside of the folder.
    await page.route(
        "**/prompts",
        lambda route: route.continue_(post_data='{"text": "x", "files": ["../../etc/passwd"]}'),
    )
    await page.fill(WRITE, "my long prompt")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#said >> text=no file of the session's folder")
    await expect(page.locator(WRITE)).to_have_value("my long prompt")
