"""Punie as an agent in somebody else's process: the entry point `punie` of `punie.agents`.

Whoever hosts it brings a transport and speaks ACP on it, as with any other agent.
"""

from __future__ import annotations

from punie.acp.agent_side import serve_dual
from punie.acp.transports.base import Transport
from punie.agent.acp.agent import PunieAgent
from punie.agent.acp.host import Host


async def serve_agent(transport: Transport, *, model: str | None) -> None:
    """Be an agent until the transport ends.

    Args:
        transport: Opened and closed here.
        model: As with `--model`; what the settings say by default.
    """

    def open_host() -> Host:
        from punie.agent.runtime import Runtime

        return Runtime(model=model)

    await serve_dual(lambda client: PunieAgent(client, open_host, model=model or ""), transport)
