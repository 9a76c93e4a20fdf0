"""`punie acp`: Punie as an ACP agent on stdin and stdout, what an IDE starts."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from punie.agent.acp.host import Host


@click.command(short_help="Be an ACP agent on stdio; an IDE starts this.")
@click.option("--model", metavar="SPEC", help="The model: local, embedded, openai:NAME, ...")
@click.option("--no-attach", is_flag=True, help="Keep away from a hub that runs on this machine.")
@click.option("--http", metavar="[HOST:]PORT", help="Serve the page of these sessions, too.")
def acp(model: str | None, no_attach: bool, http: str | None) -> None:
    """Speak the Agent Client Protocol on stdin and stdout until stdin ends."""
    from punie.acp.agent_side import serve_dual_stdio
    from punie.agent.acp.agent import PunieAgent

    def open_host() -> Host:
        from punie.agent.runtime import Runtime

        return Runtime(model=model)

    page = None if http is None else _page()

    async def attach(host: Host, client: str) -> None:
        from punie.agent import config
        from punie.agent.acp import services
        from punie.agent.acp.attach import FILE, keep_attached

        async with asyncio.TaskGroup() as tasks:
            if not no_attach:
                file = config.locations().state / FILE
                tasks.create_task(keep_attached(host, file, client=client))
            if page is not None and http is not None:
                tasks.create_task(services.run(page, host, address=http))

    code = serve_dual_stdio(
        lambda client: PunieAgent(
            client,
            open_host,
            model=model or os.environ.get("PUNIE_MODEL", ""),
            attach=None if no_attach and page is None else attach,
        )
    )
    click.get_current_context().exit(code)


def _page() -> EntryPoint:
    from punie.agent.acp import services

    page = services.find("http")
    if page is None:
        raise click.UsageError("--http needs the hub: pip install punie-http")
    return page
