"""A real MCP server, made with the protocol's own package: `python a_server.py TRANSPORT [PORT]`."""

import asyncio
import os
import pathlib
import sys
import time

from mcp.server import MCPServer
from mcp_types import ImageContent, ToolAnnotations

READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("a-server")


@server.tool(annotations=READS)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def touch(path: str) -> str:
    """Make a file."""
    with pathlib.Path(path).open("w", encoding="utf-8") as file:
        file.write("x")
    return f"made {path}"


@server.tool(annotations=READS)
def fail() -> str:
    """Fail."""
    raise ValueError("it went wrong")


@server.tool(annotations=READS)
async def wait() -> str:
    """Wait for ever."""
    await asyncio.sleep(600)
    return "done"


@server.tool(annotations=READS)
def picture() -> ImageContent:
    """Show a picture."""
    return ImageContent(type="image", data="AAAA", mime_type="image/png")


@server.tool(annotations=READS)
def leave() -> str:
    """End the server's process."""
    os._exit(7)


@server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=True))
def fetch(url: str) -> str:
    """Fetch from the world."""
    return url


@server.tool(annotations=READS)
def secret() -> str:
    """Tell the environment and the process."""
    return f"{os.environ.get('A_SECRET')} {os.getpid()}"


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    elif sys.argv[1] == "slow":
        time.sleep(600)
    else:
        server.run(sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]))
