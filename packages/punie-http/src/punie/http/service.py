"""The page from an agent's own event loop: `punie acp --http [HOST:]PORT`, for one window without a hub.

Entry point `http` of the group `punie.services`. The agent hands over a way to be its client; what
the page needs to keep is in a folder of its own that goes with the process, since the agent keeps
its sessions itself. stdout is the agent's protocol, so the link goes to stderr.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from punie.acp.transports.base import Transport
from punie.acp.transports.memory import pair
from punie.http.agents.fleet import Visitor
from punie.http.app import serving
from punie.http.config import Settings
from punie.http.errors import HubError, SettingError
from punie.http.hub import Hub, open_hub

NAME = "ide"
"""What the one agent is called."""


async def serve_beside(connect: Callable[[Transport], Awaitable[None]], *, address: str) -> None:
    """Serve the page until cancelled; when it cannot be served, say so and leave the agent alone.

    Args:
        connect: Makes the agent serve a transport, until it ends.
        address: Where to listen, `[HOST:]PORT`.
    """
    try:
        host, port = parse(address)
        # Made for this user alone, and removed at the end.
        with tempfile.TemporaryDirectory(prefix="punie-page-") as folder:
            settings = Settings(
                host=host,
                port=port,
                in_process=False,
                folder=Path.cwd(),
                database=Path(folder) / "hub.db",
                state=Path(folder) / "hub.json",
            )
            async with open_hub(settings) as hub, serving(hub) as where:
                click.echo(f"Punie's page: {where.link}", err=True)
                if settings.warning:
                    click.echo(settings.warning, err=True)
                await _attach(hub, connect)
    except HubError as error:
        click.echo(f"punie: no page: {error}", err=True)


async def _attach(hub: Hub, connect: Callable[[Transport], Awaitable[None]]) -> None:
    ours, theirs = pair()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.fleet.attach(ours, Visitor(name=NAME)))
        await connect(theirs)


def parse(address: str) -> tuple[str, int]:
    """Read `[HOST:]PORT`.

    Raises:
        SettingError: It is not of that form.

    Example:
        >>> parse("8765"), parse("[::1]:80")
        (('127.0.0.1', 8765), ('::1', 80))
    """
    host, _, port = address.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise SettingError(f"--http takes [HOST:]PORT, such as 8765, not {address!r}")
    return host.strip("[]") or "127.0.0.1", int(port)
