"""A scripted OpenAI-compatible model that times how an agent calls it; `benchmarks/agent.py` uses it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from pathlib import Path
from typing import Any

WORDS = 4_000
STEPS = 24


@dataclass
class Model:
    """What the scripted model does next, and what it saw."""

    task: str = "edit"
    held: float = 0.0
    """Seconds in which it held a request, in this turn."""
    arrivals: list[float] = field(default_factory=list[float])
    """When requests came, on the clock of `time.perf_counter`."""
    cpu: list[float] = field(default_factory=list[float])
    """CPU of the agent at each arrival."""
    first_chunk: float = 0.0
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when a client goes away in the middle of an answer of the task `hold`."""
    measure: Callable[[], float] | None = None
    target: Path = Path()
    """The file that is read and edited."""
    count: int = 0
    """Edits that were asked for."""

    def begin(self, task: str) -> None:
        """Start a turn."""
        self.task, self.held, self.first_chunk = task, 0.0, 0.0
        self.arrivals, self.cpu = [], []
        self.closed.clear()

    def arrived(self) -> float:
        """Note that a request came; when that was."""
        self.arrivals.append(time.perf_counter())
        if self.measure is not None:
            self.cpu.append(self.measure())
        return self.arrivals[-1]

    def hold(self, connection: BufferedIOBase) -> bool:
        """Say no more until the client closes the connection, when that is the task."""
        if self.task == "hold" and not connection.read(1):
            self.closed.set()
        return self.task == "hold"

    def reply(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Decide what is streamed."""
        turn = 0
        for message in reversed(body["messages"]):
            if message["role"] == "user":
                break
            turn += message["role"] == "tool"
        tools = [tool["function"] for tool in body.get("tools", [])]
        if self.task == "stream":
            return [{"content": f"word{n} "} for n in range(WORDS)]
        if self.task == "steps" and turn < STEPS:
            return [self._call(tools, ("read_file", "read", "read_text_file"), line=turn + 1)]
        if self.task == "edit" and turn == 0:
            return [self._call(tools, ("read_file", "read", "read_text_file"))]
        if self.task == "edit" and turn == 1:
            return [
                self._call(tools, ("edit_file", "replace", "edit", "write_file", "write_text_file"))
            ]
        return [{"content": "done"}]

    def _call(
        self, tools: list[dict[str, Any]], names: Sequence[str], line: int = 1
    ) -> dict[str, Any]:
        """Call the first tool of these names that the agent offers, with arguments that it takes."""
        offered = {tool["name"].rpartition("__")[2].rpartition("-")[2]: tool for tool in tools}
        tool = next((offered[name] for name in names if name in offered), None)
        if tool is None:
            raise SystemExit(f"the agent offers none of {names}: {sorted(offered)}")
        arguments: dict[str, Any] = {}
        for name, schema in tool["parameters"].get("properties", {}).items():
            low = name.lower()
            if "path" in low or low == "file":
                arguments[name] = str(self.target)
            elif low.startswith("old"):
                arguments[name] = f"value = {self.count}\n"
            elif low.startswith("new") or low in {"content", "contents", "text"}:
                arguments[name] = f"value = {self.count + 1}\n"
            elif low in {"line", "offset", "start_line"} and line > 1:
                arguments[name] = line
            elif name in tool["parameters"].get("required", []):
                arguments[name] = "x" if schema.get("type") == "string" else 1
        if tool["name"] not in {"read_file", "read_text_file"} and "read" not in tool["name"]:
            self.count += 1
        function = {"name": tool["name"], "arguments": json.dumps(arguments)}
        return {
            "tool_calls": [
                {"index": 0, "id": f"c{time.time_ns()}", "type": "function", "function": function}
            ]
        }


def handler(model: Model) -> type[BaseHTTPRequestHandler]:
    """Make what serves a model over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        # As model servers do: a connection serves many requests.
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            found = self.path.endswith("/models")
            self._send(200 if found else 404, json.dumps({"data": [{"id": "fake"}]}).encode())

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.path.endswith("/chat/completions"):
                self._send(404, b"{}")
                return
            began = model.arrived()
            body = json.loads(raw)
            deltas = model.reply(body)
            finish = "tool_calls" if "tool_calls" in deltas[0] else "stop"
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for delta in deltas:
                self._chunk({
                    "index": 0,
                    "delta": {"role": "assistant", **delta},
                    "finish_reason": None,
                })
                model.first_chunk = model.first_chunk or time.perf_counter()
            self.close_connection = model.hold(self.rfile)
            if self.close_connection:
                return
            self._chunk({"index": 0, "delta": {}, "finish_reason": finish})
            self._write(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
            model.held += time.perf_counter() - began

        def _chunk(self, choice: dict[str, Any]) -> None:
            chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
            self._write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())

        def _write(self, piece: bytes) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
