"""Punie calls nobody: a start and a turn with a local model, watched by the kernel.

strace sees every connection, every datagram and every program that is started. Without strace the
test is skipped.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

STRACE = shutil.which("strace") or ""
CALLS = "trace=connect,sendto,sendmsg,sendmmsg,execve"
INSTALLERS = ("pip", "uv", "npm", "apt", "curl", "wget", "git clone", "conda", "brew")
ADDRESS = re.compile(r'sa_family=AF_INET6?.*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)')
PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
LOCAL = re.compile(r"127\.|::1$|::ffff:127\.|0\.0\.0\.0$|::$")

pytestmark = [
    pytest.mark.skipif(not STRACE, reason="strace is not installed (apt install strace)"),
    pytest.mark.timeout(180),
]


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'model': 'fake', 'choices': [choice]})}\n\n".encode()


class Model(BaseHTTPRequestHandler):
    """A local model server: reads a file once, then answers."""

    def do_GET(self) -> None:
        found = self.path == "/v1/models"
        self._send(200 if found else 404, json.dumps({"data": [{"id": "fake"}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            self._send(404, b"{}")
        elif any(message["role"] == "tool" for message in body["messages"]):
            self._send(200, _chunk({"content": "It has one line."}, "stop") + b"data: [DONE]\n\n")
        else:
            function = {"name": "read_file", "arguments": '{"path": "a.txt"}'}
            calls = [{"index": 0, "id": "c", "type": "function", "function": function}]
            self._send(200, _chunk({"tool_calls": calls}, "tool_calls") + b"data: [DONE]\n\n")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def model(serve: Callable[..., str]) -> str:
    """A model server on this machine; its URL."""
    return f"local:{serve(Model)}/v1/fake"


def _watched(command: list[str], environment: dict[str, str], folder: Path) -> list[str]:
    """Run a command to its end; give what the kernel was asked."""
    trace = folder.parent / "trace"
    done = subprocess.run(
        [STRACE, "-f", "-qq", "-s", "200", "-e", CALLS, "-o", str(trace), *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "It has one line." in done.stdout
    return trace.read_text().splitlines()


def test_a_start_and_a_turn_connect_only_to_the_model_on_this_machine(
    model: str, project: Path, environment: dict[str, str], punie: list[str]
) -> None:
    (project / "a.txt").write_text("one\n")
    lines = _watched([*punie, "ask", "--model", model, "What is in a.txt?"], environment, project)
    addresses = [found[1] for line in lines if (found := ADDRESS.search(line))]
    ports = [found[1] for line in lines if (found := PORT.search(line))]
    started = [line for line in lines if "execve(" in line and " = 0" in line]
    assert any(LOCAL.match(address) for address in addresses), "strace saw no connection at all"
    assert [address for address in addresses if not LOCAL.match(address)] == []
    assert "53" not in ports, "a name was looked up"
    assert not [line for line in lines if "nscd/socket" in line or "systemd/resolve" in line]
    installs = [line for line in started if any(f'"{name}' in line for name in INSTALLERS)]
    assert installs == []


def test_the_watch_would_see_a_connection_outside(tmp_path: Path) -> None:
    """A test that cannot fail is worth nothing: an address of nobody (RFC 5737) is seen."""
    trace = tmp_path / "trace"
    code = (
        "import socket\ns = socket.socket()\ns.settimeout(0.01)\n"
        "try:\n    s.connect(('192.0.2.1', 9))\nexcept OSError:\n    pass\n"
    )
    subprocess.run(
        [STRACE, "-f", "-qq", "-e", CALLS, "-o", str(trace), sys.executable, "-c", code], check=True
    )
    addresses = ADDRESS.findall(trace.read_text())
    assert [address for address in addresses if not LOCAL.match(address)] == ["192.0.2.1"]
