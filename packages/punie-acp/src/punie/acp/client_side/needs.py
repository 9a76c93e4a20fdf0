"""What a call needs from the agent, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from punie.acp.errors import CapabilityError
from punie.acp.schema import v1
from punie.acp.schema._base import wire_name

if TYPE_CHECKING:
    from punie.acp.schema import v2


def need(advertised: bool, capability: str) -> None:
    """Refuse what was not advertised.

    Raises:
        CapabilityError: It was not.
    """
    if not advertised:
        raise CapabilityError(capability)


def need_v1_session(
    capabilities: v1.AgentCapabilities, servers: Iterable[v1.McpServer], directories: Sequence[str]
) -> None:
    """Refuse a session of version 1 that the agent cannot have.

    Args:
        capabilities: The agent's.
        servers: MCP servers of the session; stdio needs nothing.
        directories: Folders beside `cwd`.

    Raises:
        CapabilityError: The agent did not advertise what it takes.
    """
    for server in servers:
        if server.type is not None:
            advertised = getattr(capabilities.mcp_capabilities, server.type, False)
            need(bool(advertised), f"mcpCapabilities.{server.type}")
    extra = capabilities.session_capabilities.additional_directories
    need(not directories or extra is not None, "sessionCapabilities.additionalDirectories")


def need_v1_content(capabilities: v1.PromptCapabilities, prompt: Iterable[v1.ContentBlock]) -> None:
    """Refuse a prompt of version 1 that the agent cannot read.

    Args:
        capabilities: The agent's.
        prompt: Text and links need nothing.

    Raises:
        CapabilityError: The agent did not advertise a block's kind.
    """
    for block in prompt:
        match block:
            case v1.ImageContent():
                need(capabilities.image, "promptCapabilities.image")
            case v1.AudioContent():
                need(capabilities.audio, "promptCapabilities.audio")
            case v1.EmbeddedResource():
                need(capabilities.embedded_context, "promptCapabilities.embeddedContext")
            case _:
                pass


_CONTENT = {"image": "image", "audio": "audio", "resource": "embedded_context"}
"""The capability that a block of version 2 needs, by its type."""


def need_session(
    capabilities: v2.AgentCapabilities, servers: Iterable[v2.McpServer], directories: Sequence[str]
) -> None:
    """Refuse a session that the agent cannot have; the arguments are those of version 1's."""
    sessions = capabilities.session
    need(sessions is not None, "session")
    mcp = None if sessions is None else sessions.mcp
    for server in servers:
        kind = _type_of(server)
        known = kind in {"stdio", "http"} and getattr(mcp, kind, None) is not None
        need(known, f"session.mcp.{kind}")
    extra = None if sessions is None else sessions.additional_directories
    need(not directories or extra is not None, "session.additionalDirectories")


def need_content(capabilities: v2.AgentCapabilities, prompt: Iterable[v2.ContentBlock]) -> None:
    """Refuse a prompt that the agent cannot read; the arguments are those of version 1's."""
    sessions = capabilities.session
    need(sessions is not None, "session")
    blocks = None if sessions is None else sessions.prompt
    for block in prompt:
        kind = _CONTENT.get(_type_of(block))
        if kind is not None:
            need(getattr(blocks, kind, None) is not None, f"session.prompt.{wire_name(kind)}")


def _type_of(variant: v2.McpServer | v2.ContentBlock) -> str:
    tag = str(variant.__struct_config__.tag)
    return getattr(variant, "kind", tag)  # an unknown variant knows what it came as
