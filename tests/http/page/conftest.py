"""Debian's Chromium, headless, on a page of a hub that really runs."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
async def browser() -> AsyncGenerator[Any, None]:
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        await launched.close()


class Faults(list[str]):
    """What a page complained about: the console's errors, and exceptions that nobody caught."""

    def watch(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda line: line.type == "error" and self.append(line.text))


@pytest.fixture
async def running(run_hub: Any) -> AsyncGenerator[Any, None]:
    """A hub that outlives the pages."""
    async with run_hub() as started:
        yield started


@pytest.fixture
async def page(browser: Any, running: Any) -> AsyncGenerator[Any, None]:
    """A page that must not complain."""
    faults = Faults()
    opened = await browser.new_page(viewport={"width": 1100, "height": 760})
    faults.watch(opened)
    yield opened
    await opened.close()
    assert faults == []
