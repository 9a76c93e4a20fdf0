"""What runs beside an agent in its event loop: the entry point group `punie.services`.

A service is an async function `run(connect, *, address)`; `connect(transport)` makes it one more
client of the agent, which has the sessions of all clients. The page of `--http` is one.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from punie.acp.agent_side import serve_dual
from punie.acp.transports.base import Transport
from punie.agent.acp.agent import PunieAgent

if TYPE_CHECKING:
    from punie.agent.acp.host import Host

GROUP = "punie.services"


def find(name: str) -> EntryPoint | None:
    """The service of this name, if a distribution that is installed brings one; nothing is loaded."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


async def run(service: EntryPoint, host: Host, *, address: str) -> None:
    """Run a service until it is cancelled.

    Args:
        service: From `find`.
        host: Has the sessions; it is not closed here.
        address: Where the service listens, as it takes it.
    """

    async def connect(transport: Transport) -> None:
        await serve_dual(lambda client: PunieAgent(client, lambda: host, shared=True), transport)

    serve = await asyncio.to_thread(service.load)
    await serve(connect, address=address)
