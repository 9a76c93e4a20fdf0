"""Unstable capabilities, providers and the state of authentication.

https://agentclientprotocol.com/protocol/v1/draft/initialization
"""

# pyright: reportUnknownVariableType=false
# `list` as a factory, not `list[str]`: msgspec leaves an empty list out only for the plain type.

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from msgspec import field

from punie.acp.schema._base import OnError, Wire
from punie.acp.schema.v1 import lifecycle

LlmProtocol: TypeAlias = Literal["anthropic", "openai", "azure", "vertex", "bedrock"] | str
AuthState: TypeAlias = Literal["authenticated", "unauthenticated", "not_required", "unknown"] | str


class PlanCapabilities(Wire, frozen=True, kw_only=True):
    """The client shows `plan_update`."""


class SubagentCapabilities(Wire, frozen=True, kw_only=True):
    """The client shows subagents."""


class ClientCapabilities(lifecycle.ClientCapabilities, frozen=True, kw_only=True):
    """What an agent may ask of the client."""

    subagents: SubagentCapabilities | None = None
    plan: PlanCapabilities | None = None


class InitializeRequest(lifecycle.InitializeRequest, frozen=True, kw_only=True):
    """`initialize`."""

    client_capabilities: ClientCapabilities = ClientCapabilities()


class McpCapabilities(lifecycle.McpCapabilities, frozen=True, kw_only=True):
    """Which MCP servers the agent reaches beyond stdio."""

    acp: bool = False


class SessionSystemPromptOverrideCapabilities(Wire, frozen=True, kw_only=True):
    """The agent's own system prompt can be replaced."""


class SessionSystemPromptModeCapabilities(Wire, frozen=True, kw_only=True):
    """How a client's system prompt may be used beyond being appended."""

    override: SessionSystemPromptOverrideCapabilities | None = None


class SessionSystemPromptCapabilities(Wire, frozen=True, kw_only=True):
    """Sessions take a client's system prompt."""

    mode: SessionSystemPromptModeCapabilities | None = None


class SessionForkCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/fork`."""


class SessionArchiveCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/archive` and `session/unarchive`."""


class SessionStatusCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/status`."""


class SessionTitleCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `session/set_title`."""


class SessionCapabilities(lifecycle.SessionCapabilities, frozen=True, kw_only=True):
    """What can be done with sessions beyond the baseline."""

    system_prompt: SessionSystemPromptCapabilities | None = None
    fork: SessionForkCapabilities | None = None
    archive: SessionArchiveCapabilities | None = None
    status: SessionStatusCapabilities | None = None
    title: SessionTitleCapabilities | None = None


class AuthStatusCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `auth/status`."""


class AgentAuthCapabilities(lifecycle.AgentAuthCapabilities, frozen=True, kw_only=True):
    """What the agent offers around authentication."""

    status: AuthStatusCapabilities | None = None


class ProvidersCapabilities(Wire, frozen=True, kw_only=True):
    """The agent serves `providers/*`."""


class AgentCapabilities(lifecycle.AgentCapabilities, frozen=True, kw_only=True):
    """What a client may ask of the agent."""

    mcp_capabilities: McpCapabilities = McpCapabilities()
    session_capabilities: SessionCapabilities = SessionCapabilities()
    auth: AgentAuthCapabilities = AgentAuthCapabilities()
    providers: ProvidersCapabilities | None = None


class InitializeResponse(lifecycle.InitializeResponse, frozen=True, kw_only=True):
    """The version that will be spoken, and what the agent can do."""

    agent_capabilities: AgentCapabilities = AgentCapabilities()


class ListProvidersRequest(Wire, frozen=True, kw_only=True):
    """`providers/list`: where the agent's models can come from."""


class ProviderCurrentConfig(Wire, frozen=True, kw_only=True):
    """What a provider is set to."""

    api_type: LlmProtocol
    base_url: str


class ProviderInfo(Wire, frozen=True, kw_only=True):
    """One provider."""

    on_error: ClassVar[dict[str, OnError]] = {"supported": "default", "current": "raise"}

    provider_id: str
    supported: list[LlmProtocol]
    required: bool
    current: ProviderCurrentConfig | None = None


class ListProvidersResponse(Wire, frozen=True, kw_only=True):
    """All providers."""

    providers: list[ProviderInfo]


class SetProviderRequest(Wire, frozen=True, kw_only=True):
    """`providers/set`: use another endpoint. Its headers may hold keys: never log them."""

    on_error: ClassVar[dict[str, OnError]] = {"headers": "raise"}

    provider_id: str
    api_type: LlmProtocol
    base_url: str
    headers: dict[str, str] = field(default_factory=dict)


class SetProviderResponse(Wire, frozen=True, kw_only=True):
    """It is used from now on."""


class DisableProviderRequest(Wire, frozen=True, kw_only=True):
    """`providers/disable`."""

    provider_id: str


class DisableProviderResponse(Wire, frozen=True, kw_only=True):
    """It is not used any more."""


class AuthStatusRequest(Wire, frozen=True, kw_only=True):
    """`auth/status`."""


class AuthAccount(Wire, frozen=True, kw_only=True):
    """An account that is logged in."""

    label: str
    active: bool | None = None
    name: str | None = None
    email: str | None = None
    organization: str | None = None


class AuthStatusResponse(Wire, frozen=True, kw_only=True):
    """Whether somebody is logged in, and who."""

    state: AuthState
    accounts: list[AuthAccount] = field(default_factory=list)


class AuthStatusUpdateNotification(Wire, frozen=True, kw_only=True):
    """`auth/status_update`: that changed."""

    state: AuthState
    accounts: list[AuthAccount] = field(default_factory=list)
