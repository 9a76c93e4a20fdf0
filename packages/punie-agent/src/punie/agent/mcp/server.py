"""How a server is reached, as a client's `session/new` says it. Data only."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class McpServer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server. Headers and variables may hold secrets: they are never shown or logged."""

    name: str
    transport: Literal["stdio", "http", "sse"] = "stdio"
    command: str = ""
    """With `stdio`: the program."""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    url: str = ""
    """With `http` and `sse`."""
    headers: dict[str, str] = {}
    withheld: bool = False
    """It had secrets, which were not kept, so it cannot be reached before a client names it again."""
