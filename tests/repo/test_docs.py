"""The pages keep up with the code: what is written from it is current, what imports it imports."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path


def test_the_command_line_reference_is_up_to_date(root: Path) -> None:
    run = subprocess.run(
        [sys.executable, "docs/cli_reference.py", "--check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def python_blocks(root: Path) -> dict[str, str]:
    """Every fenced Python block of the README and the pages, by file and line."""
    pages = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("packages/*/README.md")]
    blocks: dict[str, str] = {}
    for page in pages:
        text = page.read_text()
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.S | re.M):
            line = text.count("\n", 0, match.start()) + 2
            blocks[f"{page.relative_to(root)}:{line}"] = match[1]
    return blocks


def names_of_punie(source: str) -> list[tuple[str, str]]:
    """The `from punie.x import y` of a block."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("punie.")
        for alias in node.names
    ]


def exists(module: str, name: str) -> bool:
    """Whether `from module import name` works: an attribute or a module of its own."""
    if hasattr(importlib.import_module(module), name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None


def test_every_python_example_of_the_pages_parses_and_its_imports_exist(root: Path) -> None:
    blocks = python_blocks(root)
    assert any(where.startswith("README.md") for where in blocks)
    missing = [
        f"{where}: from {module} import {name}"
        for where, source in blocks.items()
        for module, name in names_of_punie(source)
        if not exists(module, name)
    ]
    assert missing == []
