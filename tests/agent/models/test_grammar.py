"""What a constrained reply may say, checked with llguidance over the tiny tokenizer."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer

from punie.agent.models.embedded.grammar import (
    Copied,
    Grammar,
    call_grammar,
    path_words,
    reply_grammar,
)

PROMPT = 'Where is "load_model(x)" used? Not in tests/acp/, `a.py` or src/b.py:12.'
COPIED = {
    "run_tests": Copied(paths=("path",)),
    "search": Copied(quotes=("query",)),
    "git_status": Copied(),
}


def _tool(name: str, *arguments: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "string"} for argument in arguments},
        "required": list(arguments),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [
    _tool("run_tests", "path"),
    _tool("search", "query"),
    _tool("git_status"),
    _tool("write_file", "path", "content"),
]
ASKED = [{"role": "system", "content": "99"}, {"role": "user", "content": PROMPT}]
REPORTING = [
    *ASKED,
    {"role": "assistant", "content": "call"},
    {"role": "tool", "content": "5 passed in 0.42 s"},
]


@functools.cache
def _tokenizer(folder: Path) -> LLTokenizer:
    return LLTokenizer(str(folder / "tokenizer.json"), eos_token=2)


def _accepts(folder: Path, grammar: Grammar, text: str) -> bool:
    tokenizer = _tokenizer(folder)
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(grammar.lark), log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    tokens = tokenizer.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def _call(name: str, **arguments: str) -> str:
    body = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{body}\n</tool_call>"


ALLOWED = {
    "a path of the prompt": _call("run_tests", path="tests/acp"),
    "a quoted path": _call("run_tests", path="a.py"),
    "a path without its line": _call("run_tests", path="src/b.py"),
    "the whole project": _call("run_tests", path="."),
    "a span": _call("search", query="load_model(x)"),
    "a part of a span": _call("search", query="load_model"),
    "a span with a quote": _call("search", query='"load_model(x)" used'),
    "no arguments": _call("git_status"),
    "free arguments": _call("write_file", path="new.py", content='x = "1"\n'),
    "free text": "A fixture is made for 3 tests.\nIt may use < and >.",
}
REFUSED = {
    "a path that nobody named": _call("run_tests", path="tests/other"),
    "an empty query": _call("search", query=""),
    "a query that nobody said": _call("search", query="zebra"),
    "a query with an outer space": _call("search", query=" used"),
    "an unknown tool": _call("delete_all"),
    "an unknown argument": _call("git_status", path="."),
    "other spacing": '<tool_call>\n{"name":"git_status","arguments":{}}\n</tool_call>',
    "two calls": _call("git_status") + _call("git_status"),
    "a call behind text": "Well: " + _call("git_status"),
    "nothing": "",
}


@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED.keys())
def test_a_reply_may_be(tiny_folder: Path, text: str) -> None:
    grammar = reply_grammar(ASKED, TOOLS, copied=COPIED, calls_per_turn=1)
    assert _accepts(tiny_folder, grammar, text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_a_reply_may_not_be(tiny_folder: Path, text: str) -> None:
    grammar = reply_grammar(ASKED, TOOLS, copied=COPIED, calls_per_turn=1)
    assert not _accepts(tiny_folder, grammar, text)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("5 passed in 0.42 s", True),
        ("All passed.", True),
        ("6 passed", False),
        ("55 passed", False),
        ("99 passed", False),
        (_call("git_status"), False),
    ],
)
def test_a_report_repeats_figures_and_calls_nothing(
    tiny_folder: Path, text: str, allowed: bool
) -> None:
    grammar = reply_grammar(REPORTING, TOOLS, copied=COPIED, calls_per_turn=1)
    assert _accepts(tiny_folder, grammar, text) == allowed


def test_a_new_prompt_may_call_again(tiny_folder: Path) -> None:
    messages = [*REPORTING, {"role": "user", "content": "And now?"}]
    grammar = reply_grammar(messages, TOOLS, copied=COPIED, calls_per_turn=1)
    assert _accepts(tiny_folder, grammar, _call("run_tests", path="tests/acp"))


def test_without_a_limit_a_result_may_be_followed_by_a_call(tiny_folder: Path) -> None:
    grammar = reply_grammar(REPORTING, TOOLS, copied=COPIED)
    assert _accepts(tiny_folder, grammar, _call("git_status"))


def test_other_models_calls_are_held_to_their_schema(tiny_folder: Path) -> None:
    grammar = call_grammar(TOOLS)
    good, bad = _call("run_tests", path="anything"), _call("run_tests", file="anything")
    accepted = [
        _accepts(tiny_folder, grammar, text.removeprefix("<tool_call>")) for text in (good, bad)
    ]
    assert accepted == [True, False]


@pytest.mark.parametrize(
    "text",
    ["", "   ", "...", '"', "\\", "tests\\a.py", "ünïcødé/パス.py", "{{}}", "%json", "a" * 9000],
)
def test_any_prompt_gives_a_valid_grammar(tiny_folder: Path, text: str) -> None:
    grammar = reply_grammar([{"role": "user", "content": text}], TOOLS, copied=COPIED)
    assert _accepts(tiny_folder, grammar, _call("run_tests", path="."))


def test_path_words_lose_what_people_put_around_them() -> None:
    words = path_words(["Lint (`src/app/`), 'x.py', ./y.py:3:1 and z.py's .github!"])
    assert [w for w in words if "/" in w or "." in w] == [
        "src/app",
        "x.py",
        "./y.py:3:1",
        "./y.py",
        "z.py's",
        "z.py",
        ".github",
        ".",
    ]
