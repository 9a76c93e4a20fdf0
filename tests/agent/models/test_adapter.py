"""The adapter that ships is the one its manifest tells of, for exactly what is served today."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from punie.agent.models.embedded.convert import fingerprint
from punie.agent.models.embedded.spec import embedded_spec, shipped_adapter
from punie.agent.prompts.chat_template import embedded_template, render_text
from punie.agent.tools import catalog

TRAINED_ON = """\
<|im_start|>system
You are Punie, a coding agent. Use a tool for facts about this project, then report what it found \
with its figures.

Tools:
read_file(path): Read a text file, or limit lines of it from line.
search(query): Find lines that contain the query text.
run_tests(path): Run pytest on a path or test id.
lint(path): Check code style with ruff.
typecheck(path): Check types.
git_status(): Show the branch and changed files.
Call one as <tool_call>{"name": ..., "arguments": {...}}</tool_call>, or answer.<|im_end|>
<|im_start|>user
hello<|im_end|>
<|im_start|>assistant
"""
"""What stood before every reply that the adapter was trained on. Who changes it trains anew."""


class Template:
    """The embedded model's template, without its vocabulary."""

    chat_template = embedded_template()
    bos_token = None
    eos_token = None

    def get_added_vocab(self) -> dict[str, int]:
        return {}

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        raise AssertionError("only text is rendered here")


@pytest.fixture
def adapter() -> Path:
    folder = shipped_adapter()
    assert folder is not None, "punie-agent ships no adapter"
    return folder


@pytest.fixture
def manifest(adapter: Path) -> dict[str, Any]:
    return json.loads((adapter / "manifest.json").read_text())


def test_the_prompt_is_the_one_that_was_trained() -> None:
    spec = embedded_spec()
    tools = [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": t.schema},
        }
        for t in catalog.select(spec.tools)
    ]
    messages = [
        {"role": "system", "content": spec.instructions},
        {"role": "user", "content": "hello"},
    ]
    assert render_text(Template(), messages, tools) == TRAINED_ON


def test_the_manifest_names_what_is_served(manifest: dict[str, Any]) -> None:
    spec = embedded_spec()
    assert manifest["base"]["fingerprint"] == fingerprint(None)
    assert manifest["serving"] == {
        "instructions": spec.instructions,
        "tools": list(spec.tools),
        "result_limit": spec.result_limit,
    }


def test_the_files_are_those_of_the_manifest(adapter: Path, manifest: dict[str, Any]) -> None:
    found = {
        name: hashlib.sha256((adapter / name).read_bytes()).hexdigest()
        for name in manifest["outputs"]
    }
    assert found == manifest["outputs"]
