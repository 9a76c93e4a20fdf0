"""`punie serve`: the hub, until Ctrl-C.

This module only reads the command line; everything heavy is imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from punie.http.config import Settings


@click.command(short_help="Serve the hub: one page for all agents.")
@click.option("--model", metavar="SPEC", help="The model of Punie's own agent.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: a free one."
)
@click.option(
    "--agent",
    "agents",
    metavar="NAME=COMMAND",
    multiple=True,
    help="Start and supervise an ACP agent of any make.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
def serve(
    model: str | None, host: str, port: int, agents: tuple[str, ...], open_browser: bool
) -> None:
    """Serve one page from which you supervise all agents: Punie's own, others, and those of IDEs.

    The page's link, with its token, is printed once. Ends with Ctrl-C; sessions are kept.
    """
    import asyncio

    from punie.http.agents.external import configured, parse
    from punie.http.config import Settings, database_path, state_path

    folder = Path.cwd()
    commands = {one.name: one for one in (*configured(folder), *map(parse, agents))}
    settings = Settings(
        host=host,
        port=port,
        model=model,
        commands=tuple(commands.values()),
        folder=folder,
        database=database_path(),
        state=state_path(),
    )
    asyncio.run(_serve(settings, open_browser=open_browser))


async def _serve(settings: Settings, *, open_browser: bool) -> None:
    import asyncio
    import signal

    from punie.http.app import serving
    from punie.http.hub import open_hub

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    async with open_hub(settings) as hub, serving(hub) as address:
        click.echo(f"Punie's hub: {address.link}")
        if settings.warning:
            click.echo(settings.warning, err=True)
        if open_browser:
            await asyncio.to_thread(click.launch, address.link)
        await stop.wait()
