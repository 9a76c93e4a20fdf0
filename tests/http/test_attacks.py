"""Who must not get in does not: each test is an attack, on a hub that really listens."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from punie.http.auth import Bucket, Door, MisdirectedError
from punie.http.config import Settings
from punie.http.limits import Connections
from punie.http.sse import MAX_STREAMS

QUICK = {"head_timeout": 0.3, "most": 1000, "clock": time.monotonic}
"""Limits that a test need not wait long for."""


@pytest.fixture
async def browser(run_hub: Any) -> Any:
    """A browser that has opened the hub's link, and the hub."""
    async with (
        run_hub() as running,
        aiohttp.ClientSession(
            running.address.url, cookie_jar=aiohttp.CookieJar(unsafe=True)
        ) as session,
    ):
        async with session.get("/", params={"token": running.address.token}) as response:
            assert response.status == 200
        yield session, running


def same_origin(running: Any) -> dict[str, str]:
    return {"Origin": running.address.url}


async def test_the_page_itself_may_change_things(browser: Any) -> None:
    session, running = browser
    body = {"text": "hi"}
    async with session.post(
        "/api/sessions/1/prompts", json=body, headers=same_origin(running)
    ) as response:
        assert response.status == 404  # past the door: there is no session 1


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", None])
async def test_another_sites_page_cannot_change_anything(browser: Any, origin: str | None) -> None:
    session, _ = browser
    headers = {} if origin is None else {"Origin": origin}
    async with session.post("/api/sessions", json={}, headers=headers) as response:
        assert response.status == 403


async def test_another_sites_page_cannot_read_either(browser: Any) -> None:
    session, _ = browser
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with session.get("/api/overview", headers=headers) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_form_of_another_site_is_no_json(browser: Any) -> None:
    session, running = browser
    async with session.post(
        "/api/sessions", data={"cwd": "/"}, headers=same_origin(running)
    ) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "127.0.0.1:1", ""]
)
async def test_a_rebound_name_is_not_the_hub(run_hub: Any, host: str) -> None:
    async with run_hub() as running:
        for path in ("/", "/api/overview", "/static/app.js"):
            async with running.http.get(path, headers={"Host": host}) as response:
                assert response.status in {400, 421}


@pytest.mark.parametrize("path", ["/api/overview", "/api/events", "/api/openapi.json", "/"])
async def test_without_a_token_there_is_nothing_to_see(run_hub: Any, path: str) -> None:
    async with (
        run_hub() as running,
        aiohttp.ClientSession(running.address.url) as stranger,
        stranger.get(path) as response,
    ):
        assert response.status == 401
        assert running.address.token not in await response.text()


async def test_guessing_tokens_is_slowed_down(run_hub: Any) -> None:
    async with run_hub() as running, aiohttp.ClientSession(running.address.url) as stranger:
        statuses = []
        for guess in range(30):
            headers = {"Authorization": f"Bearer {guess}"}
            async with stranger.get("/api/overview", headers=headers) as response:
                statuses.append(response.status)
        assert statuses[0] == 401
        assert statuses[-1] == 429
        async with running.http.get("/api/overview") as response:
            assert response.status == 200  # who knows the token is not shut out


async def test_the_cookie_is_out_of_reach_and_is_not_the_token(run_hub: Any) -> None:
    async with run_hub() as running, aiohttp.ClientSession(running.address.url) as session:
        async with session.get(
            "/", params={"token": running.address.token}, allow_redirects=False
        ) as response:
            assert response.status == 303
            assert response.headers["Location"] == "/"
            cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert running.address.token not in cookie


async def test_nothing_but_the_hubs_own_files_can_be_a_script(browser: Any) -> None:
    session, _ = browser
    async with session.get("/") as response:
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "....//app.py", "app.js%00.css", ".css"]
)
async def test_no_file_but_the_pages_is_served(browser: Any, name: str) -> None:
    _, running = browser
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(running.address.url.rsplit(":", 1)[1])
    )
    host = running.address.url.removeprefix("http://")
    writer.write(
        f"GET /static/{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    assert b" 404 " in answer.split(b"\r\n")[0] or b" 401 " in answer.split(b"\r\n")[0]
    assert b"make_app" not in answer


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "outside"])
async def test_a_prompt_mentions_no_file_outside(
    run_hub: Any, settings: Settings, tmp_path: Path, path: str
) -> None:
    (settings.folder / "outside").symlink_to("/etc/passwd")
    async with run_hub() as running:
        session = await running.new_session()
        refused = await running.post(
            f"/api/sessions/{session}/prompts", {"text": "read it", "files": [path]}, status=400
        )
        assert "no file of the session" in refused["error"]


async def test_a_body_that_is_too_large_is_refused(run_hub: Any) -> None:
    async with run_hub() as running:
        body = b'{"cwd": "' + b"x" * 2_000_000 + b'"}'
        headers = {"Content-Type": "application/json"}
        async with running.http.post(
            "/api/sessions", data=io.BytesIO(body), headers=headers
        ) as response:
            assert response.status == 413


async def test_a_connection_that_never_asks_is_closed(
    run_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connections.__init__, "__kwdefaults__", QUICK)
    monkeypatch.setattr("punie.http.limits.SWEEP", 0.05)
    async with run_hub() as running:
        port = int(running.address.url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: 127")  # and never an end
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        async with running.http.get("/api/overview") as response:
            assert response.status == 200


async def test_a_body_that_does_not_come_is_given_up(
    run_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("punie.http.routes.bodies.BODY_TIMEOUT", 0.1)
    async with run_hub() as running:
        port = int(running.address.url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST /api/sessions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {running.address.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 30)
        writer.close()


async def test_of_too_many_connections_the_newest_are_closed(
    run_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connections.__init__, "__kwdefaults__", {**QUICK, "most": 3})
    monkeypatch.setattr("punie.http.limits.SWEEP", 0.05)
    async with run_hub() as running, running.http.get("/api/events") as first:
        port = int(running.address.url.rsplit(":", 1)[1])
        many = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        for reader, writer in many:
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 30)
            writer.close()
        assert b"retry" in await first.content.readline()


async def test_a_page_too_many_is_refused_and_the_others_go_on(run_hub: Any) -> None:
    async with run_hub() as running:
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"Authorization": f"Bearer {running.address.token}"}
        async with aiohttp.ClientSession(
            running.address.url, headers=headers, connector=connector
        ) as http:
            streams = [await http.get("/api/events") for _ in range(MAX_STREAMS)]
            async with http.get("/api/events") as response:
                assert response.status == 429
            streams.pop().close()
            assert {stream.status for stream in streams} == {200}
            for stream in streams:
                stream.close()


async def test_changes_have_a_rate(run_hub: Any) -> None:
    async with run_hub() as running:
        statuses = set()
        for _ in range(230):
            async with running.http.delete("/api/sessions/99/prompts/x") as response:
                statuses.add(response.status)
        assert statuses == {404, 429}


def test_a_bucket_fills_up_again() -> None:
    now = [0.0]
    bucket = Bucket(rate=2.0, burst=2, clock=lambda: now[0])
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("host", "fine"),
    [("192.168.0.7:80", True), ("[fe80::1]:80", True), ("evil.example:80", False)],
)
def test_on_all_addresses_a_number_is_the_hub_and_a_name_is_not(host: str, fine: bool) -> None:
    door = Door("token", host="0.0.0.0", port=80)
    with nullcontext() if fine else pytest.raises(MisdirectedError):
        door.check_host(host)


@pytest.mark.parametrize("nonce", ["", "xy", "0" * 31, "0" * 129, "A" * 64])
async def test_the_hub_proves_nothing_about_what_others_choose(run_hub: Any, nonce: str) -> None:
    """A nonce is a number; no text that the token might be asked to sign elsewhere."""
    async with (
        run_hub() as running,
        aiohttp.ClientSession(running.address.url) as stranger,
        stranger.get("/proof", params={"nonce": nonce}) as response,
    ):
        assert response.status == 400
        assert running.address.token not in await response.text()


async def test_a_proof_is_no_token_and_no_cookie(run_hub: Any) -> None:
    async with run_hub() as running, aiohttp.ClientSession(running.address.url) as stranger:
        async with stranger.get("/proof", params={"nonce": "0" * 64}) as response:
            proof = (await response.json())["proof"]
        headers = {"Authorization": f"Bearer {proof}"}
        async with stranger.get("/api/overview", headers=headers) as response:
            assert response.status == 401
