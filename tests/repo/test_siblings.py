"""A package that imports a sibling declares it, and declares none that it does not import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def imported(source: str) -> Iterator[str]:
    """Names of the `punie.*` packages that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("punie."))


@pytest.mark.parametrize("package", ["acp", "agent", "cli", "http", "train"])
def test_declared_and_imported_siblings_are_the_same(
    root: Path, projects: dict[str, Any], package: str
) -> None:
    modules = root.glob(f"packages/punie-{package}/src/**/*.py")
    used = {name for module in modules for name in imported(module.read_text())}
    declared = {
        re.split(r"[\[<>=~ ]", text)[0].removeprefix("punie-")
        for text in projects[f"punie-{package}"]["dependencies"]
        if text.startswith("punie-")
    }
    assert used - {package} == declared


def test_every_way_to_import_a_sibling_is_seen() -> None:
    source = "import punie.acp.connection\nfrom punie import http\ndef f():\n    from punie.agent import errors"
    assert sorted(imported(source)) == ["acp", "agent", "http"]


def test_who_installs_the_protocol_alone_gets_msgspec_and_nothing_else(
    projects: dict[str, Any],
) -> None:
    names = [re.split(r"[\[<>=~ ]", text)[0] for text in projects["punie-acp"]["dependencies"]]
    assert names == ["msgspec"]


def test_the_protocol_without_its_extra_imports_msgspec_and_the_standard_library() -> None:
    script = """
import importlib, msgspec, pkgutil, sys
before = set(sys.modules)
sys.modules["aiohttp"] = None  # as if it were not installed
import punie.acp
for module in pkgutil.walk_packages(punie.acp.__path__, "punie.acp."):
    if ".websocket" not in module.name and "__main__" not in module.name:
        importlib.import_module(module.name)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded - set(sys.stdlib_module_names)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["aiohttp", "punie"]
