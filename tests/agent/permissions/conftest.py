"""A project with a person beside it who answers as the test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk
from punie.agent.tools.base import Call
from punie.agent.workspaces.local import LocalWorkspace


class Person:
    """Answers every question with the option of one kind, and keeps the questions."""

    def __init__(self, kind: str = "allow_once") -> None:
        self.kind = kind
        self.questions: list[PermissionAsk] = []

    async def __call__(self, ask: PermissionAsk) -> PermissionAnswer:
        self.questions.append(ask)
        if self.kind in {"cancelled", "unanswerable"}:
            return PermissionAnswer(self.kind)  # type: ignore[arg-type]
        option = next(option for option in ask.options if option.kind == self.kind)
        allowed = self.kind.startswith("allow")
        return PermissionAnswer("allowed" if allowed else "rejected", option.option_id)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def call(tmp_path: Path) -> Iterator[Call]:
    root = tmp_path / "project"
    root.mkdir()
    workspace = LocalWorkspace(root)
    yield Call(workspace)
    workspace.close()
