"""`punie plugins`: one row per entry point, with distribution, version and reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from subprocess import CompletedProcess
from typing import Any

RunPunie = Callable[..., CompletedProcess[str]]
Plug = Callable[..., None]


def rows(run: CompletedProcess[str]) -> dict[tuple[str, str], dict[str, Any]]:
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return {(line["distribution"], line["name"]): line for line in lines}


def test_a_working_command_is_listed_with_its_version(run_punie: RunPunie) -> None:
    row = rows(run_punie("plugins", "--json"))["punie-cli", "plugins"]
    assert row == {
        "group": "punie.commands",
        "name": "plugins",
        "target": "punie.cli.plugins:plugins",
        "distribution": "punie-cli",
        "version": version("punie-cli"),
        "reason": "",
        "ok": True,
    }


def test_a_broken_one_is_listed_with_its_reason_and_exits_zero(
    run_punie: RunPunie, plug: Plug
) -> None:
    plug("wreck", "wreck_module", "1 / 0", wreck="wreck_module:wreck")
    run = run_punie("plugins", "--json")
    row = rows(run)["wreck", "wreck"]
    assert (row["ok"], row["reason"]) == (False, "ZeroDivisionError: division by zero")
    assert run.returncode == 0


def test_an_object_that_is_no_command_is_broken(run_punie: RunPunie, plug: Plug) -> None:
    plug("wreck", "wreck_module", "wreck = 3", wreck="wreck_module:wreck")
    row = rows(run_punie("plugins", "--json"))["wreck", "wreck"]
    assert (row["ok"], row["reason"]) == (False, "it is no click command")


def test_the_table_is_aligned_and_says_ok(run_punie: RunPunie, plug: Plug) -> None:
    plug("wreck", "wreck_module", "1 / 0", wreck="wreck_module:wreck")
    run = run_punie("plugins")
    lines = run.stdout.splitlines()
    ours = next(line for line in lines if " plugins " in line)
    wreck = next(line for line in lines if " wreck " in line)
    assert ours.index("punie-cli") == wreck.index("wreck 1.2")
    assert ours.endswith("  ok")
    assert f"of {len(lines)} cannot be used" in run.stderr
