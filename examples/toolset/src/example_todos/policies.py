"""A policy: a change should not leave more TODO comments than it found."""

from __future__ import annotations

from collections.abc import Iterator

from punie.agent.policies import Change, Finding, policy

from .tools import TODO


@policy("todos/new", files="*.py")
def no_new_todo(change: Change) -> Iterator[Finding]:
    """Tell each TODO comment; Punie leaves out those that were there before."""
    for number, line in enumerate(change.new.splitlines(), 1):
        if match := TODO.search(line):
            message = f"the comment TODO {match[1].strip()} is left"
            yield Finding(line=number, message=message, blocking=False)
