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
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import strategies as st
from msgspec import NODEFAULT, UNSET, Struct, UnsetType
from msgspec.structs import FieldInfo, fields

from punie.acp.schema import v1, v2
from punie.acp.schema._base import UNKNOWN_TAG
from punie.acp.schema.v1 import unstable

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT.parent / "shared" / "reference" / "acp-schema"


class Edition(NamedTuple):
    """One set of wire types and the official schema that they are held to."""

    name: str
    module: types.ModuleType
    path: Path


EDITIONS = (
    Edition("v1", v1, SCHEMAS / "v1" / "schema.json"),
    Edition("v1-unstable", unstable, SCHEMAS / "v1" / "schema.unstable.json"),
    Edition("v2", v2, SCHEMAS / "v2" / "schema.json"),
)

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
    v1.MultiSelectItems: (v1.StringMultiSelectItems, v1.TitledMultiSelectItems),
    v1.CreateElicitationRequest: (v1.ElicitationFormMode, v1.ElicitationUrlMode),
    unstable.McpServer: (unstable.McpServerAcp,),
    unstable.StateUpdate: (
        unstable.RunningStateUpdate,
        unstable.IdleStateUpdate,
        unstable.RequiresActionStateUpdate,
        unstable.UnknownStateUpdate,
    ),
    v2.EmbeddedResourceResource: (v2.TextResourceContents, v2.BlobResourceContents),
    v2.SessionConfigSelectItem: (v2.SessionConfigSelectOption,),
    v2.MultiSelectItems: (v2.StringMultiSelectItems, v2.TitledMultiSelectItems),
    v2.CreateElicitationRequest: (v2.ElicitationFormMode, v2.ElicitationUrlMode),
    v2.StateUpdate: (
        v2.RunningStateUpdate,
        v2.IdleStateUpdate,
        v2.RequiresActionStateUpdate,
    ),
}
# Fields that a variant inherits from the received type and does not use, by its name.
UNUSED: dict[str, set[str]] = {
    "McpServerStdio": {"type", "url", "headers"},
    "McpServerHttp": {"command", "args", "env"},
    "McpServerSse": {"command", "args", "env"},
    "McpServerAcp": {"command", "args", "env", "url", "headers"},
    "AuthMethodAgent": {"type", "args", "env"},
    "TextResourceContents": {"blob"},
    "BlobResourceContents": {"text"},
    "SessionConfigSelectOption": {"group", "group_id", "options"},
    "SessionConfigSelectGroup": {"value", "description"},
    "StringMultiSelectItems": {"any_of"},
    "TitledMultiSelectItems": {"type", "enum"},
    "ElicitationFormMode": {"elicitation_id", "url"},
    "ElicitationUrlMode": {"requested_schema"},
    "RunningStateUpdate": {"stop_reason", "error", "usage"},
    "RequiresActionStateUpdate": {"stop_reason", "error", "usage"},
    "UnknownStateUpdate": {"stop_reason", "error", "usage"},
}
# Bases that are never sent, and variants that are only received.
NOT_SENT = {v1.UnknownUpdate, v2.Patch, v2.DiffPathChange, v2.DiffPathPairChange}
SELECTS = {
    v1.SessionConfigSelect: (v1.SessionConfigSelectOption, v1.SessionConfigSelectGroup),
    v2.SessionConfigSelect: (v2.SessionConfigSelectOption, v2.SessionConfigSelectGroup),
}


def unused_fields(cls: type[Struct]) -> set[str]:
    """Fields that a variant has only because the type that receives it has them."""
    if cls.__struct_config__.tag_field == "type":
        return set()  # a variant of its own, which inherits from none
    return UNUSED.get(cls.__name__, set())


def is_constant(field: FieldInfo) -> bool:
    """Whether a variant's own value of the field tells it apart."""
    return field.default_factory is not NODEFAULT and isinstance(field.default_factory(), str)


def instances(cls: type[Struct]) -> st.SearchStrategy[Any]:
    """Random objects of a wire type."""
    if cls in SENT_AS:
        return st.one_of([instances(variant) for variant in SENT_AS[cls]])
    if cls.__struct_config__.tag == UNKNOWN_TAG:
        return unknowns(cls)
    hints = typing.get_type_hints(cls, include_extras=True)
    drawn = {
        field.name: of_field(field, hints[field.name])
        for field in fields(cls)
        if field.name not in unused_fields(cls) and not is_constant(field)
    }
    return st.one_of([st.builds(cls, **(drawn | more)) for more in alternatives(cls)])


def alternatives(cls: type[Struct]) -> list[dict[str, st.SearchStrategy[Any]]]:
    """Sets of fields that go together only in some ways."""
    text, none = st.text(max_size=5), st.none()
    if cls in SELECTS:
        least = 0 if cls is v1.SessionConfigSelect else 1
        lists = [st.lists(instances(item), min_size=least, max_size=2) for item in SELECTS[cls]]
        return [{"options": options} for options in lists]
    if cls is v1.SetSessionConfigOptionRequest:
        return [
            {"value": text, "type": none},
            {"value": st.booleans(), "type": st.just("boolean")},
        ]
    if cls is v2.SetSessionConfigOptionRequest:
        return [
            {"value": text, "type": st.just("id")},
            {"value": st.booleans(), "type": st.just("boolean")},
            {"value": JSON, "type": st.just("_own")},
        ]
    if issubclass(cls, (v1.CreateElicitationRequest, v2.CreateElicitationRequest)):
        return [
            {"session_id": text, "request_id": none},
            {"session_id": none, "request_id": text, "tool_call_id": none},
        ]
    if cls is unstable.MessageMcpResponse:
        error = instances(unstable.McpError)
        return [
            {"result": st.just(UNSET), "error": error},
            {"result": JSON, "error": st.just(UNSET)},
        ]
    return [{}]


def unknowns(cls: type[Struct]) -> st.SearchStrategy[Any]:
    """Variants that nobody knows, with what some unions ask of any variant."""
    needed = ("methodId", "configId", "planId", "name", "description")
    more = dict.fromkeys(needed, "x") | {"further": [1]}
    tag_field = str(cls.__struct_config__.tag_field)
    return st.sampled_from(("_own", "later")).map(
        lambda kind: cls(kind=kind, body=more | {tag_field: kind})
    )


def of_field(field: FieldInfo, hint: Any) -> st.SearchStrategy[Any]:
    if hint is Any:
        nothing = UNSET if field.default is UNSET else None
        return st.just(nothing) | JSON
    return of_type(hint)


def of_annotated(of: Any, meta: Any) -> st.SearchStrategy[Any]:
    if of is str:
        return st.text(min_size=meta.min_length, max_size=5)
    if typing.get_origin(of) is list:
        item = of_type(typing.get_args(of)[0])
        return st.lists(item, min_size=meta.min_length, max_size=2)
    if of is float:
        return st.floats(meta.ge, meta.le)
    return st.integers(meta.ge, 2**32 - 1 if meta.le is None else meta.le)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return JSON
    if origin is typing.Annotated:
        return of_annotated(*arguments)
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
        UnsetType: st.just(UNSET),
    }[hint]


def sent_types(module: types.ModuleType) -> list[type[Struct]]:
    """The structs of an edition that stand on the wire by themselves."""
    structs = [
        cls
        for name in module.__all__
        if isinstance(cls := getattr(module, name), type) and issubclass(cls, Struct)
    ]
    return [
        cls
        for cls in structs
        if cls not in SENT_AS and cls not in NOT_SENT and cls.__struct_config__.tag != UNKNOWN_TAG
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`wire_type` is every struct that is sent: of every `edition`, else of v1."""
    if {"edition", "wire_type"} <= set(metafunc.fixturenames):
        pairs = [(edition, cls) for edition in EDITIONS for cls in sent_types(edition.module)]
        ids = [f"{edition.name}-{cls.__name__}" for edition, cls in pairs]
        metafunc.parametrize(("edition", "wire_type"), pairs, ids=ids)
    elif "edition" in metafunc.fixturenames:
        metafunc.parametrize("edition", EDITIONS, ids=lambda edition: edition.name)
    elif "wire_type" in metafunc.fixturenames:
        metafunc.parametrize("wire_type", sent_types(v1), ids=lambda cls: cls.__name__)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def schemas() -> dict[str, dict[str, Any]]:
    """The definitions of the official schema of each edition, by the edition's name."""
    if not all(edition.path.is_file() for edition in EDITIONS):
        pytest.skip("the official schema files are not here; test_official_types.py checks instead")
    return {
        edition.name: json.loads(edition.path.read_text(encoding="utf-8"))["$defs"]
        for edition in EDITIONS
    }


@pytest.fixture
def schema(edition: Edition, schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The definitions of the official schema of the edition."""
    return schemas[edition.name]


@pytest.fixture(scope="session")
def wire_objects() -> Callable[[type[Struct]], st.SearchStrategy[Any]]:
    return instances


@pytest.fixture(scope="session")
def unused() -> Callable[[type[Struct]], set[str]]:
    return unused_fields


@pytest.fixture(scope="session")
def received_as() -> dict[type[Struct], tuple[type[Struct], ...]]:
    """What is received with one type is sent as one of several."""
    return SENT_AS


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
