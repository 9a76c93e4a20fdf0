"""Start an agent as a child process and talk to it on its stdin and stdout.

The child leads a process group of its own; when the connection ends it is asked to go by the end
of its stdin, then by SIGTERM, then by SIGKILL, and the group goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from punie.acp.client_side import AgentProxy, Client, connect
from punie.acp.errors import AgentStartError
from punie.acp.transports.base import Transport
from punie.acp.transports.stdio import StdioTransport

if TYPE_CHECKING:
    from punie.acp.client_side.dual import DualAgentProxy, DualClient


@asynccontextmanager
async def start_agent(
    argv: Sequence[str],
    client: Client,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] | None = None,
    grace: float = 1.0,
    wrap: Callable[[Transport], Transport] | None = None,
) -> AsyncGenerator[AgentProxy, None]:
    """Start an agent and connect a client to it, with protocol version 1.

    Args:
        argv: Program and arguments.
        client: Serves what the agent asks.
        cwd: Where it runs; here by default.
        env: Its whole environment; this process's by default.
        stderr: Where its log goes; to this process's stderr by default.
        grace: Seconds between the end of its stdin and SIGTERM, and again until SIGKILL.
        wrap: Puts something around the transport, such as a `TracedTransport` that records.

    Raises:
        AgentStartError: The program cannot be started.
    """
    child = start_child(argv, cwd=cwd, env=env, stderr=stderr, grace=grace)
    async with child as pipes, connect(client, wrap(pipes) if wrap else pipes) as agent:
        yield agent


@asynccontextmanager
async def start_dual_agent(
    argv: Sequence[str],
    client: DualClient,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] | None = None,
    grace: float = 1.0,
    wrap: Callable[[Transport], Transport] | None = None,
) -> AsyncGenerator[DualAgentProxy, None]:
    """Start an agent of either protocol version and connect a client to it.

    Args:
        argv: Program and arguments.
        client: Serves what the agent asks.
        cwd: As for `start_agent`, and so are the others.
        env: Its whole environment.
        stderr: Where its log goes.
        grace: Seconds between the end of its stdin and SIGTERM, and again until SIGKILL.
        wrap: Puts something around the transport.

    Raises:
        AgentStartError: The program cannot be started.
    """
    from punie.acp.client_side.dual import connect_dual

    child = start_child(argv, cwd=cwd, env=env, stderr=stderr, grace=grace)
    async with child as pipes, connect_dual(client, wrap(pipes) if wrap else pipes) as agent:
        yield agent


@asynccontextmanager
async def start_child(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] | None = None,
    grace: float = 1.0,
) -> AsyncGenerator[StdioTransport, None]:
    """Start a program whose stdin and stdout are a transport; leaving ends it and its group.

    Args:
        argv: Program and arguments.
        cwd: As for `start_agent`, and so are the others.
        env: Its whole environment.
        stderr: Where its log goes.
        grace: Seconds between the end of its stdin and SIGTERM, and again until SIGKILL.

    Raises:
        AgentStartError: The program cannot be started.
    """
    child_in, to_child = os.pipe()
    from_child, child_out = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=child_in,
            stdout=child_out,
            stderr=stderr,
            cwd=cwd,
            env=env,
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        os.close(to_child)
        os.close(from_child)
        raise AgentStartError(argv[0], error.strerror or str(error)) from error
    finally:
        os.close(child_in)
        os.close(child_out)
    try:
        yield StdioTransport(from_child, to_child)
    finally:
        # A cancelled caller still waits for this: a child must not outlive its connection.
        await asyncio.shield(_end(process, grace=grace))


async def _end(process: Process, *, grace: float) -> None:
    """Wait for the child to go, with more and more force."""
    for force in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            _signal(process, force)
        else:
            break
    await process.wait()
    # What the child left behind in its group.
    _signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal(process: Process, force: int) -> None:
    if sys.platform == "win32":
        process.terminate()
    else:
        _signal_group(process, force)


def _signal_group(process: Process, force: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, force)
