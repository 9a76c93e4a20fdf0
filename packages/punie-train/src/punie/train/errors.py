"""What can go wrong in punie-train, named for what happened.

Each error owns the exit code of the command that it ends, as in `punie.agent.errors`.
"""

from __future__ import annotations


class TrainError(Exception):
    """Base of every error that a person should read as one clear sentence."""

    exit_code: int = 1


class PhaseError(TrainError):
    """A phase file cannot be used, or names what is not there."""

    exit_code = 2


class CaseError(TrainError):
    """A line of a suite is no case."""

    exit_code = 2


class DataError(TrainError):
    """The data broke a rule of `data.checks`; nothing was trained."""


class GateError(TrainError):
    """An evaluation stayed below a gate of its phase; nothing was promoted."""


class EmptyTargetError(TrainError):
    """An example has no assistant token to learn from."""

    def __init__(self, example: str, length: int, limit: int) -> None:
        super().__init__(
            f"{example}: nothing to train on within {limit} tokens, the example has {length}"
        )
        self.example = example
        self.length = length
        self.limit = limit
