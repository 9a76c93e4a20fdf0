"""What a person reads in the terminal, whatever a model wrote."""

from __future__ import annotations

import io

import pytest

from punie.agent.cli.terminal import Terminal


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
