"""`initialize` and authentication: who speaks, and what each side can do.

https://agentclientprotocol.com/protocol/v2/initialization
"""

# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

from msgspec import Meta, field

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v2._base import UnknownVariant

ProtocolVersion = Annotated[int, Meta(ge=0, le=65535)]
"""A whole number that grows with each breaking change."""


class Implementation(Wire, frozen=True, kw_only=True):
    """Name and version of a client or an agent."""

    name: str
    version: str
    title: str | None = None


class TerminalAuthCapabilities(Wire, frozen=True, kw_only=True):
    """The client runs login programs in a terminal."""


class ClientAuthCapabilities(Wire, frozen=True, kw_only=True):
    """Which authentication the client can offer."""

    terminal: TerminalAuthCapabilities | None = None


class ElicitationFormCapabilities(Wire, frozen=True, kw_only=True):
    """The client shows forms."""


class ElicitationUrlCapabilities(Wire, frozen=True, kw_only=True):
    """The client opens URLs."""


class ElicitationCapabilities(Wire, frozen=True, kw_only=True):
    """How the client can ask a person for the agent."""

    form: ElicitationFormCapabilities | None = None
    url: ElicitationUrlCapabilities | None = None


class ClientCapabilities(Wire, frozen=True, kw_only=True):
    """What an agent may ask of the client.

    https://agentclientprotocol.com/protocol/v2/initialization#client-capabilities
    """

    auth: ClientAuthCapabilities | None = None
    elicitation: ElicitationCapabilities | None = None


class InitializeRequest(Wire, frozen=True, kw_only=True):
    """`initialize`, the first request."""

    protocol_version: ProtocolVersion
    info: Implementation
    capabilities: ClientCapabilities = ClientCapabilities()


class PromptImageCapabilities(Wire, frozen=True, kw_only=True):
    """Prompts may hold pictures."""


class PromptAudioCapabilities(Wire, frozen=True, kw_only=True):
    """Prompts may hold sound."""


class PromptEmbeddedContextCapabilities(Wire, frozen=True, kw_only=True):
    """Prompts may hold resources with their contents."""


class PromptCapabilities(Wire, frozen=True, kw_only=True):
    """Which content a prompt may hold beyond text and links."""

    image: PromptImageCapabilities | None = None
    audio: PromptAudioCapabilities | None = None
    embedded_context: PromptEmbeddedContextCapabilities | None = None


class McpStdioCapabilities(Wire, frozen=True, kw_only=True):
    """The agent starts MCP servers as programs."""


class McpHttpCapabilities(Wire, frozen=True, kw_only=True):
    """The agent reaches MCP servers over HTTP."""


class McpCapabilities(Wire, frozen=True, kw_only=True):
    """Which MCP servers the agent reaches."""

    stdio: McpStdioCapabilities | None = None
    http: McpHttpCapabilities | None = None


class SessionDeleteCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/delete`."""


class SessionAdditionalDirectoriesCapabilities(Wire, frozen=True, kw_only=True):
    """Sessions may have more folders than `cwd`."""


class SessionCapabilities(Wire, frozen=True, kw_only=True):
    """The agent has sessions, which it can list, resume and close; and what beyond that.

    https://agentclientprotocol.com/protocol/v2/initialization#session-capabilities
    """

    prompt: PromptCapabilities | None = None
    mcp: McpCapabilities | None = None
    delete: SessionDeleteCapabilities | None = None
    additional_directories: SessionAdditionalDirectoriesCapabilities | None = None


class AgentAuthCapabilities(Wire, frozen=True, kw_only=True):
    """What the agent offers around authentication, for extensions."""


class AgentCapabilities(Wire, frozen=True, kw_only=True):
    """What a client may ask of the agent."""

    session: SessionCapabilities | None = None
    auth: AgentAuthCapabilities | None = None


class EnvVariable(Wire, frozen=True, kw_only=True):
    """A variable of a process's environment."""

    name: str
    value: str


class AuthMethodAgent(Wire, frozen=True, kw_only=True, tag_field="type", tag="agent"):
    """The agent does it itself when `auth/login` names this method."""

    method_id: str
    name: str
    description: str | None = None


class AuthMethodTerminal(Wire, frozen=True, kw_only=True, tag_field="type", tag="terminal"):
    """The client runs the agent's program in a terminal; only with `auth.terminal`."""

    on_error: ClassVar[dict[str, OnError]] = {"args": "null", "env": "null"}

    method_id: str
    name: str
    description: str | None = None
    args: list[str] = field(default_factory=list)
    env: list[EnvVariable] = field(default_factory=list)


AuthMethod: TypeAlias = AuthMethodAgent | AuthMethodTerminal | UnknownVariant


class InitializeResponse(Wire, frozen=True, kw_only=True):
    """The version that will be spoken, and what the agent can do."""

    protocol_version: ProtocolVersion
    info: Implementation
    capabilities: AgentCapabilities = AgentCapabilities()
    auth_methods: list[AuthMethod] = field(default_factory=list)


class LoginAuthRequest(Wire, frozen=True, kw_only=True):
    """`auth/login`."""

    method_id: str


class LoginAuthResponse(Wire, frozen=True, kw_only=True):
    """Logged in."""


class LogoutAuthRequest(Wire, frozen=True, kw_only=True):
    """`auth/logout`."""


class LogoutAuthResponse(Wire, frozen=True, kw_only=True):
    """Logged out."""


class UnsupportedProtocolVersionErrorData(Wire, frozen=True, kw_only=True):
    """The data of error -32022: which version was asked for, and which there are.

    https://agentclientprotocol.com/protocol/v2/initialization#version-negotiation
    """

    requested: ProtocolVersion
    supported: list[ProtocolVersion]


class SessionNotFoundErrorData(Wire, frozen=True, kw_only=True):
    """The data of error -32002 when no session has this id.

    https://agentclientprotocol.com/protocol/v2/error#unknown-sessions
    """

    session_id: str
