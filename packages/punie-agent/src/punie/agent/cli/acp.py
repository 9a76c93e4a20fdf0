"""`punie acp`: Punie as an ACP agent on stdin and stdout, what an IDE starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from punie.agent.acp.host import Host


@click.command(short_help="Be an ACP agent on stdio; an IDE starts this.")
@click.option("--model", metavar="SPEC", help="The model: local, embedded, openai:NAME, ...")
def acp(model: str | None) -> None:
    """Speak the Agent Client Protocol on stdin and stdout until stdin ends."""
    from punie.acp.agent_side import serve_dual_stdio
    from punie.agent.acp.agent import PunieAgent

    def open_host() -> Host:
        from punie.agent.runtime import Runtime

        return Runtime(model=model)

    code = serve_dual_stdio(lambda client: PunieAgent(client, open_host))
    click.get_current_context().exit(code)
