"""Log lines go to stderr, without secrets, and cost nothing until somebody logs."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

from punie.cli.log import REDACTED, level, redact

RunPunie = Callable[..., CompletedProcess[str]]
Plug = Callable[..., None]

LOGGING = """
    import click

    @click.command()
    def talk():
        "Log a little."
        import logging, structlog

        logging.getLogger("lib").warning("dialled ws://127.0.0.1:1/agents?token=s3cret")
        log = structlog.get_logger()
        log.info("not shown by default")
        log.warning("hub found", token="s3cret", session="s1", params={"_meta": {"k": 1}, "n": 2})
        click.echo("answer")
"""


@pytest.fixture
def talk(run_punie: RunPunie, plug: Plug) -> RunPunie:
    plug("talking", "talking_module", LOGGING, talk="talking_module:talk")

    def run(**environment: str) -> CompletedProcess[str]:
        return run_punie("talk", **environment)

    return run


def test_log_lines_go_to_stderr_and_never_to_stdout(talk: RunPunie) -> None:
    run = talk()
    assert run.stdout == "answer\n"
    assert 'level=warning event="hub found"' in run.stderr


def test_records_of_the_standard_library_go_the_same_way(talk: RunPunie) -> None:
    assert f'event="dialled ws://127.0.0.1:1/agents?token={REDACTED}" logger=lib' in talk().stderr


def test_tokens_and_meta_are_not_logged(talk: RunPunie) -> None:
    errors = talk().stderr
    assert "s3cret" not in errors
    assert f"token={REDACTED}" in errors
    assert "session=s1" in errors


def test_the_level_is_warning_unless_the_environment_says_otherwise(talk: RunPunie) -> None:
    assert "not shown by default" not in talk().stderr
    assert "not shown by default" in talk(PUNIE_LOG="info").stderr


def test_an_unknown_level_means_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNIE_LOG", "loud")
    assert level() == 30


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"token": "x", "path": "a.py"}, {"token": REDACTED, "path": "a.py"}),
        ({"_meta": {"a": 1}}, {"_meta": REDACTED}),
        ({"headers": {"Authorization": "Bearer x"}}, {"headers": {"Authorization": REDACTED}}),
        ([{"api_key": "x"}], [{"api_key": REDACTED}]),
        ({"input_tokens": 12}, {"input_tokens": 12}),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {REDACTED}"),
        ("ws://127.0.0.1:1/agents?token=abc&x=1", f"ws://127.0.0.1:1/agents?token={REDACTED}&x=1"),
        ("key sk-abcdefghijkl used", f"key {REDACTED} used"),
        ("nothing to hide", "nothing to hide"),
        (3, 3),
    ],
)
def test_secrets_are_taken_out_wherever_they_stand(value: Any, expected: Any) -> None:
    assert redact(value) == expected
