"""What is plugged in: every entry point of Punie's groups, and whether it loads.

A distribution joins Punie by declaring entry points, never by being imported from here. An entry
point that fails to load is a row with its reason; it takes nothing down. Whether what was loaded
fits is told by whoever reads the group: its examiner, an entry point too. What a plugin does is its
own business.
"""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

import click

COMMANDS = "punie.commands"
EXAMINERS = "punie.examiners"
"""By the name of a group, a function that takes an entry point's name and what was loaded, and says
in one line why that cannot be used; nothing when it can."""

GROUPS: dict[str, str] = {
    COMMANDS: "commands of punie",
    "punie.agents": "agents that run in the hub's process",
    "punie.services": "what runs beside an agent in its event loop",
    "punie.toolsets": "more tools for the agent",
    "punie.policies": "checks that run after an edit",
    "punie.panels": "panels of the hub's page",
    "punie.suites": "evaluation suites",
    "punie.phases": "training phases",
    EXAMINERS: "what tells whether a plugin of a group fits",
}
"""Every entry point group that Punie reads, with what it is for."""


class Plugin(NamedTuple):
    """One entry point and what came of loading it."""

    group: str
    name: str
    target: str
    """Where it points, `module:attribute`."""
    distribution: str
    version: str
    reason: str
    """Why it cannot be used, one line; empty when it can."""

    @property
    def ok(self) -> bool:
        """Whether it can be used."""
        return not self.reason


def declared(group: str) -> dict[str, EntryPoint]:
    """The entry points of one group, by name; nothing is loaded.

    When two distributions declare one name, Punie's own wins, then the first by name.

    Args:
        group: One of `GROUPS`.

    Returns:
        The entry points that count, sorted by name.
    """
    chosen: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=_precedence):
        chosen.setdefault(entry.name, entry)
    return dict(sorted(chosen.items()))


def load(entry: EntryPoint) -> tuple[object, str]:
    """Load one entry point; whatever goes wrong becomes a reason.

    Args:
        entry: What to load.

    Returns:
        The object and an empty reason, or `None` and one line that says why it failed.
    """
    try:
        return entry.load(), ""
    # A foreign module may raise anything at import, `SystemExit` included; the reason is shown.
    except (Exception, SystemExit) as error:  # noqa: BLE001 (the edge to foreign code)
        detail = " ".join(str(error).split())
        return None, f"{type(error).__name__}: {detail}" if detail else type(error).__name__


def examine() -> tuple[Plugin, ...]:
    """Load every entry point of every group.

    Returns:
        One row per entry point, broken and shadowed ones included, sorted by group and name.
    """
    return tuple(
        _examined(entry, chosen[entry.name])
        for group in GROUPS
        for chosen in [declared(group)]
        for entry in sorted(entry_points(group=group), key=lambda e: (e.name, _precedence(e)))
    )


def distribution_of(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that declares an entry point."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "")


def _examined(entry: EntryPoint, chosen: EntryPoint) -> Plugin:
    name, version = distribution_of(entry)
    if entry == chosen:
        loaded, reason = load(entry)
        if not reason and entry.group == COMMANDS and not isinstance(loaded, click.Command):
            reason = NOT_A_COMMAND
        reason = reason or _unfit(entry, loaded)
    else:
        reason = f"shadowed by {distribution_of(chosen)[0]}"
    return Plugin(entry.group, entry.name, entry.value, name, version, reason)


def _unfit(entry: EntryPoint, loaded: object) -> str:
    examiner = declared(EXAMINERS).get(entry.group)
    examine, reason = (None, "") if examiner is None else load(examiner)
    if reason or not callable(examine):
        return ""  # the examiner has a row of its own
    try:
        return str(examine(entry.name, loaded))
    except Exception as error:  # noqa: BLE001 (the edge to foreign code)
        return f"its examiner failed: {type(error).__name__}"


NOT_A_COMMAND = "it is no click command"


def _precedence(entry: EntryPoint) -> tuple[bool, str]:
    name = distribution_of(entry)[0]
    return not name.startswith("punie-"), name


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def plugins(as_json: bool) -> None:
    """List what is plugged in, and what is broken."""
    rows = examine()
    if as_json:
        for row in rows:
            click.echo(json.dumps({**row._asdict(), "ok": row.ok}))
        return
    for line in _table(rows):
        click.echo(line)
    broken = sum(not row.ok for row in rows)
    if broken:
        click.echo(f"{broken} of {len(rows)} cannot be used", err=True)


def _table(rows: tuple[Plugin, ...]) -> list[str]:
    cells = [
        (row.group, row.name, f"{row.distribution} {row.version}".strip(), row.reason or "ok")
        for row in rows
    ]
    widths = [max((len(row[i]) for row in cells), default=0) for i in range(3)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]])
        for row in cells
    ]
