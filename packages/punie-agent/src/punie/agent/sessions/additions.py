"""What a session's folder and client add to what a model is offered.

Tools of MCP servers, skills, and the notes of the project. Found by the first turn and kept for the
session, so that the prompt's beginning stays as it is. A model whose spec chooses its tools or its
instructions gets none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from punie.agent.codemode import sandbox
from punie.agent.events import Notice
from punie.agent.mcp.server import McpServer
from punie.agent.mcp.servers import McpServers
from punie.agent.mcp.tools import McpTool
from punie.agent.models.spec import ModelSpec
from punie.agent.permissions.rules import NO_RULES, Rules
from punie.agent.permissions.standing import unmatched
from punie.agent.prompts.instructions import read_notes
from punie.agent.sessions.brain import Brain
from punie.agent.skills import find_skills, section, skill_tool
from punie.agent.tools.base import Tool
from punie.agent.tools.catalog import plugged_in
from punie.agent.tools.services import Services
from punie.agent.turns.emit import Emitter
from punie.agent.turns.outcome import Cancellation
from punie.agent.workspaces.base import Workspace

if TYPE_CHECKING:
    from punie.agent.sessions.session import Session


class Additions:
    """What was found; a service of the session."""

    def __init__(self) -> None:
        self.notes = ""
        self.tools: dict[str, Tool[Any, Any]] = {}
        self.broken: dict[str, str] = {}
        """Reasons that nobody was told yet, by what cannot be used."""
        self.told_no_sandbox = False
        self.told_unmatched = False
        self._found = False

    async def aclose(self) -> None:
        """Nothing is open."""

    async def find(self, workspace: Workspace, brain: Brain) -> None:
        """Read notes and skills, once."""
        if self._found:
            return
        self._found = True
        root, person = workspace.root, brain.config_folder
        window = brain.spec.context_window
        notes = await asyncio.to_thread(read_notes, root, person, window=window)
        skills = await asyncio.to_thread(find_skills, root, person)
        parts = [notes, section(list(skills.by_name.values()))]
        self.notes = "\n\n".join(part for part in parts if part)
        if skills.by_name:
            tool = skill_tool(skills.by_name)
            self.tools = {tool.name: tool}
        broken = await asyncio.to_thread(lambda: plugged_in().broken)
        self.broken = {f"The skill in {folder}": why for folder, why in skills.broken.items()}
        self.broken |= {f"The toolset {name}": why for name, why in broken.items()}


def reach(session: Session, named: Sequence[McpServer]) -> None:
    """Offer the tools of MCP servers from the next turn on; they end with the session.

    Opening them begins at once, so that the first prompt finds them ready. A session keeps its first
    ones.

    Args:
        session: The session.
        named: As its client named them; when it named none, those that the session had.
    """
    servers = tuple(named) or session.servers
    if not servers or session.services.find(McpServers) is not None:
        return
    session.services.get(McpServers, lambda: McpServers(servers, session.workspace)).begin()
    if servers != session.servers:
        session.servers = servers
        session.keep_settings()


async def with_additions(
    brain: Brain,
    workspace: Workspace,
    services: Services,
    *,
    emitter: Emitter,
    cancellation: Cancellation,
    rules: Rules = NO_RULES,
) -> Brain:
    """Add what there is to what a turn thinks with.

    Args:
        brain: The model with its own tools.
        workspace: Where the session works.
        services: The session's, with its MCP servers if the client passed some.
        emitter: Tells what is left out.
        cancellation: Ends the wait for slow servers.
        rules: Those that hold; the person is told which of them are about no tool.
    """
    if _chooses_itself(brain.spec):
        return await _with_code(brain, services, emitter)
    additions = services.get(Additions, Additions)
    await additions.find(workspace, brain)
    for what, reason in additions.broken.items():
        title = f"{what} cannot be used"
        await emitter.emit(Notice(severity="warning", title=title, description=reason))
    additions.broken = {}
    tools = brain.tools | additions.tools
    servers = services.find(McpServers)
    if servers is not None:
        tools |= await _offered(servers, brain, cancellation)
        for title, reason in servers.take_notices():
            await emitter.emit(Notice(severity="warning", title=title, description=reason))
    if not additions.told_unmatched and (idle := unmatched(rules, tools)):
        additions.told_unmatched = True
        title = f"Rules about tools that this session does not have: {', '.join(idle)}"
        await emitter.emit(Notice(severity="warning", title=title))
    brain = brain._replace(tools=tools, notes=additions.notes)
    return await _with_code(brain, services, emitter)


async def _with_code(brain: Brain, services: Services, emitter: Emitter) -> Brain:
    """Offer code mode to a model whose spec asks for it."""
    if not brain.spec.code_mode:
        return brain
    additions = services.get(Additions, Additions)
    if not sandbox.installed():
        if not additions.told_no_sandbox:
            additions.told_no_sandbox = True
            title = "Code mode needs its sandbox: install punie-agent[code]"
            await emitter.emit(Notice(severity="warning", title=title))
        return brain
    # A server's tools have schemas of their own, of which no typed function can be made.
    callable_tools = {
        name: tool for name, tool in brain.tools.items() if not isinstance(tool, McpTool)
    }
    tool = sandbox.code_tool(callable_tools)
    return brain._replace(tools=brain.tools | {tool.name: tool})


def _chooses_itself(spec: ModelSpec) -> bool:
    return bool(spec.tools or spec.instructions)


async def _offered(
    servers: McpServers, brain: Brain, cancellation: Cancellation
) -> dict[str, Tool[Any, Any]]:
    opening = asyncio.ensure_future(servers.tools(window=brain.spec.context_window))
    stopped = asyncio.ensure_future(cancellation.wait())
    try:
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        tools = opening.result() if opening.done() else []
    finally:
        for task in (opening, stopped):
            task.cancel()
        await asyncio.wait({opening, stopped})
    return {tool.name: tool for tool in tools if tool.name not in brain.tools}
