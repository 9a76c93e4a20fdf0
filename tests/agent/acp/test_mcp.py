"""MCP servers that a client passes with a session."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.acp.schema import v1, v2
from punie.agent.acp.servers import connect
from punie.agent.mcp.server import McpServer
from punie.agent.mcp.servers import McpServers
from punie.agent.sessions.settings import kept, read_servers
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
        self.servers: tuple[McpServer, ...] = ()

    def keep_settings(self) -> None:
        """Nothing is kept."""


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


SAYS = "import os; open('started', 'a').write(os.environ.get('WHO', 'nobody') + '\\n')"


def a_server(**variables: str) -> v1.McpServerStdio:
    env = [v1.EnvVariable(name=name, value=value) for name, value in variables.items()]
    return v1.McpServerStdio(name="a", command=sys.executable, args=["-c", SAYS], env=env)


async def begun(client: Any, project: Path, *servers: Any) -> None:
    """Open a session with servers, and wait for a turn that met them."""
    request = v1.NewSessionRequest(cwd=str(project), mcp_servers=list(servers))
    client.session_id = (await client.agent.new_session(request)).session_id
    await client.ask("read a.txt")


async def loaded(client: Any, project: Path, session_id: str, *servers: Any) -> None:
    """Load a session, as JetBrains IDEs do it when no servers are given."""
    client.session_id = session_id
    params = {"sessionId": session_id, "cwd": str(project)}
    named = {"mcpServers": list(servers)} if servers else {}
    request = msgspec.convert(params | {"mcpServers": []} | named, v1.LoadSessionRequest)
    await client.agent.load_session(request)
    await client.ask("read a.txt")


async def test_a_loaded_session_has_the_servers_it_had_when_its_client_names_none(
    opened: Any, project: Path, editor_of: Any
) -> None:
    async with opened(editor_of()) as client:
        await begun(client, project, a_server())
        session_id = client.session_id
    async with opened(editor_of()) as client:
        await loaded(client, project, session_id)
    assert (project / "started").read_text().splitlines() == ["nobody", "nobody"]


async def test_the_variables_of_a_server_are_never_written_and_it_is_named_when_they_are_missing(
    opened: Any, project: Path, editor_of: Any, tmp_path: Path
) -> None:
    async with opened(editor_of()) as client:
        await begun(client, project, a_server(WHO="s3cret-value"))
        session_id = client.session_id
        await client.agent.close_session(v1.CloseSessionRequest(session_id=session_id))
        await loaded(client, project, session_id)  # the same process still knows
    assert (project / "started").read_text().splitlines() == ["s3cret-value"] * 2
    async with opened(editor_of(), NOTICES) as client:
        await loaded(client, project, session_id)
        reasons = [notice.description for notice in client.of(v1.Notice)]
    assert reasons[-1].startswith("its variables or headers are not kept with a session")
    assert (project / "started").read_text().splitlines() == ["s3cret-value"] * 2
    assert not hold(tmp_path, b"s3cret-value")


def hold(folder: Path, text: bytes) -> list[Path]:
    """Find the files, but for the one of the server itself, in which a text stands."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "started"]
    return [path for path in files if text in path.read_bytes()]


async def test_the_servers_that_a_client_names_take_the_place_of_the_remembered_ones(
    opened: Any, project: Path, editor_of: Any
) -> None:
    async with opened(editor_of()) as client:
        await begun(client, project, a_server())
        session_id = client.session_id
    async with opened(editor_of()) as client:
        named = {"name": "b", "command": sys.executable, "args": ["-c", SAYS]}
        env = [{"name": "WHO", "value": "b"}]
        await loaded(client, project, session_id, named | {"env": env})
    assert (project / "started").read_text().splitlines() == ["nobody", "b"]


NOTICES = v1.ClientCapabilities(
    session=v1.ClientSessionCapabilities(notices=v1.NoticeCapabilities())
)


@pytest.mark.parametrize(
    "server",
    [
        McpServer(name="a", command="x", env={"A": "b"}),
        McpServer(name="a", command="x", args=("--api-key", "abcdefgh")),
        McpServer(name="a", transport="http", url="http://h/", headers={"a": "b"}),
        McpServer(name="a", transport="sse", url="http://h/?key=1"),
        McpServer(name="a", transport="http", url="http://me:word@h/"),
    ],
)
def test_a_server_with_what_looks_like_a_secret_is_kept_by_its_name(server: McpServer) -> None:
    (one,) = kept([server])
    assert one == McpServer(name="a", transport=server.transport, withheld=True)
    assert read_servers(msgspec.to_builtins([one])) == (one,)


def test_a_server_without_secrets_is_kept_as_it_is() -> None:
    server = McpServer(name="a", command="/bin/x", args=("--root", "/home/me/project"))
    assert kept([server]) == [server]
    assert read_servers([{"name": 1}]) == ()


@pytest.mark.parametrize(
    "server",
    [
        McpServer(name="a", transport="http", url="https://a.example/mcp/s/c2VjcmV0c2VjcmV0MQ/mcp"),
        McpServer(name="a", transport="http", url="https://a.example/mcp#abcdefgh"),
        McpServer(
            name="a", command="npx", args=("mcp-remote", "https://a.example/s/ab12cd34ef56gh78")
        ),
        McpServer(name="a", command="/bin/a", args=("--key", "hunter22")),
        McpServer(name="a", command="/bin/a", args=("--auth", "me:hunter22")),
        McpServer(name="a", command="env A_TOKEN=hunter22 a"),
        McpServer(name="a", command="/bin/a", args=("2c1a7f0e-1b2c-4d5e-8f90-a1b2c3d4e5f6",)),
    ],
)
def test_a_server_that_may_hold_a_secret_is_kept_by_its_name_alone(server: McpServer) -> None:
    assert kept([server]) == [McpServer(name="a", transport=server.transport, withheld=True)]


@pytest.mark.parametrize(
    "server",
    [
        McpServer(name="a", transport="http", url="http://127.0.0.1:64342/sse"),
        McpServer(
            name="a",
            command="npx",
            args=("-y", "@modelcontextprotocol/server-filesystem@2025.8.21"),
        ),
        McpServer(
            name="a", command="/opt/tools/authority", args=("--port", "8080", "/srv/keys/project-2")
        ),
    ],
)
def test_a_server_without_a_secret_is_kept_whole(server: McpServer) -> None:
    assert kept([server]) == [server]
