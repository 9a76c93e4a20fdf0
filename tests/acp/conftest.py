"""What the tests of punie.acp share: the schema, random wire objects, and real child processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

from punie.acp.schema import v1

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT.parent / "shared" / "reference" / "acp-schema" / "v1" / "schema.json"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
# What is received with one type is sent as one of several.
SENT_AS: dict[type[Struct], tuple[type[Struct], ...]] = {
    v1.McpServer: (v1.McpServerStdio, v1.McpServerHttp, v1.McpServerSse),
    v1.AuthMethod: (v1.AuthMethodAgent, v1.AuthMethodTerminal),
    v1.EmbeddedResourceResource: (v1.TextResourceContents, v1.BlobResourceContents),
    v1.SessionConfigSelectItem: (v1.SessionConfigSelectOption,),
}
# Fields that a variant inherits from the received type and does not use.
UNUSED = {
    v1.McpServerStdio: {"type", "url", "headers"},
    v1.McpServerHttp: {"type", "command", "args", "env"},
    v1.McpServerSse: {"type", "command", "args", "env"},
    v1.AuthMethodAgent: {"type", "args", "env"},
    v1.AuthMethodTerminal: {"type"},
    v1.TextResourceContents: {"blob"},
    v1.BlobResourceContents: {"text"},
    v1.SessionConfigSelectOption: {"group", "options"},
    v1.SessionConfigSelectGroup: {"value", "description"},
}


def instances(cls: type[Struct]) -> st.SearchStrategy[Any]:
    """Random objects of a wire type."""
    if cls in SENT_AS:
        return st.one_of([instances(variant) for variant in SENT_AS[cls]])
    hints = typing.get_type_hints(cls, include_extras=True)
    drawn = {
        field.name: of_type(hints[field.name])
        for field in fields(cls)
        if field.name not in UNUSED.get(cls, ())
    }
    if cls is v1.SessionConfigSelect:
        drawn["options"] = st.lists(instances(v1.SessionConfigSelectOption), max_size=2) | st.lists(
            instances(v1.SessionConfigSelectGroup), max_size=2
        )
    if cls is v1.SetSessionConfigOptionRequest:
        text, switch = dict(drawn), dict(drawn)
        text |= {"value": st.text(max_size=5), "type": st.none()}
        switch |= {"value": st.booleans(), "type": st.just("boolean")}
        return st.builds(cls, **text) | st.builds(cls, **switch)
    return st.builds(cls, **drawn)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return st.none() | JSON
    if origin is typing.Annotated:
        meta = arguments[1]
        if arguments[0] is str:
            return st.text(min_size=meta.min_length, max_size=5)
        return st.integers(meta.ge, 2**32 - 1 if meta.le is None else meta.le)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of_type(one) for one in arguments if one is not v1.UnknownUpdate])
    if origin is list:
        return st.lists(of_type(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), of_type(arguments[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return st.deferred(lambda: instances(hint))
    return {
        str: st.text(max_size=5),
        bool: st.booleans(),
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
    }[hint]


STRUCTS: list[type[Struct]] = [
    cls
    for name in v1.__all__
    if isinstance(cls := getattr(v1, name), type) and issubclass(cls, Struct)
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`wire_type` is every struct of v1 that is sent."""
    if "wire_type" in metafunc.fixturenames:
        sent = [cls for cls in STRUCTS if cls not in SENT_AS and cls is not v1.UnknownUpdate]
        metafunc.parametrize("wire_type", sent, ids=lambda cls: cls.__name__)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """The definitions of the official schema of version 1."""
    if not SCHEMA.is_file():
        pytest.skip("the official schema file is not here; test_official_types.py checks instead")
    return json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]


@pytest.fixture(scope="session")
def wire_objects() -> Callable[[type[Struct]], st.SearchStrategy[Any]]:
    return instances


class Child:
    """An agent's process, spoken to in bytes."""

    def __init__(self, argv: list[str], env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=os.environ | (env or {}),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.stdout, self.stderr = (
            self.process.stdin,
            self.process.stdout,
            self.process.stderr,
        )
        self._lines = os.fdopen(os.dup(self.stdout.fileno()), "rb")

    def write(self, *frames: bytes | dict[str, Any]) -> None:
        """Send lines."""
        for frame in frames:
            data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
            self.stdin.write(data + b"\n")

    def read(self) -> Any:
        """Read one line."""
        line = self._lines.readline()
        assert line.endswith(b"\n"), f"the agent is gone: {line!r}"
        return msgspec.json.decode(line)

    def ask(self, *frames: bytes | dict[str, Any]) -> Any:
        """Send lines and read one."""
        self.write(*frames)
        return self.read()

    def initialize(self) -> Any:
        return self.ask({
            "jsonrpc": "2.0",
            "id": 0,
            "method": "initialize",
            "params": {"protocolVersion": 1},
        })

    def new_session(self) -> str:
        params = {"cwd": "/", "mcpServers": []}
        answer = self.ask({"jsonrpc": "2.0", "id": 1, "method": "session/new", "params": params})
        return answer["result"]["sessionId"]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._lines.close()
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()


StartChild = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartChild]:
    """Start an agent: `examples/acp_agent.py`, or a script given as text."""
    children: list[Child] = []

    def run(script: str | None = None, **env: str) -> Child:
        path = ROOT / "examples" / "acp_agent.py"
        if script is not None:
            path = tmp_path / "agent.py"
            path.write_text(script, encoding="utf-8")
        children.append(Child([sys.executable, str(path)], env))
        return children[-1]

    yield run
    for child in children:
        child.end()
