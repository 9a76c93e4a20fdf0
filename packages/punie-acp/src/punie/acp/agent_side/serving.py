"""Run an agent for one client, from the first byte to the last: on any transport, or on stdio.

Ends in bounded time, whatever a handler does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from punie.acp.agent_side.agent import Agent
from punie.acp.agent_side.client_proxy import ClientProxy
from punie.acp.agent_side.dispatch import AgentDispatcher, Served
from punie.acp.agent_side.dual import DualAgent, DualClientProxy, offer
from punie.acp.connection import Connection
from punie.acp.transports.base import Transport
from punie.acp.versions.negotiation import SUPPORTED

Offers: TypeAlias = dict[int, Callable[[], Served]]

log: logging.Logger = logging.getLogger("punie.acp")

_SETTLE_TIMEOUT = 0.1
"""Seconds in which requests may still be answered after the client closed its side."""
_CLOSE_TIMEOUT = 0.2
"""Seconds for `Agent.close`."""
_EXIT_TIMEOUT = 0.42
"""Seconds from the end of stdin, or a signal, to the end of the process."""


async def serve(make_agent: Callable[[ClientProxy], Agent], transport: Transport) -> None:
    """Serve an agent of version 1 to one client until the client is gone and everything stopped.

    At the end requests get a moment to finish, then they are cancelled, then `Agent.close` runs;
    all of it takes less than half a second, even when a handler hangs.

    Args:
        make_agent: Builds the agent for this client.
        transport: Opened and closed here.
    """
    offers: Offers = {}
    connection = Connection(transport, AgentDispatcher(offers))
    client = ClientProxy(connection)
    agent = make_agent(client)
    offers[1] = lambda: Served(agent, client)
    await _run(connection, agent)


async def serve_dual(
    make_agent: Callable[[DualClientProxy], DualAgent],
    transport: Transport,
    *,
    versions: tuple[int, ...] = SUPPORTED,
) -> None:
    """Serve an agent that is written once for both versions; it ends as `serve` does.

    Args:
        make_agent: Builds the agent for this client.
        transport: Opened and closed here.
        versions: Those that are offered, ascending.
    """
    offers: Offers = {}
    connection = Connection(transport, AgentDispatcher(offers))
    client = DualClientProxy()
    agent = make_agent(client)
    offers.update(
        (version, lambda v=version: offer(v, agent, client, connection)) for version in versions
    )
    await _run(connection, agent)


class _Closes(Protocol):
    async def close(self) -> None: ...


async def _run(connection: Connection, agent: _Closes) -> None:
    try:
        await connection.open()
        await connection.wait_closed()
        await connection.settle(_SETTLE_TIMEOUT)
    finally:
        await connection.stop()
        await _close(agent)
        await connection.aclose()


async def _close(agent: _Closes) -> None:
    closing = asyncio.get_running_loop().create_task(agent.close())
    # Not wait_for: it would wait for a `close` that swallows its cancellation.
    await asyncio.wait((closing,), timeout=_CLOSE_TIMEOUT)
    if not closing.done():
        log.error("the agent did not close within %s s", _CLOSE_TIMEOUT)
        closing.cancel()
    elif not closing.cancelled() and (error := closing.exception()) is not None:
        log.error("the agent failed to close", exc_info=error)


def serve_stdio(make_agent: Callable[[ClientProxy], Agent]) -> int:
    """Serve an agent of version 1 on stdin and stdout, as an editor starts it.

    Takes both for the protocol: whatever prints from now on prints to stderr. Ends at the end of
    stdin, at SIGTERM and at SIGINT; half a second later at most the process is gone, even when
    a thread or a handler hangs, so nothing should be done after this returns.

    Args:
        make_agent: Builds the agent.

    Returns:
        The exit code: 0, or 130 after SIGINT.
    """
    return _on_stdio(lambda transport: serve(make_agent, transport))


def serve_dual_stdio(
    make_agent: Callable[[DualClientProxy], DualAgent], *, versions: tuple[int, ...] = SUPPORTED
) -> int:
    """Serve an agent that is written once for both versions on stdio; see `serve_stdio`.

    Args:
        make_agent: Builds the agent.
        versions: Those that are offered, ascending.

    Returns:
        The exit code: 0, or 130 after SIGINT.
    """
    return _on_stdio(lambda transport: serve_dual(make_agent, transport, versions=versions))


def _on_stdio(serve_on: Callable[[Transport], Awaitable[None]]) -> int:
    from punie.acp.transports.stdio import StdioTransport, own_stdio

    exit_codes = [0]
    arm = _watchdog(exit_codes)

    class Stdio(StdioTransport):
        def stop_reading(self) -> None:
            arm()
            super().stop_reading()

    async def run() -> None:
        transport = Stdio(*own_stdio())
        loop = asyncio.get_running_loop()

        def stop(signum: int, _frame: object) -> None:
            exit_codes.append(130 if signum == signal.SIGINT else 0)
            arm()  # here too: the loop may be what hangs
            loop.call_soon_threadsafe(transport.stop_reading)

        # Not loop.add_signal_handler: that one waits for a loop which may be blocked.
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        await serve_on(transport)

    asyncio.run(run())
    return exit_codes[-1]


def _watchdog(exit_codes: list[int]) -> Callable[[], None]:
    """Make a function that ends this process soon after it is first called."""
    timer = threading.Timer(_EXIT_TIMEOUT, lambda: os._exit(exit_codes[-1]))
    timer.daemon = True
    armed: list[bool] = []

    def arm() -> None:
        if not armed:
            armed.append(True)
            timer.start()

    return arm
