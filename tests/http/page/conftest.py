"""Debian's Chromium, headless, on a page of a hub that really runs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from punie.acp.transports.memory import pair
from punie.http.agents.fleet import Visitor
from punie.http.testing import Puppet

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the network is off
)
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

OpenPage = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Any, None]:
    """One browser for all tests of a module; each page has a profile of its own."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        await launched.close()


class Faults(list[str]):
    """What pages complained about and what they wanted from elsewhere.

    The console's errors (among them all that the content security policy stopped), exceptions that
    nobody caught, dialogs, and requests to any other place than the hub.
    """

    def watch(self, page: Any, home: str, *, refused: str) -> None:
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda line: line.type == "error" and self._logged(line.text, refused))
        page.on("dialog", lambda dialog: self.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: self._requested(request.url, home))

    def _logged(self, text: str, refused: str) -> None:
        """Chromium logs each request that is refused, also where a test wants that."""
        if not refused or refused not in text:
            self.append(text)

    def _requested(self, url: str, home: str) -> None:
        if not url.startswith((f"{home}/", "data:")):
            self.append(f"a request to {url}")


@pytest.fixture
async def running(run_hub: Any) -> AsyncGenerator[Any, None]:
    """A hub that outlives the pages."""
    async with run_hub() as started:
        yield started


@pytest.fixture
async def open_page(browser: Any, running: Any) -> AsyncGenerator[OpenPage, None]:
    """Opens the hub's page in a browser of its own; none of them may complain."""
    faults = Faults()
    contexts: list[Any] = []

    async def opened(
        *, at: str = "", script: str = "", size: Any = DESKTOP, refused: str = "", **more: Any
    ) -> Any:
        context = await browser.new_context(viewport=size, **more)
        contexts.append(context)
        if script:
            await context.add_init_script(script)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        faults.watch(page, running.address.url, refused=refused)
        await page.goto(running.address.link)
        if at:
            await page.goto(f"{running.address.url}/{at}")
        await page.wait_for_selector("#connection.live")
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert list(faults) == []


@pytest.fixture
async def page(open_page: OpenPage) -> Any:
    return await open_page()


@pytest.fixture
def attached(running: Any) -> Any:
    """Puppets whose sessions the hub has joined."""

    @asynccontextmanager
    async def attach(
        *sessions: str, name: str = "ide", **more: Any
    ) -> AsyncGenerator[Puppet, None]:
        ours, theirs = pair()
        puppet = Puppet(theirs, **more)
        await puppet.start(*sessions)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(running.hub.fleet.attach(ours, Visitor(name=name)))
            await running.until("", lambda message: is_ready(message, name))
            yield puppet
            await puppet.aclose()

    return attach


def is_ready(message: Any, name: str) -> bool:
    """Whether an agent has been taken over with all its sessions."""
    told = message.data["agents"] if message.name == "overview" else [message.data]
    return message.name in {"overview", "agent"} and any(
        one["name"] == name and one["condition"] == "ready" for one in told
    )


@pytest.fixture
def key_of(running: Any) -> Callable[[str], int]:
    """The number under which the hub knows a session."""
    return lambda session_id: next(
        one.key for one in running.hub.sessions.all() if one.session_id == session_id
    )


@pytest.fixture
def project(settings: Any) -> Path:
    return settings.folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", help="where the documentation's pictures of the page go")
