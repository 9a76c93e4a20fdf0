"""What can go wrong in punie-http, named for what happened."""

from __future__ import annotations

from pathlib import Path


class HubError(Exception):
    """Base of the errors of punie-http: one clear sentence each."""

    exit_code: int = 1


class HubStateError(HubError):
    """The hub's state file is there but cannot be trusted or read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}. Delete it and start the hub again")
        self.path = path
        self.problem = problem
