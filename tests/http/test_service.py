"""The page from an agent's own event loop."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from punie.acp.process import start_agent
from punie.acp.schema import v1
from punie.acp.testing import INITIALIZE, RecordingClient
from punie.agent.cli.acp import acp
from punie.http.errors import SettingError
from punie.http.service import parse, serve_beside
from punie.http.testing import Puppet

LINK = re.compile(r"(http://\S+)/\?token=(\S+)")


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
    link = LINK.search(told.err)
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


async def test_punie_acp_serves_the_page_of_its_editors_sessions(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    log = tmp_path / "stderr"
    argv = (sys.executable, "-m", "punie", "acp", "--model", "test", "--no-attach", "--http", "0")
    with log.open("wb") as stderr:
        async with start_agent(argv, RecordingClient(), stderr=stderr) as agent:
            await agent.initialize(INITIALIZE)
            cwd = str(tmp_path / "project")
            session = await agent.new_session(v1.NewSessionRequest(cwd=cwd, mcp_servers=[]))
            url, token = await told_link(log)
            headers = {"Authorization": f"Bearer {token}"}
            async with aiohttp.ClientSession(url, headers=headers) as http:
                async with http.get("/api/events") as response, asyncio.timeout(30):
                    async for line in response.content:
                        if session.session_id.encode() in line:
                            break
                prompt = [v1.TextContent(text="hello")]
                turn = v1.PromptRequest(session_id=session.session_id, prompt=prompt)
                await agent.prompt(turn)
                async with http.get("/api/events?session=all&after=0") as response:
                    async with asyncio.timeout(30):
                        async for line in response.content:
                            if b"Hello from Punie" in line:
                                break


async def told_link(log: Path) -> tuple[str, str]:
    """The link on stderr, once it is there."""
    async with asyncio.timeout(60):
        while True:
            found = LINK.search(await asyncio.to_thread(log.read_text))
            if found is not None:
                return found[1], found[2]
            await asyncio.sleep(0.05)


async def test_without_the_hub_the_option_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("punie.agent.acp.services.find", lambda name: None)
    ran = CliRunner().invoke(acp, ["--http", "0"])
    assert ran.exit_code == 2
    assert "pip install punie-http" in ran.output
