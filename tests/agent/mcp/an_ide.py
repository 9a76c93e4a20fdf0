"""A server that answers as an IDE's own would: `python an_ide.py plain|router LOG`."""

import json
import sys
from pathlib import Path

from mcp.server import MCPServer

server = MCPServer("idea")
LOG = Path(sys.argv[2])


def log(**what: object) -> None:
    with LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


if sys.argv[1] == "plain":

    @server.tool()
    def get_file_problems(filePath: str, errorsOnly: bool = True) -> str:
        """Find problems."""
        log(tool="get_file_problems", path=filePath)
        problem = {"severity": "ERROR", "description": "seen by the IDE", "line": 3, "column": 5}
        return json.dumps({"filePath": filePath, "errors": [problem]})

    @server.tool()
    def search_symbol(q: str, paths: list[str] | None = None, limit: int = 1000) -> str:
        """Search."""
        log(tool="search_symbol", q=q)
        known = {"filePath": "shapes.py", "startLine": 1, "lineText": "||class Shape:\n    pass||"}
        return json.dumps({"items": [known] if q == "Shape" else []})

    @server.tool()
    def rename_refactoring(pathInProject: str, symbolName: str, newName: str) -> str:
        """Rename."""
        log(tool="rename_refactoring", path=pathInProject, symbol=symbolName, new=newName)
        return "renamed"

else:

    @server.tool()
    def execute_tool(command: str, projectPath: str) -> str:
        """Run a tool of the IDE."""
        log(tool="execute_tool", command=command, project=projectPath)
        return "renamed"


server.run("stdio")
