"""Small real projects, and a way to call a tool as the turn layer does."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from punie.agent.tools.base import Call
from punie.agent.tools.catalog import CATALOG
from punie.agent.workspaces.local import LocalWorkspace

PYPROJECT = """\
[tool.pytest.ini_options]
addopts = "-q"

[tool.ruff]
line-length = 100

[tool.ruff.lint]
select = ["E", "F"]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "a project ü"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    return folder


class Write(Protocol):
    def __call__(self, path: str, content: str | bytes) -> Path: ...


@pytest.fixture
def write(root: Path) -> Write:
    def write(path: str, content: str | bytes) -> Path:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode("utf-8") if isinstance(content, str) else content
        file.write_bytes(data)
        return file

    return write


@pytest.fixture
def workspace(root: Path) -> Iterator[LocalWorkspace]:
    opened = LocalWorkspace(root)
    yield opened
    opened.close()


@pytest.fixture
def call(workspace: LocalWorkspace) -> Call:
    return Call(workspace)


class Use(Protocol):
    def __call__(self, name: str, /, **arguments: Any) -> Awaitable[Any]: ...


@pytest.fixture
def use(call: Call) -> Use:
    """Call a tool of the catalog with arguments as a model writes them."""

    async def use(name: str, /, **arguments: Any) -> Any:
        tool = CATALOG[name]
        result = await tool.run(call, tool.parse(arguments))
        assert isinstance(result, tool.result)
        return result

    return use


@pytest.fixture
def use_without_programs(root: Path) -> Use:
    """Call a tool where no program at all is installed."""

    async def use(name: str, /, **arguments: Any) -> Any:
        tool = CATALOG[name]
        bare = Call(LocalWorkspace(root, programs=[]))
        return await tool.run(bare, tool.parse(arguments))

    return use


@pytest.fixture
def git(root: Path) -> Callable[..., None]:
    """Run git in the project, as a person would."""

    def git(*argv: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *argv], cwd=root, check=True, capture_output=True)

    return git
