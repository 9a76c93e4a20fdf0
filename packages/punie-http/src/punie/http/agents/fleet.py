"""All agents of the hub: which there are, how they are, and keeping those alive that the hub runs.

An agent is whoever is behind a transport. One that the hub runs itself is started again when it
ends, after a pause that grows; one that dialled in is gone when its connection is.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
import structlog
from msgspec import Meta, Struct

from punie.acp.errors import AcpError
from punie.acp.schema import v2
from punie.acp.transports.base import Transport
from punie.http.agents.link import Link
from punie.http.errors import ApiError, ConflictError, NotFoundError
from punie.http.inbox import Inbox
from punie.http.sessions.registry import Sessions
from punie.http.sse import Feed, state_frame
from punie.http.store.base import SessionKey

log = structlog.get_logger()

Kind: TypeAlias = Literal["in_process", "command", "dialled"]
Condition: TypeAlias = Literal["starting", "ready", "waiting", "gone"]
"""`waiting`: it ended and will be started again. `gone`: it dialled in once."""
OpenTransport: TypeAlias = Callable[[], AbstractAsyncContextManager[Transport]]

FIRST_PAUSE = 0.2
"""Seconds until an agent that ended is started again."""
LONGEST_PAUSE = 30.0
STEADY = 30.0
"""Seconds that an agent must have run for the pause to be short again."""
MAX_DIALLED = 500
"""Agents that may be dialled in at the same time."""


DIALLED = "ide"
"""What agents that dial in are called: mostly an IDE started them."""


class Visitor(Struct, frozen=True, kw_only=True):
    """Who dials in, as it says itself: the query of `/agents`."""

    name: Annotated[str, Meta(pattern=r"^[\w.-]{0,40}$")] = ""
    """Under what its sessions are kept. Agents that share one store of sessions give the same; without
    one they are kept apart from those of all others that are there."""
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{0,64}$")] = ""
    """Its process, so that it has the same name in the hub when it comes back."""
    client: Annotated[str, Meta(max_length=100)] = ""
    """Whose agent it is, such as `PyCharm 2026.1`."""
    project: Annotated[str, Meta(max_length=1000)] = ""
    """The folder that is worked on there."""


_NOBODY = Visitor()

SHOWN = 6
"""Digits of a process's id in its agent's name."""


class AgentView(Struct, frozen=True, kw_only=True):
    """An agent in the overview. The field names are those of the API."""

    name: str
    kind: Kind
    condition: Condition
    title: str = ""
    """What it calls itself."""
    version: str = ""
    client: str = ""
    """Of one that dialled in: the program that started it, such as an IDE."""
    project: str = ""
    """The folder that is worked on there."""
    problem: str = ""
    """Why it is not there."""
    restarts: int = 0


class _Agent:
    def __init__(self, name: str, kind: Kind, link: Link, visitor: Visitor) -> None:
        self.name = name
        self.visitor = visitor
        self.leave = asyncio.Event()
        self.left = asyncio.Event()
        self.kind: Kind = kind
        self.link = link
        self.condition: Condition = "starting"
        self.problem = ""
        self.restarts = 0
        self.restart = asyncio.Event()

    def view(self) -> AgentView:
        info = self.link.info
        return AgentView(
            name=self.name,
            kind=self.kind,
            condition=self.condition,
            title="" if info is None else info.title or info.name,
            version="" if info is None else info.version,
            client=self.visitor.client,
            project=self.visitor.project,
            problem=self.problem,
            restarts=self.restarts,
        )


class Fleet:
    """See the module. One per hub.

    Args:
        sessions: Where updates go.
        inbox: Where questions go.
        feed: Tells pages how agents are.
        tasks: Runs the agents; cancelled when the hub stops.
    """

    def __init__(
        self, sessions: Sessions, inbox: Inbox, feed: Feed, *, tasks: asyncio.TaskGroup
    ) -> None:
        self._sessions = sessions
        self._inbox = inbox
        self._feed = feed
        self._tasks = tasks
        self._agents: dict[str, _Agent] = {}
        self._supervised: list[asyncio.Task[None]] = []

    def views(self) -> list[AgentView]:
        """All agents: the hub's own first, then those that dialled in."""
        return [agent.view() for agent in self._agents.values()]

    def link(self, name: str | None) -> Link:
        """The connection to an agent that can be used.

        Args:
            name: Its name; the first one that is ready by default.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It is not ready.
        """
        if name is None:
            ready = [one for one in self._agents.values() if one.condition == "ready"]
            own = [one for one in ready if one.kind != "dialled"]
            if not ready:
                raise ConflictError("no agent is ready: start one with --agent NAME=COMMAND")
            return (own or ready)[0].link
        agent = self._agents.get(name)
        if agent is None:
            raise NotFoundError(f"there is no agent {name!r}")
        if agent.condition != "ready":
            raise ConflictError(f"the agent {name} is not ready: {agent.problem or 'it starts'}")
        return agent.link

    async def new_session(
        self, name: str | None, cwd: str, *, servers: Sequence[v2.McpServer] = ()
    ) -> SessionKey:
        """Open a session.

        Args:
            name: The agent's; the first one that is ready by default.
            cwd: An absolute, existing folder.
            servers: MCP servers that it may use.

        Raises:
            ApiError: The folder is none, or the agent refuses.
            NotFoundError: There is no such agent.
            ConflictError: It is not ready.
        """
        folder = Path(cwd)
        if not folder.is_absolute() or not await asyncio.to_thread(folder.is_dir):
            raise ApiError(f"a session needs an absolute, existing folder, not {cwd!r}")
        return await self.link(name).new_session(cwd, servers=servers)

    def restart(self, name: str) -> None:
        """Start an agent now that waits to be started again; it is forgotten what went wrong.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: It runs, or it is not the hub's to start.
        """
        agent = self._agents.get(name)
        if agent is None:
            raise NotFoundError(f"there is no agent {name!r}")
        if agent.condition != "waiting":
            raise ConflictError(f"the agent {name} is {agent.condition}: there is nothing to start")
        agent.restart.set()

    def supervise(self, name: str, kind: Kind, open_transport: OpenTransport) -> None:
        """Run an agent until the hub stops.

        Args:
            name: Its name in the hub.
            kind: How it runs.
            open_transport: Starts it and connects to it; leaving ends it.
        """
        agent = self._add(name, kind, joins=False, home=name)
        self._supervised.append(self._tasks.create_task(self._supervise(agent, open_transport)))

    def stop(self) -> None:
        """End the agents that the hub runs."""
        for task in self._supervised:
            task.cancel()

    async def attach(self, transport: Transport, visitor: Visitor) -> None:
        """Talk to an agent that dialled in, until it is gone.

        Args:
            transport: Opened and closed here.
            visitor: Who it is. One that is here already and comes again takes its own place.

        Raises:
            ConflictError: There are too many, or an agent of the hub has its name.
        """
        dialled = [one for one in self._agents.values() if one.kind == "dialled"]
        if len(dialled) >= MAX_DIALLED:
            raise ConflictError(f"{MAX_DIALLED} agents are dialled in: that is the limit")
        taken = self._agents.get(visitor.name)
        if taken is not None and taken.kind != "dialled":
            raise ConflictError(f"an agent of the hub is called {visitor.name}")
        if visitor.id:
            name = f"{visitor.name or DIALLED}-{visitor.id[:SHOWN]}"
            before = self._agents.get(name)
            if before is not None and before.visitor.id == visitor.id:
                before.leave.set()
                await before.left.wait()
        else:
            name = visitor.name or DIALLED
        name = self._unique(name)
        agent = self._add(name, "dialled", joins=True, home=visitor.name or name, visitor=visitor)
        leaving = asyncio.create_task(_leave(agent, transport))
        try:
            await self._run(agent, transport)
        finally:
            leaving.cancel()
            self._become(agent, "gone")
            del self._agents[agent.name]
            agent.left.set()

    def _add(
        self, name: str, kind: Kind, *, joins: bool, home: str, visitor: Visitor = _NOBODY
    ) -> _Agent:
        link = Link(home, self._sessions, self._inbox, joins=joins, client=visitor.client)
        agent = self._agents[name] = _Agent(name, kind, link, visitor)
        self._tell(agent)
        return agent

    def _unique(self, name: str) -> str:
        chosen, count = name, 1
        while chosen in self._agents:
            count += 1
            chosen = f"{name}-{count}"
        return chosen

    async def _supervise(self, agent: _Agent, open_transport: OpenTransport) -> None:
        pause = FIRST_PAUSE
        while True:
            self._become(agent, "starting")
            began = time.monotonic()
            try:
                async with open_transport() as transport:
                    await self._run(agent, transport)
            except (AcpError, OSError) as error:
                agent.problem = str(error)
            if time.monotonic() - began > STEADY:
                pause = FIRST_PAUSE
            agent.problem = agent.problem or "it ended"
            self._become(agent, "waiting")
            log.warning("an agent ended", agent=agent.name, reason=agent.problem, again_in=pause)
            if await self._wait(agent, pause):
                pause = FIRST_PAUSE
            pause = min(pause * 2, LONGEST_PAUSE)
            agent.restarts += 1

    async def _wait(self, agent: _Agent, pause: float) -> bool:
        """Wait before the next start; whether a person did not want to."""
        agent.restart.clear()
        try:
            async with asyncio.timeout(pause * random.uniform(0.8, 1.2)):  # not a secret
                await agent.restart.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self, agent: _Agent, transport: Transport) -> None:
        def ready() -> None:
            agent.problem = ""
            self._become(agent, "ready")

        try:
            await agent.link.run(transport, ready=ready)
        except TimeoutError:
            agent.problem = "it does not answer"
        except (AcpError, ApiError) as error:
            agent.problem = str(error)

    def _become(self, agent: _Agent, condition: Condition) -> None:
        agent.condition = condition
        self._tell(agent)

    def _tell(self, agent: _Agent) -> None:
        self._feed.tell([state_frame("agent", msgspec.json.encode(agent.view()))])


async def _leave(agent: _Agent, transport: Transport) -> None:
    """End a connection whose agent came again over another one."""
    await agent.leave.wait()
    await transport.aclose()
