"""`punie models`: list what can be used here, fetch the embedded one, prove that one answers."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from punie.agent.models.cache import OnProgress
    from punie.agent.models.registry import OpenedModel

PROBE = "Say the word ready."


@click.group()
def models() -> None:
    """List, fetch, check and choose models."""


@models.command("list")
def list_models() -> None:
    """List the models that can be used here, and the one that will be."""
    from punie.agent.models import registry, servers
    from punie.agent.models.cache import models_folder
    from punie.agent.models.embedded.convert import FOLDER_NAME, is_current

    chosen = registry.resolve_name(None, Path.cwd(), os.environ)
    click.echo(f"in use    {chosen.name}  (from {chosen.source})")
    ready = is_current(models_folder() / FOLDER_NAME)
    click.echo(f"embedded  {FOLDER_NAME}  ({'ready' if ready else 'fetched at first use'})")
    for server in servers.look():
        for name in server.models or ("(lists no model)",):
            click.echo(f"local     {server.url}/{name}")
    click.echo(f"forms     {registry.FORMS}")


@models.command()
def pull() -> None:
    """Fetch and convert the embedded model."""
    from punie.agent.models.embedded.convert import ensure_embedded_model
    from punie.agent.models.registry import check_mlx

    check_mlx()
    with _progress() as on_progress:
        folder = ensure_embedded_model(on_progress=on_progress)
    click.echo(folder)


@models.command()
@click.option("--model", "name", help="The model to check; the one in use by default.")
def check(name: str | None) -> None:
    """Prove that the model asked for is the one that answers."""
    from punie.agent.models import registry

    chosen = registry.resolve_name(name, Path.cwd(), os.environ).name
    with _progress() as on_progress:
        opened, answer = asyncio.run(_probe(chosen, on_progress))
    click.echo(f"model        {chosen}")
    click.echo(f"served as    {opened.model.model_name}")
    if opened.spec.fingerprint:
        click.echo(f"fingerprint  {opened.spec.fingerprint}")
    if opened.spec.context_window:
        click.echo(f"context      {opened.spec.context_window} tokens{_window_source(opened)}")
    click.echo(f"answered     {answer}")


def _window_source(opened: OpenedModel) -> str:
    """Say who told the context window, and how the model could read more when it reads little."""
    from punie.agent.models.http import ChatModel
    from punie.agent.models.served import ask_about

    if not isinstance(opened.model, ChatModel):
        return ""
    served = ask_about(opened.model.url, opened.model.model_name)
    if not served.window:
        return " (assumed: the server does not tell)"
    return f" ({served.server}; {served.advice})" if served.advice else f" ({served.server})"


@models.command()
@click.argument("name")
def use(name: str) -> None:
    """Make NAME the model of this person, in the configuration file."""
    from punie.agent.config import save_user_model
    from punie.agent.models import registry

    registry.check_name(name)
    path = save_user_model(name)
    chosen = registry.resolve_name(None, Path.cwd(), os.environ)
    click.echo(f"{path}: model = {name}")
    if chosen.name != name:
        click.echo(f"here {chosen.name} is used all the same, because of {chosen.source}")


async def _probe(name: str, on_progress: OnProgress) -> tuple[OpenedModel, str]:
    """Open a model, check its id where a server lists ids, and let it answer once."""
    from punie.agent.errors import ModelUnavailableError
    from punie.agent.models import registry
    from punie.agent.models.probe import probe

    opened = await registry.open_model(name, on_progress=on_progress)
    answer = await probe(opened.model, PROBE)
    if not answer.strip():
        raise ModelUnavailableError(f"{name} gave an empty answer to a probe")
    return opened, " ".join(answer.split())[:200]


@contextmanager
def _progress() -> Generator[OnProgress]:
    """Show progress on a terminal's stderr; elsewhere stay quiet."""
    from punie.agent.cli.terminal import Terminal

    terminal = Terminal(sys.stderr)
    try:
        yield terminal.see
    finally:
        terminal.clear()
