"""The page from an agent's own event loop."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import pytest

from punie.http.errors import SettingError
from punie.http.service import parse, serve_beside
from punie.http.testing import Puppet


async def test_the_page_shows_the_sessions_of_its_agent(capsys: pytest.CaptureFixture[str]) -> None:
    up = asyncio.Event()

    async def connect(transport: Any) -> None:
        puppet = Puppet(transport)
        await puppet.start("s1")
        await puppet.joined["s1"].wait()
        up.set()
        await puppet.gone.wait()

    serving = asyncio.ensure_future(serve_beside(connect, address="0"))
    await asyncio.wait_for(up.wait(), 30)
    told = capsys.readouterr()
    assert told.out == ""  # stdout is the agent's
    link = re.search(r"(http://\S+)/\?token=(\S+)", told.err)
    assert link is not None
    headers = {"Authorization": f"Bearer {link[2]}"}
    async with (
        aiohttp.ClientSession(link[1], headers=headers) as http,
        http.get("/api/overview") as response,
    ):
        (session,) = (await response.json())["sessions"]
    assert (session["agent"], session["session_id"]) == ("ide", "s1")
    serving.cancel()
    await asyncio.wait([serving])


async def test_a_page_that_cannot_be_served_leaves_the_agent_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def connect(transport: Any) -> None:
        raise AssertionError("nobody connects")

    await serve_beside(connect, address="nowhere")
    assert "--http takes [HOST:]PORT" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["", "x", "1:x", "70000", "-1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingError):
        parse(address)
