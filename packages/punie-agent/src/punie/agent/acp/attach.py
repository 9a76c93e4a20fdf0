"""Attaches the sessions of an agent that an editor started to the hub that runs on this machine, if one does.

The hub's state file tells where it listens. The agent dials it and is an agent there too, for the same
sessions: who dialled decides nothing about roles. A hub that is lost or comes later is dialled again
with growing pauses. Nothing here reaches the editor: what goes wrong is logged.

The file is the hub's (`punie.http.config`), which this package does not import; a test holds the two
together.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from punie.acp.agent_side import serve_dual
from punie.acp.errors import AcpError
from punie.agent.acp.agent import PunieAgent

if TYPE_CHECKING:
    from punie.acp.transports.base import Transport
    from punie.agent.acp.host import Host

log = logging.getLogger(__name__)

FILE = "hub.json"
"""The state file's name in the folder of Punie's state."""
PATH = "/agents"
"""Where a hub lets agents in."""
LOOK = 3.0
"""Seconds between two looks for a hub."""
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

    @property
    def endpoint(self) -> str:
        """The URL of the WebSocket on which agents dial in."""
        return f"ws{self.url.removeprefix('http').rstrip('/')}{PATH}"


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


async def keep_attached(host: Host, file: Path) -> None:
    """Attach to the hub whenever there is one; ends when it is cancelled.

    Args:
        host: Has the sessions; it is not closed here.
        file: The hub's state file.
    """
    pause = LOOK
    while True:
        hub = await asyncio.to_thread(find_hub, file)
        if hub is not None:
            try:
                async with _dialled(hub) as transport:
                    log.info("attached to the hub at %s", hub.url)
                    pause = LOOK
                    await serve_dual(
                        lambda client: PunieAgent(client, lambda: host, shared=True), transport
                    )
            except ModuleNotFoundError as error:
                log.warning("not attached to the hub at %s: %s", hub.url, error)
                return
            except AcpError as error:
                log.info("not attached to the hub: %s", error)
                pause = min(2 * pause, SLOWEST)
        await asyncio.sleep(pause)


@asynccontextmanager
async def _dialled(hub: Hub) -> AsyncGenerator[Transport]:
    module = "punie.acp.transports.websocket"
    websocket = await asyncio.to_thread(importlib.import_module, module)
    transport = await websocket.dial(hub.endpoint, headers={"Authorization": f"Bearer {hub.token}"})
    try:
        yield transport
    finally:
        await transport.aclose()


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
