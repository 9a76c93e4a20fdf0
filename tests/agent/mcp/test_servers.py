"""MCP servers in sessions: real ones, over pipes, HTTP and server-sent events."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from punie.agent.events import Notice, PermissionRequested, StateUpdate, ToolCallUpdate
from punie.agent.mcp.client import Annotations, RemoteTool
from punie.agent.mcp.server import McpServer
from punie.agent.mcp.servers import McpServers
from punie.agent.mcp.tools import risk_of
from punie.agent.models.spec import ModelSpec
from punie.agent.sessions.additions import reach
from punie.agent.testing import Answers, Call
from punie.agent.tools.base import Call as ToolCall
from punie.agent.tools.catalog import CATALOG
from punie.agent.workspaces.local import LocalWorkspace

HERE = Path(__file__).parent


def stdio(*args: str, name: str = "a", script: str = "a_server.py", **more: Any) -> McpServer:
    argv = (str(HERE / script), *(args or ("stdio",)))
    return McpServer(name=name, command=sys.executable, args=argv, **more)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def answers(port: int) -> bool:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


@pytest.fixture(params=["stdio", "streamable-http", "sse"])
def server(request: pytest.FixtureRequest) -> Iterator[McpServer]:
    if request.param == "stdio":
        yield stdio()
        return
    port = free_port()
    argv = [sys.executable, str(HERE / "a_server.py"), request.param, str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert answers(port)
        path, transport = ("/sse", "sse") if request.param == "sse" else ("/mcp", "http")
        yield McpServer(name="a", transport=transport, url=f"http://127.0.0.1:{port}{path}")
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def connected(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Open servers without a session: `tools = await connected(server, ...)`."""
    workspace = LocalWorkspace(tmp_path)
    opened: list[McpServers] = []

    async def connect(*servers: McpServer, window: int = 0) -> Any:
        opened.append(McpServers(servers, workspace))
        tools = await opened[-1].tools(window=window)
        return opened[-1], {tool.name: tool for tool in tools}, ToolCall(workspace)

    yield connect
    for servers in opened:
        await servers.aclose()
    workspace.close()


async def call(tools: Any, where: ToolCall, name: str, **arguments: Any) -> Any:
    tool = tools[name]
    return await tool.run(where, tool.parse(arguments))


async def test_a_model_calls_a_servers_tool(play: Callable[..., Any], server: McpServer) -> None:
    scene = play([[Call("a_add", {"a": 2, "b": 3})], ["five"]])
    reach(scene.session, [server])
    outcome = await scene.session.prompt("2 + 3?")
    await scene.session.aclose()
    assert outcome.text == "five"
    (record,) = outcome.tool_calls
    assert (record.name, record.ok) == ("a_add", True)
    offered = {tool.name for tool in scene.requests[0][1].function_tools}
    assert {"read_file", "a_add", "a_touch"} <= offered
    shown = scene.heard.of(ToolCallUpdate)[0]
    assert (shown.title, shown.kind) == ("a: add(a=2, b=3)", "read")
    assert scene.heard.of(PermissionRequested) == []


async def test_what_is_not_said_to_only_read_is_asked_about(
    play: Callable[..., Any], server: McpServer, tmp_path: Path
) -> None:
    person = Answers("reject_once")
    made = tmp_path / "made"
    scene = play([[Call("a_touch", {"path": str(made)})], ["no"]], person=person)
    reach(scene.session, [server])
    outcome = await scene.session.prompt("make it")
    await scene.session.aclose()
    assert outcome.denied
    assert not made.exists()
    assert [ask.title for ask in person.asked] == [f"a: touch(path={made})"]


async def test_an_error_of_a_tool_is_in_its_result(
    connected: Callable[..., Any], server: McpServer
) -> None:
    _, tools, where = await connected(server)
    result = await call(tools, where, "a_fail")
    assert (result.ok, result.error) == (False, "a reports an error")
    assert result.text == "Error executing tool fail"


async def test_a_picture_is_named(connected: Callable[..., Any], server: McpServer) -> None:
    _, tools, where = await connected(server)
    assert (await call(tools, where, "a_picture")).text == "[image/png, 3 bytes]"


async def test_a_call_can_be_cancelled_and_the_server_goes_on(
    connected: Callable[..., Any], server: McpServer
) -> None:
    _, tools, where = await connected(server)
    waiting = asyncio.ensure_future(call(tools, where, "a_wait"))
    assert (await call(tools, where, "a_add", a=1, b=1)).text == "2"
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await call(tools, where, "a_add", a=1, b=2)).text == "3"


async def test_who_waits_for_a_server_is_told_when_it_is_hung_up_on(
    connected: Callable[..., Any], server: McpServer
) -> None:
    servers, tools, where = await connected(server)
    waiting = asyncio.ensure_future(call(tools, where, "a_wait"))
    assert (await call(tools, where, "a_add", a=1, b=1)).text == "2"
    await servers.aclose()
    result = await waiting
    assert not result.ok


async def test_variables_reach_the_server_and_it_dies_with_the_session(
    connected: Callable[..., Any],
) -> None:
    servers, tools, where = await connected(stdio(env={"A_SECRET": "hunter2"}))
    said, pid = (await call(tools, where, "a_secret")).text.split()
    assert said == "hunter2"
    await servers.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_a_server_that_dies_in_a_call_says_so_in_the_result(
    connected: Callable[..., Any],
) -> None:
    _, tools, where = await connected(stdio())
    result = await call(tools, where, "a_leave")
    assert not result.ok
    assert result.error.startswith("the server a failed: it ended")
    again = await call(tools, where, "a_add", a=1, b=1)
    assert again.error.startswith("the server a failed: it ended")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (McpServer(name="b", command="no-such-program"), "no-such-program is not installed"),
        (
            McpServer(name="b", command=sys.executable, args=("-c", "exit('no licence')")),
            "it ended: no licence",
        ),
        (
            McpServer(
                name="b",
                command=sys.executable,
                args=("-c", "print('hello', flush=True); open(0).read()"),
            ),
            "it was not ready within 1 s",
        ),
        (
            McpServer(name="b", transport="http", url="http://127.0.0.1:9/mcp"),
            "it cannot be reached: ",
        ),
        (McpServer(name="b", transport="sse", url="http://127.0.0.1:9/"), "it cannot be reached: "),
        (McpServer(name="b", transport="http", url="nonsense"), "it cannot be reached: "),
    ],
)
async def test_a_broken_server_is_a_notice_and_the_others_work(
    play: Callable[..., Any], broken: McpServer, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "within" in reason:
        monkeypatch.setattr("punie.agent.mcp.client.STARTING", 1.0)
    servers = [broken] if "within" in reason else [broken, stdio()]
    scene = play([["hi"], ["again"]])
    reach(scene.session, servers)
    assert (await scene.session.prompt("hello")).text == "hi"
    assert (await scene.session.prompt("hello")).text == "again"
    await scene.session.aclose()
    (notice,) = scene.heard.of(Notice)
    assert notice.title == "The MCP server b is left out"
    assert notice.description.startswith(reason)
    if len(servers) == 2:
        assert "a_add" in {tool.name for tool in scene.requests[0][1].function_tools}


async def test_a_prompt_that_waits_for_a_slow_server_can_be_cancelled(
    play: Callable[..., Any],
) -> None:
    scene = play([["never"]])
    reach(scene.session, [stdio("slow")])
    prompt = asyncio.ensure_future(scene.session.prompt("hello"))
    await scene.heard.first(StateUpdate)
    scene.session.cancel()
    assert (await prompt).stop_reason == "cancelled"
    await scene.session.aclose()


async def test_a_model_with_its_own_choice_of_tools_is_offered_no_others(
    play: Callable[..., Any],
) -> None:
    spec = ModelSpec(spec="test", tools=("read_file(path)",))
    scene = play([["hi"]], spec=spec)
    reach(scene.session, [stdio()])
    await scene.session.prompt("hello")
    await scene.session.aclose()
    assert [tool.name for tool in scene.requests[0][1].function_tools] == ["read_file"]


async def test_tools_that_do_not_fit_the_context_are_left_out_and_named(
    connected: Callable[..., Any],
) -> None:
    servers, tools, _ = await connected(stdio(), window=1_000)
    assert 0 < len(tools) < 8
    ((title, reason),) = servers.take_notices()
    assert title == "Tools of MCP servers are left out: they do not fit the model's context"
    assert "a_secret" in reason
    assert servers.take_notices() == []


async def test_arguments_that_lack_what_is_required_are_refused_here(
    connected: Callable[..., Any],
) -> None:
    _, tools, _ = await connected(stdio())
    with pytest.raises(ValueError, match="Object missing required field `b`"):
        tools["a_add"].parse({"a": 1})


@pytest.mark.parametrize(
    ("said", "risk"),
    [
        (None, "execute"),
        (Annotations(), "execute"),
        (Annotations(read_only_hint=False), "execute"),
        (Annotations(read_only_hint=True), "read"),
        (Annotations(read_only_hint=True, open_world_hint=False), "read"),
        (Annotations(read_only_hint=True, open_world_hint=True), "execute"),
        (Annotations(destructive_hint=False), "execute"),
    ],
)
def test_the_risk_of_a_tool_is_what_its_server_says_or_asks(
    said: Annotations | None, risk: str
) -> None:
    assert risk_of(RemoteTool(name="x", annotations=said)) == risk


CODE = "class Shape:\n    pass\n\n\ndef make() -> Shape:\n    return Shape()\n"


@pytest.mark.parametrize("form", ["plain", "router"])
async def test_the_ide_renames_where_it_offers_that(tmp_path: Path, form: str) -> None:
    (tmp_path / "shapes.py").write_text(CODE)
    workspace = LocalWorkspace(tmp_path)
    where = ToolCall(workspace)
    log = tmp_path / "log.txt"
    idea = stdio(form, str(log), name="idea", script="an_ide.py")
    servers = where.services.get(McpServers, lambda: McpServers([idea], workspace))
    await servers.tools()
    tool = CATALOG["rename_symbol"]
    args = tool.parse({"symbol": "shapes.Shape", "new_name": "Form"})
    shown = await tool.preview(where, args) if tool.preview else ()
    result = await tool.run(where, args)
    await where.services.aclose()
    workspace.close()
    assert [Path(diff.path).name for diff in shown] == ["shapes.py"]
    assert (result.ok, result.note) == (True, "renamed by the IDE")
    asked = json.loads(log.read_text())
    if form == "plain":
        assert asked == {
            "tool": "rename_refactoring",
            "path": "shapes.py",
            "symbol": "Shape",
            "new": "Form",
        }
    else:
        assert asked == {
            "tool": "execute_tool",
            "command": "rename_refactoring --pathInProject shapes.py --symbolName Shape"
            " --newName Form",
            "project": str(tmp_path),
        }
    # The stand-in only writes down what it was asked: nothing was renamed twice.
    assert (tmp_path / "shapes.py").read_text() == CODE


async def test_the_ide_is_asked_for_problems_first(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text(CODE)
    workspace = LocalWorkspace(tmp_path, programs=[Path(sys.executable).parent / "nowhere"])
    where = ToolCall(workspace)
    server = stdio("plain", str(tmp_path / "log.txt"), name="idea", script="an_ide.py")
    servers = where.services.get(McpServers, lambda: McpServers([server], workspace))
    await servers.tools()
    tool = CATALOG["diagnostics"]
    result = await tool.run(where, tool.parse({"path": "shapes.py"}))
    await where.services.aclose()
    assert (result.program, result.errors) == ("idea", 1)
    assert result.findings[0].text() == "shapes.py:3: error seen by the IDE"


@pytest.mark.parametrize(
    ("query", "form", "found"),
    [
        ("Shape", "plain", ["shapes.py:1: class Shape"]),
        ("make", "plain", ["shapes.py:5: function shapes.make"]),
        ("Shape", "router", ["shapes.py:1: class shapes.Shape"]),
    ],
    ids=["the index knows it", "the index does not", "the answer cannot be read"],
)
async def test_the_ide_is_asked_for_symbols_first(
    tmp_path: Path, query: str, form: str, found: list[str]
) -> None:
    (tmp_path / "shapes.py").write_text(CODE)
    workspace = LocalWorkspace(tmp_path)
    where = ToolCall(workspace)
    log = tmp_path / "log.txt"
    server = stdio(form, str(log), name="idea", script="an_ide.py")
    servers = where.services.get(McpServers, lambda: McpServers([server], workspace))
    await servers.tools()
    tool = CATALOG["symbols"]
    result = await tool.run(where, tool.parse({"query": query}))
    await where.services.aclose()
    workspace.close()
    assert result.details().splitlines() == found
    asked = json.loads(log.read_text())
    assert asked.get("q", asked.get("command")) in {query, f"search_symbol --q {query}"}
