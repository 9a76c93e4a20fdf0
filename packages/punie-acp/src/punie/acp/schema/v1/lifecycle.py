"""`initialize` and authentication: who speaks, and what each side can do.

https://agentclientprotocol.com/protocol/initialization
https://agentclientprotocol.com/protocol/authentication
"""

# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, field

from punie.acp.schema._base import OnError, Wire

ProtocolVersion = Annotated[int, Meta(ge=0, le=65535)]
"""A whole number that grows with each breaking change."""


class Implementation(Wire, frozen=True, kw_only=True):
    """Name and version of a client or an agent."""

    name: str
    version: str
    title: str | None = None


class FileSystemCapabilities(Wire, frozen=True, kw_only=True):
    """Which `fs/*` methods the client serves."""

    read_text_file: bool = False
    write_text_file: bool = False


class BooleanConfigOptionCapabilities(Wire, frozen=True, kw_only=True):
    """The client shows switches."""


class SessionConfigOptionsCapabilities(Wire, frozen=True, kw_only=True):
    """Which config options beyond `select` the client shows."""

    boolean: BooleanConfigOptionCapabilities | None = None


class NoticeCapabilities(Wire, frozen=True, kw_only=True):
    """The client shows notices."""


class CompactionCapabilities(Wire, frozen=True, kw_only=True):
    """The client shows compactions."""


class ClientSessionCapabilities(Wire, frozen=True, kw_only=True):
    """What the client makes of a session beyond the baseline."""

    config_options: SessionConfigOptionsCapabilities | None = None
    notices: NoticeCapabilities | None = None
    compaction: CompactionCapabilities | None = None


class AuthCapabilities(Wire, frozen=True, kw_only=True):
    """Which authentication the client can offer."""

    terminal: bool = False


class ElicitationFormCapabilities(Wire, frozen=True, kw_only=True):
    """The client shows forms."""


class ElicitationUrlCapabilities(Wire, frozen=True, kw_only=True):
    """The client opens URLs."""


class ElicitationCapabilities(Wire, frozen=True, kw_only=True):
    """How the client can ask a person for the agent."""

    form: ElicitationFormCapabilities | None = None
    url: ElicitationUrlCapabilities | None = None


class ClientCapabilities(Wire, frozen=True, kw_only=True):
    """What an agent may ask of the client."""

    fs: FileSystemCapabilities = FileSystemCapabilities()
    terminal: bool = False
    session: ClientSessionCapabilities | None = None
    auth: AuthCapabilities = AuthCapabilities()
    elicitation: ElicitationCapabilities | None = None


class InitializeRequest(Wire, frozen=True, kw_only=True):
    """`initialize`, the first request; it may come again."""

    protocol_version: ProtocolVersion
    client_capabilities: ClientCapabilities = ClientCapabilities()
    client_info: Implementation | None = None


class PromptCapabilities(Wire, frozen=True, kw_only=True):
    """Which content a prompt may hold beyond text and links."""

    image: bool = False
    audio: bool = False
    embedded_context: bool = False


class McpCapabilities(Wire, frozen=True, kw_only=True):
    """Which MCP servers the agent reaches beyond stdio."""

    http: bool = False
    sse: bool = False


class SessionListCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/list`."""


class SessionDeleteCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/delete`."""


class SessionAdditionalDirectoriesCapabilities(Wire, frozen=True, kw_only=True):
    """Sessions may have more folders than `cwd`."""


class SessionResumeCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/resume`."""


class SessionCloseCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/close`."""


class SessionCapabilities(Wire, frozen=True, kw_only=True):
    """What can be done with sessions beyond the baseline."""

    list: SessionListCapabilities | None = None
    delete: SessionDeleteCapabilities | None = None
    additional_directories: SessionAdditionalDirectoriesCapabilities | None = None
    resume: SessionResumeCapabilities | None = None
    close: SessionCloseCapabilities | None = None


class LogoutCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `logout`."""


class AgentAuthCapabilities(Wire, frozen=True, kw_only=True):
    """What the agent offers around authentication."""

    logout: LogoutCapabilities | None = None


class AgentCapabilities(Wire, frozen=True, kw_only=True):
    """What a client may ask of the agent."""

    load_session: bool = False
    prompt_capabilities: PromptCapabilities = PromptCapabilities()
    mcp_capabilities: McpCapabilities = McpCapabilities()
    session_capabilities: SessionCapabilities = SessionCapabilities()
    auth: AgentAuthCapabilities = AgentAuthCapabilities()


class AuthMethod(Wire, frozen=True, kw_only=True):
    """A way to log in, as received.

    To send one, build `AuthMethodAgent` or `AuthMethodTerminal`. Only some variants carry a
    `type`, which no typed union can tell apart, so one type receives all.
    """

    on_error: ClassVar[dict[str, OnError]] = {"type": "raise", "args": "null", "env": "null"}

    id: str
    name: str
    description: str | None = None
    type: str | None = None
    """`None` means `agent`."""
    args: list[str] | None = None
    env: dict[str, str] | None = None


class AuthMethodAgent(AuthMethod, frozen=True, kw_only=True):
    """The agent does it itself when `authenticate` names this method."""


class AuthMethodTerminal(AuthMethod, frozen=True, kw_only=True):
    """The client runs the agent's program in a terminal; only with `auth.terminal`."""

    # A factory, since a plain default would not be sent.
    type: str = field(default_factory=lambda: "terminal")


class InitializeResponse(Wire, frozen=True, kw_only=True):
    """The version that will be spoken, and what the agent can do."""

    protocol_version: ProtocolVersion
    agent_capabilities: AgentCapabilities = AgentCapabilities()
    auth_methods: list[AuthMethod] = field(default_factory=list)
    agent_info: Implementation | None = None


class AuthenticateRequest(Wire, frozen=True, kw_only=True):
    """`authenticate`."""

    method_id: str


class AuthenticateResponse(Wire, frozen=True, kw_only=True):
    """Logged in."""


class LogoutRequest(Wire, frozen=True, kw_only=True):
    """`logout`."""


class LogoutResponse(Wire, frozen=True, kw_only=True):
    """Logged out."""
