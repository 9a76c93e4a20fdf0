"""Results of real tool runs, recorded once and kept as JSONL.

Invented results would teach invented fields, so nothing here can be made any other way than by
running a tool of the catalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from punie.agent.tools import catalog, results
from punie.agent.tools.base import Call
from punie.agent.workspaces.base import Workspace
from punie.train.data.example import read_lines
from punie.train.files import as_lines, write_whole


class Recorded(Struct, frozen=True, kw_only=True):
    """One real run of a tool."""

    tool: str
    arguments: dict[str, str]
    repository: str
    """Name of the project it ran in."""
    headline: str
    rendered: str
    """What the model reads, cut to the model's limit."""
    fields: dict[str, Any]
    """The typed result as JSON."""
    paths: tuple[str, ...] = ()
    """Paths of the project, for wordings."""


async def record(
    workspace: Workspace,
    tool: str,
    arguments: dict[str, str],
    *,
    repository: str,
    limit: int,
) -> Recorded:
    """Run a tool of the catalog and keep what it returned.

    Args:
        workspace: Where it runs.
        tool: Its name.
        arguments: As a model would give them.
        repository: Name of the project.
        limit: Length of the rendered result, characters.
    """
    chosen = catalog.select([tool])[0]
    result = await chosen.run(Call(workspace), chosen.parse(arguments))
    fields = msgspec.json.decode(msgspec.json.encode(result))
    return Recorded(
        tool=tool,
        arguments=arguments,
        repository=repository,
        headline=result.error or result.headline(),
        rendered=results.render(result, limit=limit),
        fields=fields,
    )


def save(recorded: Sequence[Recorded], path: Path) -> None:
    """Write results in one step."""
    write_whole(path, as_lines(recorded))


def load(path: Path) -> list[Recorded]:
    """Read what `save` wrote.

    Raises:
        DataError: It is damaged; the message names the line.
    """
    return read_lines(path, Recorded, again="harvest")
