"""What an agent of version 2 can do, as a client of version 1 is told."""

from __future__ import annotations

import pytest

from punie.acp.schema import v1, v2
from punie.acp.versions.handshake import initialize_to_v1


class WithSse(v2.McpCapabilities, frozen=True, kw_only=True):
    """Servers in a way that only version 1 has a word for."""

    sse: v2.McpHttpCapabilities


@pytest.mark.parametrize(
    ("mcp", "told"),
    [
        (None, v1.McpCapabilities()),
        (v2.McpCapabilities(), v1.McpCapabilities()),
        (v2.McpCapabilities(http=v2.McpHttpCapabilities()), v1.McpCapabilities(http=True)),
        (WithSse(sse=v2.McpHttpCapabilities()), v1.McpCapabilities(sse=True)),
    ],
)
def test_each_way_to_an_mcp_server_is_told(
    mcp: v2.McpCapabilities | None, told: v1.McpCapabilities
) -> None:
    answer = v2.InitializeResponse(
        protocol_version=2,
        info=v2.Implementation(name="a", version="1"),
        capabilities=v2.AgentCapabilities(session=v2.SessionCapabilities(mcp=mcp)),
    )
    assert initialize_to_v1(answer).agent_capabilities.mcp_capabilities == told
