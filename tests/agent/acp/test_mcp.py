"""MCP servers that a client passes with a session."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.acp.schema import v1, v2
from punie.agent.acp.servers import connect
from punie.agent.mcp.server import McpServer
from punie.agent.mcp.servers import McpServers
from punie.agent.tools.services import Services
from punie.agent.workspaces.local import LocalWorkspace


async def test_a_server_of_session_new_is_started_with_its_variables(
    opened: Callable[..., Any], project: Path, editor_of: Callable[[], Any]
) -> None:
    code = "import os; open('started', 'w').write(os.environ['WHO'])"
    server = v1.McpServerStdio(
        name="a",
        command=sys.executable,
        args=["-c", code],
        env=[v1.EnvVariable(name="WHO", value="the editor")],
    )
    async with opened(editor_of()) as editor:
        request = v1.NewSessionRequest(cwd=str(project), mcp_servers=[server])
        editor.session_id = (await editor.agent.new_session(request)).session_id
        answer = await editor.ask("read a.txt")
    # It ended at once, which is a notice and no reason for the turn to fail.
    assert answer.stop_reason == "end_turn"
    assert (project / "started").read_text() == "the editor"


async def test_what_is_reachable_is_advertised(
    opened: Callable[..., Any], editor_of: Callable[[], Any]
) -> None:
    async with opened(editor_of()) as editor:
        hello = v1.InitializeRequest(protocol_version=1)
        capabilities = (await editor.agent.initialize(hello)).agent_capabilities
    assert (capabilities.mcp_capabilities.http, capabilities.mcp_capabilities.sse) == (True, True)


class AnySession:
    """As much of a session as servers need."""

    def __init__(self, root: Path) -> None:
        self.services = Services()
        self.workspace = LocalWorkspace(root)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (
            v2.McpServerStdio(name="a", command="/bin/a", args=["-x"], env=[]),
            McpServer(name="a", command="/bin/a", args=("-x",)),
        ),
        (
            v2.McpServerHttp(
                name="a",
                url="http://127.0.0.1:9/",
                headers=[v2.HttpHeader(name="x-token", value="t")],
            ),
            McpServer(
                name="a", transport="http", url="http://127.0.0.1:9/", headers={"x-token": "t"}
            ),
        ),
        (
            v2.UnknownVariant(
                kind="sse",
                body={"type": "sse", "name": "a", "url": "http://127.0.0.1:9/", "headers": []},
            ),
            McpServer(name="a", transport="sse", url="http://127.0.0.1:9/"),
        ),
    ],
)
async def test_each_way_to_a_server_is_understood(
    told: Any, read: McpServer, tmp_path: Path
) -> None:
    session: Any = AnySession(tmp_path)
    connect(session, [told, v2.UnknownVariant(kind="pigeon", body={})])
    servers = session.services.find(McpServers)
    assert list(servers._servers) == [read]
    await session.services.aclose()
