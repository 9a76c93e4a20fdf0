"""A scripted JetBrains IDE against the real `punie acp --model test`.

Follows a capture of WebStorm 2026.1: two `initialize`, two `session/new` at once, every config
option set again before each prompt, files but no terminal, tokens in `_meta`, SIGTERM in the end; then
the IDE is opened again and loads the session without MCP servers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

TOKEN = "jb-gateway-token-0451"
COMMAND = [sys.executable, "-m", "punie", "acp", "--model", "test"]
INITIALIZE = {
    "protocolVersion": 1,
    "clientCapabilities": {
        "fs": {"readTextFile": True, "writeTextFile": True},
        "terminal": False,
        "auth": {"_meta": {"gateway": True}},
        "_meta": {"terminal-auth": True},
    },
    "clientInfo": {
        "name": "JetBrains.PyCharm",
        "version": "2026.1.2",
        "_meta": {"platform": "intellij"},
    },
    "_meta": {"proxyConfig": {"token": TOKEN, "headers": {"Authorization": f"Bearer {TOKEN}"}}},
}


class Ide:
    """The IDE's end of the pipes."""

    def __init__(self, process: subprocess.Popen[bytes], project: Path) -> None:
        self.process = process
        self.project = project
        self.frames: list[Any] = []
        self.next_id = 0

    def begin(self, method: str, params: dict[str, Any]) -> int:
        self.next_id += 1
        self.send({"id": self.next_id, "method": method, "params": params})
        return self.next_id

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode({"jsonrpc": "2.0"} | message) + b"\n")
        self.process.stdin.flush()

    def answer(self, request_id: int) -> Any:
        """Read, and serve what the agent asks, until the answer is there."""
        while True:
            for frame in self.frames:
                if frame.get("id") == request_id and "method" not in frame:
                    return frame["result"]
            assert self.process.stdout is not None
            self.frames.append(msgspec.json.decode(self.process.stdout.readline()))
            if {"method", "id"} <= self.frames[-1].keys():
                self.serve(self.frames[-1])

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        return self.answer(self.begin(method, params))

    def serve(self, request: Any) -> None:
        params, result = request["params"], {}
        match request["method"]:
            case "session/request_permission":
                option = params["options"][0]["optionId"]
                result = {"outcome": {"outcome": "selected", "optionId": option}}
            case "fs/write_text_file":
                Path(params["path"]).write_text(params["content"], encoding="utf-8")
            case "fs/read_text_file":
                if not Path(params["path"]).exists():
                    error = {"code": -32002, "message": "Resource not found"}
                    return self.send({"id": request["id"], "error": error})
                result = {"content": Path(params["path"]).read_text("utf-8")}
            case other:
                raise AssertionError(f"{other} was never advertised")
        return self.send({"id": request["id"], "result": result})

    def prompt(self, session: dict[str, Any], text: str) -> Any:
        """Set every config option to what it is, then prompt."""
        for option in session["configOptions"]:
            params = {"configId": option["id"], "value": option["currentValue"]}
            answer = self.ask(
                "session/set_config_option", params | {"sessionId": session["sessionId"]}
            )
            assert [one["id"] for one in answer["configOptions"]] == [
                one["id"] for one in session["configOptions"]
            ]
        return self.answer(self.begin_prompt(session, text))

    def begin_prompt(self, session: dict[str, Any], text: str) -> int:
        return self.begin(
            "session/prompt",
            {
                "sessionId": session["sessionId"],
                "prompt": [{"type": "text", "text": text}],
                "_meta": {"additionalRoots": [], "token": TOKEN},
            },
        )

    def kinds(self, session: dict[str, Any]) -> list[str]:
        return [
            frame["params"]["update"]["sessionUpdate"]
            for frame in self.frames
            if frame.get("method") == "session/update"
            and frame["params"]["sessionId"] == session["sessionId"]
        ]

    def texts(self, session: dict[str, Any], kind: str) -> str:
        return "".join(
            frame["params"]["update"]["content"]["text"]
            for frame in self.frames
            if frame.get("method") == "session/update"
            and frame["params"]["sessionId"] == session["sessionId"]
            and frame["params"]["update"]["sessionUpdate"] == kind
        )

    def stop(self) -> None:
        """What the IDE does when its window closes."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(2) == 0


StartIde = Callable[[], Ide]


@pytest.fixture
def start_ide(tmp_path: Path) -> Iterator[StartIde]:
    """Start agents one after another, as an IDE does that is closed and opened again.

    Everything is logged, and turns are traced: the most that can be written down.
    """
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    (home / "config" / "punie").mkdir(parents=True)
    (home / "config" / "punie" / "config.toml").write_text("traces = true\n", encoding="utf-8")
    places = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "PUNIE_LOG": "debug",
    }
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> Ide:
        with (tmp_path / f"stderr-{len(processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | places,
                start_new_session=True,
            )
        processes.append(process)
        return Ide(process, project)

    yield start
    for process in processes:
        with process:
            process.kill()


def test_a_scripted_jetbrains_ide_is_served_and_no_token_is_written_anywhere(
    start_ide: StartIde, tmp_path: Path
) -> None:
    ide = start_ide()
    first = ide.ask("initialize", INITIALIZE)
    assert first["protocolVersion"] == 1
    assert ide.ask("initialize", INITIALIZE) == first

    new = {"cwd": str(ide.project), "mcpServers": [], "_meta": {"token": TOKEN}}
    both = [ide.begin("session/new", new) for _ in range(2)]
    left, right = [ide.answer(request_id) for request_id in reversed(both)]
    assert left["sessionId"] != right["sessionId"]
    assert left["configOptions"]
    for place, frame in enumerate(ide.frames):
        if frame.get("method") == "session/update":
            known = [
                one["result"].get("sessionId") for one in ide.frames[:place] if "result" in one
            ]
            assert frame["params"]["sessionId"] in known

    assert ide.prompt(left, "hello") == {"stopReason": "end_turn"}
    assert ide.prompt(right, "write note.txt kept") == {"stopReason": "end_turn"}
    assert ide.prompt(right, "run echo without-a-terminal") == {"stopReason": "end_turn"}
    assert (ide.project / "note.txt").read_text("utf-8") == "kept"
    assert "agent_message_chunk" in ide.kinds(left)
    assert "tool_call" in ide.kinds(right)
    assert any(frame.get("method") == "fs/write_text_file" for frame in ide.frames)
    ide.stop()

    again = start_ide()
    again.ask("initialize", INITIALIZE)
    loaded = again.ask("session/load", new | {"sessionId": right["sessionId"]})
    assert again.texts(right, "user_message_chunk") == (
        "write note.txt keptrun echo without-a-terminal"
    )
    assert "tool_call" in again.kinds(right)
    assert again.prompt(right | loaded, "hello") == {"stopReason": "end_turn"}
    again.begin_prompt(right, "count slowly to 500")
    again.stop()

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"stderr-0.log", "stderr-1.log"} <= {path.name for path in written}
    assert any("traces" in path.parts for path in written)
    assert any(b"write note.txt kept" in path.read_bytes() for path in written)
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []
