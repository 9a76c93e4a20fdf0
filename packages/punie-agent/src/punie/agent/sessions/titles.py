"""The title of a session: the beginning of its first prompt. No model is asked."""

from __future__ import annotations

from collections.abc import Sequence

from punie.agent.events import AnyEvent, SessionInfoUpdate

LONGEST = 72
"""Characters of a title."""


def title_of(prompt: str) -> str:
    """Make a title of a prompt.

    Args:
        prompt: What the person wrote.

    Returns:
        Its first line that says something, cut at a word; empty when there is none.

    Example:
        >>> title_of("Fix the failing test, please  quickly")
        'Fix the failing test, please quickly'
    """
    lines = (" ".join(line.split()) for line in prompt.splitlines())
    line = next((line for line in lines if any(map(str.isalnum, line))), "")
    if len(line) <= LONGEST:
        return line
    cut = line[: LONGEST - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"


def last_title(events: Sequence[AnyEvent]) -> str:
    """Tell the title that a session was given last; empty when it has none."""
    for event in reversed(events):
        if isinstance(event, SessionInfoUpdate):
            return event.title
    return ""
