"""What Punie answers to `initialize`: only what works is advertised. Loads the handshake's types alone."""

from __future__ import annotations

from importlib import metadata

from punie.acp.schema import v2

NO_LOGIN = "none"
"""The id of the one way to log in, which asks for nothing."""


def may_see(model: str) -> bool:
    """Whether a model may see images, as far as its name tells: those in this process read text.

    Which model there is in the end is known when it is opened, and one that does not see is told.
    """
    return model != "embedded" and not model.startswith("mlx:")


class _WithFork(v2.SessionCapabilities, frozen=True, kw_only=True):
    """What `schema.v2.unstable` has too, which is not worth loading at start-up."""

    fork: v2.SessionDeleteCapabilities
    """An empty object, as all of them are."""


class _WithSse(v2.McpCapabilities, frozen=True, kw_only=True):
    """What version 1 has too; a client of version 2 is not told of it."""

    sse: v2.McpHttpCapabilities
    """An empty object, as all of them are."""


def introduction(model: str = "", *, version: int | None = 2) -> v2.InitializeResponse:
    """Say who this is and what it can do.

    Args:
        model: What `--model` named; empty when the settings decide.
        version: Of the protocol, as the client speaks it.
    """
    mcp = v2.McpCapabilities(stdio=v2.McpStdioCapabilities(), http=v2.McpHttpCapabilities())
    if version == 1:
        mcp = _WithSse(stdio=mcp.stdio, http=mcp.http, sse=v2.McpHttpCapabilities())
    return v2.InitializeResponse(
        meta={"steering": {"supported": True}},
        protocol_version=2,
        info=v2.Implementation(
            name="punie", title="Punie", version=metadata.version("punie-agent")
        ),
        capabilities=v2.AgentCapabilities(
            session=_WithFork(
                additional_directories=v2.SessionAdditionalDirectoriesCapabilities(),
                delete=v2.SessionDeleteCapabilities(),
                fork=v2.SessionDeleteCapabilities(),
                mcp=mcp,
                prompt=v2.PromptCapabilities(
                    embedded_context=v2.PromptEmbeddedContextCapabilities(),
                    image=v2.PromptImageCapabilities() if may_see(model) else None,
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
