"""Which command runs, what help shows, and what a plugin can and cannot break."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable
from importlib.metadata import version
from subprocess import CompletedProcess

RunPunie = Callable[..., CompletedProcess[str]]
Plug = Callable[..., None]

HEAVY = {
    "aiohttp",
    "anyio",
    "httpx2",
    "mlx",
    "mlx_lm",
    "numpy",
    "pydantic",
    "pydantic_ai",
    "rich",
    "structlog",
    "transformers",
}

GREET = """
    import click

    @click.command()
    @click.argument("name")
    def greet(name):
        "Say hello to NAME."
        click.echo(f"hello {name}")
"""


def imported(run: CompletedProcess[str]) -> set[str]:
    """Top-level modules that a process under `-X importtime` imported by an import statement."""
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_version_is_that_of_the_meta_distribution(run_punie: RunPunie) -> None:
    run = run_punie("--version")
    assert (run.stdout, run.returncode) == (f"punie {version('punie')}\n", 0)


def test_help_loads_nothing_heavy(run_punie: RunPunie) -> None:
    run = run_punie("--help", python=("-X", "importtime"))
    assert run.returncode == 0
    assert imported(run) & HEAVY == set()
    assert "click" in imported(run)  # the list that is searched is not empty


def test_a_command_of_another_distribution_is_found(run_punie: RunPunie, plug: Plug) -> None:
    plug("greeter", "greeter_module", GREET, greet="greeter_module:greet")
    run = run_punie("greet", "Ada")
    assert (run.stdout, run.stderr, run.returncode) == ("hello Ada\n", "", 0)


def test_help_shows_the_short_help_of_a_plugged_command(run_punie: RunPunie, plug: Plug) -> None:
    plug("greeter", "greeter_module", GREET, greet="greeter_module:greet")
    rows = [line.split(maxsplit=1) for line in run_punie("--help").stdout.splitlines()]
    assert ["greet", "Say hello to NAME."] in rows


def test_only_the_named_command_is_imported(run_punie: RunPunie, plug: Plug) -> None:
    plug("greeter", "greeter_module", GREET, greet="greeter_module:greet")
    plug("other", "other_module", 'print("other was imported")', other="other_module:other")
    assert run_punie("greet", "Ada").stdout == "hello Ada\n"
    assert "other was imported" in run_punie("other").stdout  # it would have been seen


def test_without_a_terminal_a_bare_punie_is_the_acp_agent(run_punie: RunPunie, plug: Plug) -> None:
    source = 'import click\n\n@click.command()\ndef acp():\n    click.echo("agent")\n'
    plug("punie-a", "acp_module", source, acp="acp_module:acp")
    assert run_punie().stdout == "agent\n"


def test_at_a_terminal_a_bare_punie_shows_help(run_punie: RunPunie) -> None:
    ours, theirs = pty.openpty()
    try:
        run = run_punie(stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert run.stdout.startswith("Usage: punie")
    assert run.returncode == 0


def test_a_plugin_that_does_not_import_is_named_in_help(run_punie: RunPunie, plug: Plug) -> None:
    plug("wreck", "wreck_module", "import no_such_module", wreck="wreck_module:wreck")
    run = run_punie("--help")
    assert run.returncode == 0
    assert "(broken: ModuleNotFoundError: No module named 'no_such_module')" in run.stdout


def test_a_plugin_that_exits_at_import_takes_nothing_down(run_punie: RunPunie, plug: Plug) -> None:
    plug("wreck", "wreck_module", "raise SystemExit(7)", wreck="wreck_module:wreck")
    run = run_punie("--help")
    assert run.returncode == 0
    assert "(broken: SystemExit: 7)" in run.stdout


def test_invoking_a_broken_plugin_names_distribution_and_reason(
    run_punie: RunPunie, plug: Plug
) -> None:
    plug("wreck", "wreck_module", "import no_such_module", wreck="wreck_module:wreck")
    run = run_punie("wreck")
    assert run.returncode == 1
    assert run.stderr == (
        "punie: the command 'wreck' of wreck cannot be loaded: ModuleNotFoundError: No module "
        "named 'no_such_module'. Reinstall wreck; `punie plugins` lists what is broken\n"
    )


def test_a_plugin_cannot_replace_a_command_of_punie(run_punie: RunPunie, plug: Plug) -> None:
    plug("aardvark", "aardvark_module", GREET, plugins="aardvark_module:greet")
    run = run_punie("plugins")
    assert run.returncode == 0
    assert "aardvark 1.2" in run.stdout
    assert "shadowed by punie-cli" in run.stdout
