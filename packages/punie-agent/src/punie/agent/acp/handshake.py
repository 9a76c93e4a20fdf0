"""What Punie answers to `initialize`: only what works is advertised. Loads the handshake's types alone."""

from __future__ import annotations

from importlib.metadata import version

from punie.acp.schema import v2

NO_LOGIN = "none"
"""The id of the one way to log in, which asks for nothing."""


class _WithFork(v2.SessionCapabilities, frozen=True, kw_only=True):
    """What `schema.v2.unstable` has too, which is not worth loading at start-up."""

    fork: v2.SessionDeleteCapabilities
    """An empty object, as all of them are."""


def introduction() -> v2.InitializeResponse:
    """Say who this is and what it can do."""
    return v2.InitializeResponse(
        meta={"steering": {"supported": True}},
        protocol_version=2,
        info=v2.Implementation(name="punie", title="Punie", version=version("punie-agent")),
        capabilities=v2.AgentCapabilities(
            session=_WithFork(
                delete=v2.SessionDeleteCapabilities(),
                fork=v2.SessionDeleteCapabilities(),
                mcp=v2.McpCapabilities(
                    stdio=v2.McpStdioCapabilities(), http=v2.McpHttpCapabilities()
                ),
                prompt=v2.PromptCapabilities(
                    embedded_context=v2.PromptEmbeddedContextCapabilities()
                ),
            )
        ),
        auth_methods=[
            v2.AuthMethodAgent(
                method_id=NO_LOGIN,
                name="No login needed",
                description="Punie uses the models of this machine.",
            )
        ],
    )
