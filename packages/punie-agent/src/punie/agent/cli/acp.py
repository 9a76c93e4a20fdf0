"""`punie acp`: Punie as an ACP agent on stdin and stdout, what an IDE starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from punie.agent.acp.host import Host


@click.command(short_help="Be an ACP agent on stdio; an IDE starts this.")
@click.option("--model", metavar="SPEC", help="The model: local, embedded, openai:NAME, ...")
@click.option("--no-attach", is_flag=True, help="Keep away from a hub that runs on this machine.")
def acp(model: str | None, no_attach: bool) -> None:
    """Speak the Agent Client Protocol on stdin and stdout until stdin ends."""
    from punie.acp.agent_side import serve_dual_stdio
    from punie.agent.acp.agent import PunieAgent

    def open_host() -> Host:
        from punie.agent.runtime import Runtime

        return Runtime(model=model)

    async def attach(host: Host) -> None:
        from punie.agent import config
        from punie.agent.acp.attach import FILE, keep_attached

        await keep_attached(host, config.locations().state / FILE)

    code = serve_dual_stdio(
        lambda client: PunieAgent(client, open_host, attach=None if no_attach else attach)
    )
    click.get_current_context().exit(code)
