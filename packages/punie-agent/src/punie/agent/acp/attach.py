"""Attaches the sessions of an agent that an editor started to the hub that runs on this machine, if one does.

The hub's state file tells where it listens. The agent dials it and is an agent there too, for the same
sessions: who dialled decides nothing about roles. A hub that is lost or comes later is dialled again
at once; one that does not let us in, with growing pauses. Nothing here reaches the editor: what goes wrong is
logged.

The token goes to nobody but the hub: whoever listens proves first that it knows the token, each time that a
connection is made. A file of a dead hub can name a port that somebody else has taken since.

The file is the hub's (`punie.http.config`), which this package does not import; a test holds the two
together.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import importlib
import logging
import os
import secrets
import stat
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from punie.acp.agent_side import serve_dual
from punie.acp.errors import AcpError, DialError
from punie.agent.acp.agent import PunieAgent

if TYPE_CHECKING:
    from punie.acp.transports.base import Transport
    from punie.agent.acp.host import Host

log = logging.getLogger(__name__)

FILE = "hub.json"
"""The state file's name in the folder of Punie's state."""
PATH = "/agents"
"""Where a hub lets agents in."""
NAME = "ide"
"""Under what a hub keeps the sessions of all agents that editors started: they share one store."""
LOOK = 0.5
"""Seconds between two looks for a hub."""
STEADY = 5.0
"""Seconds that an attachment must have lasted to be made anew at once."""
RESUME = 3.0
"""Seconds for which a lost socket is replaced, as long as a hub waits for it."""
ANSWER = 5.0
"""Seconds in which a hub proves itself."""
SLOWEST = 30.0
"""Seconds between two attempts to dial a hub that does not let us in."""


class Hub(Struct, frozen=True, kw_only=True):
    """A hub that runs on this machine."""

    url: str
    """Such as `http://127.0.0.1:8765`."""
    token: str
    """What a caller presents; never logged."""
    pid: int

    def __repr__(self) -> str:
        return f"Hub(url={self.url!r}, token='[redacted]', pid={self.pid})"

    def endpoint(self, **told: str) -> str:
        """The URL of the WebSocket on which agents dial in.

        Args:
            told: What the hub is told of who dials in.
        """
        query = urlencode({name: value for name, value in told.items() if value})
        return f"ws{self.url.removeprefix('http').rstrip('/')}{PATH}?{query}"


def find_hub(file: Path) -> Hub | None:
    """Find the hub that runs on this machine.

    Args:
        file: Its state file.

    Returns:
        The hub; `None` when there is none, or its file is not the person's own and theirs alone.
    """
    try:
        with file.open("rb") as opened:
            if not _is_private(os.fstat(opened.fileno())):
                log.warning("%s is not used: others can read or write it", file)
                return None
            hub = msgspec.json.decode(opened.read(), type=Hub)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("%s cannot be read: %s", file, error)
        return None
    return hub if _runs(hub.pid) else None


async def keep_attached(host: Host, file: Path, *, client: str = "") -> None:
    """Attach to the hub whenever there is one; ends when it is cancelled.

    Args:
        host: Has the sessions; it is not closed here.
        file: The hub's state file.
        client: What the editor calls itself.
    """
    here = secrets.token_hex(8)
    refused, again, pause = None, 0.0, LOOK
    while True:
        hub = await asyncio.to_thread(find_hub, file)
        if hub is not None and (hub != refused or time.monotonic() >= again):
            began = time.monotonic()
            try:
                told = {"name": NAME, "id": here, "client": client[:100], "project": _project(host)}
                async with _dialled(hub, told) as transport:
                    log.info("attached to the hub at %s", hub.url)
                    await serve_dual(
                        lambda proxy: PunieAgent(proxy, lambda: host, shared=True), transport
                    )
            except ModuleNotFoundError as error:
                log.warning("not attached to the hub at %s: %s", hub.url, error)
                return
            except AcpError as error:
                log.info("not attached to the hub: %s", error)
            if hub != refused or time.monotonic() - began > STEADY:
                pause = LOOK
            refused, again = hub, time.monotonic() + pause
            pause = min(2 * pause, SLOWEST)
        await asyncio.sleep(LOOK)


@asynccontextmanager
async def _dialled(hub: Hub, told: dict[str, str]) -> AsyncGenerator[Transport]:
    async def headers() -> dict[str, str]:
        await asyncio.to_thread(require_hub, hub)
        return {"Authorization": f"Bearer {hub.token}"}

    module = "punie.acp.transports.websocket"
    websocket = await asyncio.to_thread(importlib.import_module, module)
    transport = await websocket.dial(hub.endpoint(**told), headers=headers, give_up=RESUME)
    try:
        yield transport
    finally:
        await transport.aclose()


def require_hub(hub: Hub) -> None:
    """Make sure that a hub listens where its file says, without telling the token.

    Raises:
        DialError: Somebody else does.
        OSError: Nobody does.
    """
    place = urlsplit(hub.url)
    nonce = secrets.token_hex(32)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=ANSWER)
    try:
        connection.request("GET", f"/proof?nonce={nonce}")
        answer = connection.getresponse().read(10_000)
        told = msgspec.json.decode(answer, type=_Proof).proof
    except (HTTPException, msgspec.DecodeError):
        told = ""
    finally:
        connection.close()
    asked = f"punie hub\n{hub.url}\n{nonce}"
    expected = hmac.new(hub.token.encode(), asked.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(told.encode(), expected.encode()):
        raise DialError(hub.url, "who listens there does not prove to be the hub")


class _Proof(Struct, frozen=True):
    """What a hub answers."""

    proof: str


def _project(host: Host) -> str:
    """The folder that the editor works on: that of its first session."""
    first = next(iter(host.sessions), None)
    return "" if first is None else str(first.workspace.root)


def _is_private(status: os.stat_result) -> bool:
    if os.name != "posix":
        return True
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 would end the process on Windows
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return False  # somebody else's process took the number: the hub was of the file's owner
    return True
