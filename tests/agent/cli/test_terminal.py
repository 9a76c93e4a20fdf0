"""What a person reads in the terminal, whatever a model wrote."""

from __future__ import annotations

import io

import pytest

from punie.agent.cli.terminal import Terminal
from punie.agent.events import ChangedFile, DiffContent, FilesChanged, ToolCallUpdate


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("rm x #\x1b[2K\r? ls", "rm x #\\x1b[2K\\r? ls"),
        ("a\x9b2Kb\x08\x7f", "a\\x9b2Kb\\x08\\x7f"),
        ("a\u202eb", "a\\u202eb"),
        ("two\n\tlines, grün ✓", "two\n\tlines, grün ✓"),
    ],
)
def test_a_question_cannot_be_rewritten_by_what_it_is_about(written: str, shown: str) -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.prompt(written)
    terminal.line(written)
    assert stream.getvalue() == f"{shown}{shown}\n"


def test_a_change_is_shown_as_a_diff_with_what_a_terminal_would_obey_spelled_out() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    diff = DiffContent(path="/p/a.py", old_text="one\ntwo\n", new_text="one\n2\x1b[2K\n")
    terminal.see(ToolCallUpdate(tool_call_id="c", status="pending", content=(diff,)))
    terminal.changes("c")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["--- /p/a.py", "+++ /p/a.py"]
    assert lines[3:] == [" one", "-two", "+2\\x1b[2K"]


def test_a_new_file_is_compared_with_nothing() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    diff = DiffContent(path="/p/new.py", old_text=None, new_text="one\n")
    terminal.see(ToolCallUpdate(tool_call_id="c", status="pending", content=(diff,)))
    terminal.changes("c")
    assert stream.getvalue().splitlines()[0] == "--- /dev/null"


def test_what_a_turn_changed_is_listed() -> None:
    stream = io.StringIO()
    file = ChangedFile(path="/p/a.py", name="a.py", change="added")
    Terminal(stream).see(FilesChanged(checkpoint=1, files=(file,)))
    assert stream.getvalue() == "Changed a.py (new)\n"
