"""Reading what local models write instead of calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punie.agent.models.dialects import bare_calls, cut_call, read_calls
from punie.agent.models.repairs import CallText, mend, near_name, read_object
from punie.agent.models.splitting import TagSplitter, TextGate

PARAMETERS = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "line": {"type": "integer", "default": 0}},
    "required": ["path"],
}
TOOLS = [{"type": "function", "function": {"name": "read_file", "parameters": PARAMETERS}}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "read_file", "arguments": {"path": "a"}}', {"path": "a"}),
        ('{"name": "read_file", "parameters": {"path": "a"}}', {"path": "a"}),
        ('{"name": "read_file", "arguments": "{\\"path\\": \\"a\\"}"}', {"path": "a"}),
        ('{"name": "read_file", "arguments": {"path": "a", "line": null}}', {"path": "a"}),
        ('{"name": "read_file", "arguments": {"path": null}}', {"path": None}),
        ('{"name": "read_file", "arguments": {"path": "a\nb"}}', {"path": "a\nb"}),
        ("{'name': 'read_file', 'arguments': {'path': 'a'}}", {"path": "a"}),
        ("<function=read_file><parameter=path>a</parameter></function>", {"path": "a"}),
        (
            "<function=read_file><parameter=path>\na\n</parameter><parameter=line>7</parameter>",
            {"path": "a", "line": 7},
        ),
        (
            "<function=read_file><parameter=path>7</parameter><parameter=line>x</parameter>",
            {"path": "7", "line": "x"},
        ),
    ],
)
def test_a_complete_call_is_read(text: str, expected: dict[str, Any]) -> None:
    (call,) = read_calls(text, TOOLS)
    assert call[:2] == ("read_file", expected)


def test_a_cut_call_keeps_its_text_as_it_is() -> None:
    text = '{"name": "read_file", "arguments": {"path": "a'
    assert read_calls(text, TOOLS, closed=False) == []
    assert cut_call(text) == CallText("read_file", text)


@pytest.mark.parametrize("text", ["", "hello", "[1, 2]", '{"path": "a"}', "{"])
def test_what_is_no_call_is_none(text: str) -> None:
    assert read_calls(text, TOOLS) == []


@pytest.mark.parametrize("text", ["[1]", "7", "null", "path=a", '"text"'])
def test_a_repair_that_is_no_object_is_refused(text: str) -> None:
    assert read_object(text) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Read-File", "read_file"),
        ("functions.read_file", "read_file"),
        ("readfile", "read_file"),
        ("reed_file", "reed_file"),
        ("delete_file", "delete_file"),
    ],
)
def test_only_spelling_variants_of_a_name_are_mended(name: str, expected: str) -> None:
    assert near_name(name, ["read_file", "lint"]) == expected


def test_bare_json_of_an_unknown_tool_is_no_call() -> None:
    assert bare_calls('{"name": "Ada", "arguments": {}}', TOOLS) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"path": "a.py", "content": "pri',
        "{'path': 'a.py', 'content': 'pri",
        '{"path": "a.py", "content": "print(\\"',
        '{"path": "a.py" // the code\n}',
    ],
)
def test_a_repair_that_would_close_or_change_a_value_is_refused(text: str) -> None:
    assert read_object(text) is None


def test_quotes_that_were_not_escaped_stay_in_the_value() -> None:
    assert read_object('{"old": "say "hi" twice", "new": ""}') == {
        "old": 'say "hi" twice',
        "new": "",
    }


def test_missing_brackets_are_added_only_to_what_was_said_to_be_complete() -> None:
    text = '{"path": "a.py"'
    assert (read_object(text), read_object(text, closed=False)) == ({"path": "a.py"}, None)


def test_an_unknown_argument_that_may_matter_stays_and_is_not_dropped() -> None:
    call = mend(CallText("read_file", {"path": "a", "raw": True, "reason": "to see"}), TOOLS)
    assert call.arguments == {"path": "a", "raw": True}
    assert call.mended == ("reason left out",)


@given(st.text(alphabet="ab`[{(\n ", max_size=40), st.integers(1, 5))
def test_the_gate_loses_nothing_and_keeps_the_order(text: str, size: int) -> None:
    gate = TextGate(["read_file"])
    shown = "".join(gate.feed(text[i : i + size]) for i in range(0, len(text), size))
    assert shown + gate.finish() == text


@given(
    st.lists(
        st.sampled_from([
            "<think>",
            "</think>",
            "<tool_call>",
            "</tool_call>",
            "a<b",
            "x ",
            '"',
            "{",
            "\n```\n",
        ])
    ),
    st.integers(1, 7),
)
def test_the_splitter_does_not_care_how_a_reply_is_cut(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    whole, cut = TagSplitter(), TagSplitter()
    at_once = [*whole.feed(text), *whole.finish()]
    in_pieces = [p for i in range(0, len(text), size) for p in cut.feed(text[i : i + size])]
    in_pieces += cut.finish()
    assert _joined(in_pieces) == _joined(at_once)


def _joined(pieces: list[Any]) -> list[list[str]]:
    joined: list[list[str]] = []
    for kind, text in pieces:
        if joined and joined[-1][0] == kind:
            joined[-1][1] += text
        elif text:
            joined.append([kind, text])
    return joined


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3))
def test_valid_json_is_never_changed(value: dict[str, str]) -> None:
    assert read_object(json.dumps(value)) == value
