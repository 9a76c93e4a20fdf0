"""`punie ask` as a person meets it: what goes where, and every exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from punie.agent.cli import ask
from punie.agent.permissions import policy

Punie = Callable[..., "subprocess.CompletedProcess[str]"]
PUNIE = [sys.executable, "-c", "from punie.cli.main import main; main()"]


def test_the_answer_goes_to_stdout_and_the_tools_to_stderr(punie: Punie) -> None:
    done = punie("ask", "--model", "test", "read a.txt")
    assert (done.returncode, done.stdout) == (0, "read_file: a.txt, 1 line\n")
    tokens = "50 new and 0 cached tokens in, "
    tools = [line for line in done.stderr.splitlines() if not line.startswith(tokens)]
    assert tools == ["✓ Read a.txt: a.txt, 1 line"]
    assert len(done.stderr.splitlines()) == 3


def test_an_answer_that_is_cut_off_exits_1(punie: Punie, project: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", BROKEN_SERVER], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        port = server.stdout.readline().strip()
        done = punie("ask", "--model", f"local:http://127.0.0.1:{port}/v1/m", "hello")
    finally:
        server.kill()
        server.communicate()
    assert done.returncode == 1
    assert "broke off in mid-answer" in done.stderr
    assert [
        line.startswith("The model's answer broke off") for line in done.stderr.splitlines()
    ] == [
        *(True, True),
        False,
    ]


BROKEN_SERVER = """
import http.server
class Broken(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"object": "list", "data": [{"id": "m"}]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        piece = '{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "half"}}]}'
        self.wfile.write(f"data: {piece}\\n\\n".encode())
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Broken)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask"], "Missing argument"),
        (["ask", "--mode", "yolo", "x"], "yolo"),
        (["ask", "--cwd", "/does/not/exist", "x"], "/does/not/exist"),
        (["ask", "--nonsense", "x"], "--nonsense"),
    ],
)
def test_wrong_usage_exits_2(punie: Punie, arguments: list[str], words: str) -> None:
    done = punie(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_an_unknown_setting_exits_2_and_names_it(punie: Punie, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.punie]\nmodle = "test"\n')
    done = punie("ask", "hello")
    assert done.returncode == 2
    assert "unknown setting modle in [tool.punie]" in done.stderr


def test_no_server_exits_3_and_names_the_url_and_a_command(punie: Punie) -> None:
    done = punie("ask", "--model", "local:http://127.0.0.1:9/v1/m", "hello")
    assert done.returncode == 3
    assert "http://127.0.0.1:9/v1" in done.stderr
    assert "mlx_lm.server" in done.stderr
    assert done.stdout == ""


def test_an_unknown_model_exits_3(punie: Punie) -> None:
    done = punie("ask", "--model", "nonsense", "hello")
    assert done.returncode == 3
    assert "unknown model 'nonsense'" in done.stderr


@pytest.mark.parametrize("prompt", ["write new.txt text", "run touch new.txt"])
def test_a_permission_that_nobody_gives_exits_4_and_changes_nothing(
    punie: Punie, project: Path, prompt: str
) -> None:
    done = punie("ask", "--model", "test", prompt)
    assert done.returncode == 4
    assert [path.name for path in project.iterdir()] == ["a.txt"]
    assert "--yes allows what is asked" in done.stderr


def test_yes_allows_what_is_asked(punie: Punie, project: Path) -> None:
    done = punie("ask", "--model", "test", "--yes", "write new.txt text")
    assert done.returncode == 0
    assert (project / "new.txt").read_text() == "text"


def test_yes_does_not_change_what_a_mode_forbids(punie: Punie, project: Path) -> None:
    done = punie("ask", "--model", "test", "--yes", "--mode", "plan", "write new.txt text")
    assert done.returncode == 4
    assert not (project / "new.txt").exists()


def test_the_project_chooses_the_model_and_may_tighten_the_mode(
    punie: Punie, project: Path
) -> None:
    (project / "pyproject.toml").write_text('[tool.punie]\nmodel = "test"\nmode = "plan"\n')
    done = punie("ask", "--yes", "--cwd", str(project), "write new.txt text", cwd=project.parent)
    assert done.returncode == 4
    assert "mode plan" in done.stdout
    assert not (project / "new.txt").exists()


def test_a_cloned_project_cannot_grant_itself_anything(punie: Punie, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.punie]\nmodel = "test"\nmode = "bypass"\n')
    done = punie("ask", "write new.txt text")
    assert done.returncode == 4
    assert not (project / "new.txt").exists()


def test_a_person_chooses_the_mode_for_all_projects(
    punie: Punie, project: Path, home: Path
) -> None:
    settings = home / ".config" / "punie" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('model = "test"\nmode = "edit"\n')
    assert punie("ask", "write new.txt text").returncode == 0
    assert (project / "new.txt").read_text() == "text"


def test_json_writes_one_line_per_event_and_the_result_last(punie: Punie) -> None:
    done = punie("ask", "--model", "test", "--json", "read a.txt")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["type"] for line in lines[:2]] == ["user_message", "state_update"]
    result = lines[-1]
    assert result["type"] == "result"
    assert result["stop_reason"] == "end_turn"
    assert result["text"] == "read_file: a.txt, 1 line"
    assert result["tool_calls"][0] | {"tool_call_id": ""} == {
        "tool_call_id": "",
        "name": "read_file",
        "arguments": {"path": "a.txt"},
        "status": "completed",
        "ok": True,
    }
    assert result["usage"]["requests"] == 2


def test_json_tells_the_reason_of_a_failure_too(punie: Punie) -> None:
    done = punie("ask", "--model", "nonsense", "--json", "hello")
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["stop_reason"], done.returncode) == ("error", 3)
    assert "unknown model" in result["error"]


def start(project: Path, environment: dict[str, str], *arguments: str, **options: Any) -> Any:
    return subprocess.Popen(
        [*PUNIE, "ask", *arguments],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **{"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options,
    )


def test_ctrl_c_while_it_streams_exits_130(project: Path, environment: dict[str, str]) -> None:
    process = start(project, environment, "--model", "test", "count slowly")
    assert process.stdout.read(2) == "1 "
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_ctrl_c_while_a_command_runs_kills_it(project: Path, environment: dict[str, str]) -> None:
    command = "run echo $$ > pid; sleep 600"
    process = start(project, environment, "--model", "test", "--yes", command)
    pid = project / "pid"
    while not (pid.exists() and pid.read_text().strip()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == 130
    with suppress(ProcessLookupError):  # the test's time-out ends it otherwise
        while True:
            os.killpg(int(pid.read_text()), 0)
            time.sleep(0.02)


def test_ctrl_c_while_a_model_server_is_slow_exits_130(
    project: Path, environment: dict[str, str]
) -> None:
    silent = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); c = s.accept(); print('asked', flush=True); input()"
    server = subprocess.Popen(
        [sys.executable, "-c", silent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        port = server.stdout.readline().strip()
        url = f"local:http://127.0.0.1:{port}/v1/m"
        process = start(project, environment, "--model", url, "hello")
        assert server.stdout.readline() == "asked\n"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=5)
    finally:
        server.kill()
        server.communicate()
    assert process.returncode == 130
    assert time.monotonic() - began < 3


def test_a_broken_pipe_ends_quietly(project: Path, environment: dict[str, str]) -> None:
    process = start(project, environment, "--model", "test", "count slowly")
    assert process.stdout.read(2) == "1 "
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")


def at_a_terminal(
    project: Path,
    environment: dict[str, str],
    answer: bytes,
    *options: str,
    prompt: str = "write new.txt text",
    until: bytes = b"Reject once",
) -> tuple[int, bytes, str]:
    """Ask at a terminal, and type an answer when a question is there."""
    person, terminal = pty.openpty()
    arguments = ("--model", "test", *options, prompt)
    process = start(project, environment, *arguments, stdin=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    while until not in seen:
        seen += os.read(person, 1024)
    os.write(person, answer)
    said, _ = process.communicate(timeout=10)
    os.close(person)
    return process.returncode, seen, said


@pytest.mark.parametrize(("answer", "code", "written"), [(b"1\n", 0, True), (b"3\n", 4, False)])
def test_a_person_at_the_terminal_decides(
    project: Path, environment: dict[str, str], answer: bytes, code: int, written: bool
) -> None:
    returncode, seen, _ = at_a_terminal(project, environment, answer)
    assert b"Write new.txt" in seen
    assert b"+text" in seen  # the change is shown before it is asked about
    assert (returncode, (project / "new.txt").exists()) == (code, written)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (b"2\n", "answered: b.py"),
        (b"neither\n", "answered: neither"),
        (b"\n", "does not want to answer"),
        (b"\x04", "nobody is there to answer"),
    ],
)
def test_a_person_at_the_terminal_answers_what_the_model_asks_also_with_yes(
    project: Path, environment: dict[str, str], typed: bytes, said: str
) -> None:
    code, seen, answer = at_a_terminal(
        project, environment, typed, "--yes", prompt="ask Which? | a.py | b.py", until=b"words: "
    )
    assert b"? Which?\r\n  1 a.py\r\n  2 b.py\r\n" in seen
    assert (code, said in answer) == (0, True)


@pytest.mark.parametrize("options", [(), ("--yes",)])
def test_what_the_model_asks_where_nobody_reads_is_no_denial(punie: Punie, options: Any) -> None:
    done = punie("ask", "--model", "test", *options, "ask Which? | a.py | b.py")
    assert (done.returncode, done.stdout.split(":")[1]) == (0, " error")
    assert "nobody is there to answer" in done.stdout


def test_the_modes_of_the_option_are_those_of_the_policy() -> None:
    assert ask.MODES == policy.MODES
