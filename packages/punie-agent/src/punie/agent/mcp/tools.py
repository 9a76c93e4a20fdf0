"""Tools of servers as tools of the catalog's shape: same gate, same events, same results.

A tool that its server calls read-only counts as reading; any other one, and one that reaches out into the
world, is asked about. A server's word is not proof, but the person chose the server.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from punie.agent.mcp.channel import ServerLostError
from punie.agent.mcp.client import Client, RefusedError, RemoteTool
from punie.agent.tools.base import Call, Risk, Tool
from punie.agent.tools.results import Result

LONGEST_NAME = 60
"""Characters: servers of models refuse longer ones."""
LONGEST_DESCRIPTION = 1_000
GROUP = "mcp"


class Arguments(Struct, frozen=True):
    """Whatever the server's schema says; the server checks it."""

    values: dict[str, Any]


class McpResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What a server's tool answered."""

    server: str
    tool: str
    text: str = ""
    structured: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def headline(self) -> str:
        """Such as `idea answered`."""
        return self.error or f"{self.server} answered"

    def details(self) -> str:
        """The answer; its data when it has no text."""
        if self.text or not self.structured:
            return self.text
        return msgspec.json.format(msgspec.json.encode(self.structured)).decode()


@dataclass(frozen=True, kw_only=True)
class McpTool(Tool[Arguments, McpResult]):
    """A tool whose schema is its server's."""

    remote_schema: dict[str, Any] = field(default_factory=dict[str, Any])

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments as the server gave it."""
        return {"type": "object", "properties": {}, **self.remote_schema}

    def parse(self, arguments: object) -> Arguments:
        """Take an object; what is in it the server checks.

        Raises:
            msgspec.ValidationError: It is no object, or lacks what the schema requires.
        """
        values = msgspec.convert(arguments, dict[str, Any])
        for name in self.remote_schema.get("required", ()):
            if name not in values:
                raise msgspec.ValidationError(f"Object missing required field `{name}`")
        return Arguments(values)


def tools_of(client: Client, taken: Iterable[str] = ()) -> list[McpTool]:
    """Turn a server's tools into ours, named `server_tool`.

    Args:
        client: An open client.
        taken: Names that are given already.
    """
    used = set(taken)
    tools: list[McpTool] = []
    for remote in client.tools:
        name = _name(client.server.name, remote.name)
        if name in used:
            continue
        used.add(name)
        tools.append(_tool(client, remote, name))
    return tools


def risk_of(remote: RemoteTool) -> Risk:
    """Judge a tool by what its server says of it; what is not said is asked about."""
    said = remote.annotations
    if said is None or said.read_only_hint is not True or said.open_world_hint is True:
        return "execute"
    return "read"


async def call_remote(client: Client, name: str, arguments: dict[str, Any]) -> McpResult:
    """Call a server's tool; whatever goes wrong is in the result."""
    server = client.server.name
    try:
        answer = await client.call(name, arguments)
    except ServerLostError as error:
        problem = f"the server {server} failed: {error}"
        return McpResult(ok=False, server=server, tool=name, error=problem)
    except RefusedError as error:
        problem = f"the server {server} refused: {error}"
        return McpResult(ok=False, server=server, tool=name, error=problem)
    error = f"{server} reports an error" if answer.is_error else ""
    return McpResult(
        ok=not answer.is_error,
        error=error,
        server=server,
        tool=name,
        text=answer.text,
        structured=answer.structured_content or {},
    )


def _tool(client: Client, remote: RemoteTool, name: str) -> McpTool:
    async def run(_call: Call, args: Arguments) -> McpResult:
        return await call_remote(client, remote.name, args.values)

    risk = risk_of(remote)
    said = remote.annotations.title if remote.annotations else None
    shown = said or remote.name
    return McpTool(
        name=name,
        kind="read" if risk == "read" else "other",
        risk=risk,
        description=(remote.description or shown).strip()[:LONGEST_DESCRIPTION],
        arguments=Arguments,
        result=McpResult,
        run=run,
        title=lambda args: _title(client.server.name, shown, args.values),
        group=GROUP,
        remote_schema=remote.input_schema,
    )


def _title(server: str, tool: str, values: dict[str, Any]) -> str:
    said = ", ".join(f"{name}={value}" for name, value in values.items())
    whole = " ".join(f"{server}: {tool}({said})".split())
    return whole if len(whole) <= 200 else f"{whole[:199]}…"


def _name(server: str, tool: str) -> str:
    name = re.sub(r"\W+", "_", f"{server}_{tool}", flags=re.ASCII).strip("_") or "mcp"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
