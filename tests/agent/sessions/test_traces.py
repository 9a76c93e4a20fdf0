"""Traces: only when wanted, without secrets, and readable as training examples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.agent.runtime import Runtime
from punie.agent.sessions.redact import Redactor
from punie.train.data.example import Example

SECRET = "q7Zk-not-a-word-93hdk2"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("OPENAI_API_KEY=sk-proj-abcdefghijklmnop1234", "OPENAI_API_KEY=[redacted]"),
        ('{"password": "hunter2hunter2"}', '{"password": "[redacted]"}'),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"),
        ("git clone https://ada:s3cr3t99@example.org/x", "git clone https://ada:[redacted]@example.org/x"),
        ("ghp_abcdefghijklmnopqrstuvwx done", "[redacted] done"),
        ("AKIAABCDEFGHIJKLMNOP", "[redacted]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "[redacted]\nx"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "[redacted]"),
        (f"it is {SECRET}!", "it is [redacted]!"),
        ("see /home/ada/project/a.py", "see ~/project/a.py"),
        ("see /Users/bob/project/a.py", "see ~/project/a.py"),
        (r"see C:\Users\bob\a.py", r"see ~\a.py"),
        ("def tokenize(token: str) -> list[str]:", "def tokenize(token: str) -> list[str]:"),
        ("passwords are checked in auth.py", "passwords are checked in auth.py"),
        ("a short FOO_TOKEN value", "a short FOO_TOKEN value"),
    ],
)  # fmt: skip
def test_secrets_and_homes_are_taken_out_and_code_is_left(text: str, clean: str) -> None:
    redactor = Redactor(environ={"MY_TOKEN": SECRET, "FOO_TOKEN": "value"}, home=Path("/home/ada"))
    assert redactor.text(text) == clean


def test_a_value_under_a_secret_name_is_taken_out_whatever_it_is() -> None:
    redactor = Redactor(environ={}, home=Path("/home/ada"))
    assert redactor.value({"api_key": "short", "n": 1, "list": ["/home/ada"]}) == {
        "api_key": "[redacted]",
        "n": 1,
        "list": ["~"],
    }


async def lines(tmp_path: Path, settings: str, *prompts: str) -> list[bytes]:
    home, project = tmp_path / "home", tmp_path / "home" / "project"
    project.mkdir(parents=True)
    (project / "a.txt").write_text("one\n")
    (home / ".config" / "punie").mkdir(parents=True)
    (home / ".config" / "punie" / "config.toml").write_text(settings)
    runtime = Runtime(model="test", environ={"HOME": str(home)})
    session = runtime.open_session(project, session_id="s", mode="edit")
    for prompt in prompts:
        await session.prompt(prompt)
    await runtime.aclose()
    trace = home / ".local" / "state" / "punie" / "traces" / "s.jsonl"
    return trace.read_bytes().splitlines() if trace.exists() else []


async def test_nothing_is_traced_unless_the_person_says_so(tmp_path: Path) -> None:
    assert await lines(tmp_path, "", "hello") == []


async def test_each_turn_is_one_example_that_training_can_read(tmp_path: Path) -> None:
    written = await lines(tmp_path, "traces = true", "read a.txt", "write b.txt token=abcdefgh12")
    examples = [msgspec.json.decode(line, type=Example) for line in written]
    assert [(e.prompt, e.tool, e.arguments) for e in examples] == [
        ("read a.txt", "read_file", {"path": "a.txt"}),
        (
            "write b.txt token=[redacted]",
            "write_file",
            {"path": "b.txt", "content": "token=[redacted]"},
        ),
    ]
    assert [m.role for m in examples[0].messages] == ["user", "assistant", "tool", "assistant"]
    assert examples[0].messages[2].content == "a.txt, 1 line\none\n"
    assert examples[0].provenance == "trace:test"
    assert len({e.id for e in examples}) == 2


async def test_a_project_cannot_ask_for_traces(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.punie]\ntraces = true\n")
    assert await lines(tmp_path, "", "hello") == []


SPANS = """
import asyncio, json, sys
from pathlib import Path
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, Tracer, TracerProvider

class Told(TracerProvider):
    names = []
    def get_tracer(self, *_args, **_options):
        return Writes()

class Writes(Tracer):
    def start_span(self, name, *_args, attributes=None, **_options):
        Told.names.append([name, json.dumps(dict(attributes or {}), default=str)])
        return NonRecordingSpan(SpanContext(1, 1, False))
    def start_as_current_span(self, name, *args, **options):
        options.pop("end_on_exit", None); options.pop("record_exception", None)
        options.pop("set_status_on_exception", None)
        return trace.use_span(self.start_span(name, *args, **options))

trace.set_tracer_provider(Told())
from punie.agent.runtime import Runtime

async def main():
    runtime = Runtime(model="test")
    session = runtime.open_session(Path(sys.argv[1]), mode="edit")
    await session.prompt("read a.txt")
    await runtime.aclose()

asyncio.run(main())
print(json.dumps(Told.names))
"""


@pytest.mark.parametrize("wanted", [True, False])
def test_runs_are_told_to_opentelemetry_only_when_the_person_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    home = tmp_path / "home"
    (home / ".config" / "punie").mkdir(parents=True)
    (home / ".config" / "punie" / "config.toml").write_text(f"spans = {str(wanted).lower()}")
    (tmp_path / "a.txt").write_text("very private text\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    done = subprocess.run(
        [sys.executable, "-c", SPANS, str(tmp_path)], capture_output=True, text=True, check=True
    )
    told: list[Any] = json.loads(done.stdout)
    names = {name.split()[0] for name, _ in told}
    assert names == ({"invoke_agent", "chat", "execute_tool"} if wanted else set())
    assert "very private text" not in done.stdout
