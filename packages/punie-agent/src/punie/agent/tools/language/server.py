"""One language server over one root: started, kept in step with the workspace, asked.

Before each question the server gets the workspace's text of the files it is about (an editor's
unsaved text included) and hears which files changed on disk, so it never answers about old text.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from punie.agent.tools.language.rpc import Peer, RefusedError, ServerGoneError
from punie.agent.tools.language.wire import (
    Diagnostic,
    DiagnosticReport,
    DocumentSymbol,
    Hover,
    Location,
    Position,
    Published,
    WorkspaceEdit,
    path_of,
)
from punie.agent.tools.walk import walk_files
from punie.agent.workspaces.base import Workspace
from punie.agent.workspaces.environments import interpreter

SERVERS = (
    ("ty", "server"),
    ("basedpyright-langserver", "--stdio"),
    ("pyright-langserver", "--stdio"),
    ("pylsp",),
)
"""The first one that is installed is used."""

STARTING = 30.0
ANSWERING = 60.0
"""Seconds."""
WALKING = 2.0
"""Seconds that looking for changed files may take."""
MAX_OPEN = 60
"""Files that a server holds open."""

T = TypeVar("T")
_CREATED, _CHANGED, _DELETED = 1, 2, 3

_CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "synchronization": {},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
        "definition": {},
        "references": {},
        "rename": {},
        "hover": {"contentFormat": ["plaintext", "markdown"]},
        "diagnostic": {},
        "publishDiagnostics": {"versionSupport": True},
    },
    "workspace": {
        "configuration": True,
        "workspaceFolders": True,
        "didChangeWatchedFiles": {"dynamicRegistration": True},
    },
    "window": {"workDoneProgress": True},
}


class _Open(NamedTuple):
    version: int
    text: str


class LanguageServer:
    """A running server. Made by `start_server`."""

    def __init__(self, name: str, workspace: Workspace) -> None:
        self.name = name
        self._workspace = workspace
        self._peer: Peer | None = None
        self._python = Path(sys.executable)
        self._pulls = False
        self._versions = 0
        self._open: dict[Path, _Open] = {}
        self._on_disk: dict[Path, tuple[int, int]] = {}
        self._published: dict[str, Published] = {}
        self._news = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()

    async def start(self, argv: tuple[str, ...]) -> None:
        """Start the program and introduce ourselves.

        Raises:
            ProgramMissingError: It is not installed.
            ServerGoneError: It does not come up.
        """
        try:
            child = await self._workspace.start(argv)
        except OSError as error:
            raise ServerGoneError(f"it cannot be started: {error.strerror or error}") from error
        self._python = await asyncio.to_thread(interpreter, self._workspace.root)
        self._peer = Peer(child, answer=self._answer, hear=self._hear)
        uri = self._workspace.root.as_uri()
        answer = await self._request(
            "initialize",
            {
                "processId": None,
                "rootUri": uri,
                "workspaceFolders": [{"uri": uri, "name": self._workspace.root.name}],
                "capabilities": _CAPABILITIES,
            },
            timeout=STARTING,
        )
        self._pulls = "diagnosticProvider" in answer.get("capabilities", {})
        await self._notify("initialized", {})
        self._on_disk, _ = await asyncio.to_thread(_stamps, self._workspace.root)

    @property
    def running(self) -> bool:
        """Whether it can be asked."""
        return self._peer is not None and self._peer.running

    async def aclose(self) -> None:
        """End it with its whole process group."""
        if self._peer is not None:
            await self._peer.aclose()

    async def abandon(self) -> None:
        """End it without a word: it does not listen."""
        if self._peer is not None:
            await self._peer.abandon()

    async def sync(self, paths: Iterable[Path] = ()) -> None:
        """Bring the server in step with the workspace.

        Args:
            paths: Files that the next question is about; their text is sent as the workspace has
                it, together with what was sent before.
        """
        await self._tell_changes()
        wanted = dict.fromkeys([*self._open, *paths])
        for path in wanted:
            try:
                text = await self._workspace.read_text(path)
            except (OSError, UnicodeDecodeError):
                await self._close(path)
            else:
                await self._send(path, text)
        for path in list(self._open)[: max(0, len(self._open) - MAX_OPEN)]:
            await self._close(path)

    def text(self, path: Path) -> str:
        """Give the text that the server has of a file; empty when it was not sent."""
        return self._open[path].text if path in self._open else ""

    async def symbols_of(self, path: Path) -> list[DocumentSymbol]:
        """Ask what a file defines."""
        await self.sync([path])
        if path not in self._open:
            return []
        found = await self._request("textDocument/documentSymbol", {"textDocument": _id(path)})
        return _read(found or [], list[DocumentSymbol])

    async def definition(self, path: Path, position: Position) -> list[Location]:
        """Ask where the name at a place is defined."""
        found = await self._at("textDocument/definition", path, position)
        return _read([found] if isinstance(found, dict) else found or [], list[Location])

    async def references(self, path: Path, position: Position) -> list[Location]:
        """Ask where the name at a place is used, its definition included."""
        context = {"context": {"includeDeclaration": True}}
        found = await self._at("textDocument/references", path, position, **context)
        return _read(found or [], list[Location])

    async def hover(self, path: Path, position: Position) -> str:
        """Ask what an editor would show over a name."""
        found = await self._at("textDocument/hover", path, position)
        return _read(found, Hover).text if found else ""

    async def rename(
        self, path: Path, position: Position, new_name: str
    ) -> dict[Path, list[Position]]:
        """Ask which places of which files would change with a name.

        Raises:
            RefusedError: It cannot be renamed.
        """
        found = await self._at("textDocument/rename", path, position, newName=new_name)
        edit = _read(found or {}, WorkspaceEdit)
        return {
            path_of(uri): [one.range.start for one in edits] for uri, edits in edit.all().items()
        }

    async def diagnostics(self, path: Path) -> list[Diagnostic]:
        """Ask what is wrong with the text that was just sent, never with an older one.

        Raises:
            OSError: The file cannot be read.
            UnicodeDecodeError: It is not text.
        """
        text = await self._workspace.read_text(path)
        await self.sync()
        await self._send(path, text)
        if self._pulls:
            found = await self._request("textDocument/diagnostic", {"textDocument": _id(path)})
            return _read(found, DiagnosticReport).items
        return await self._pushed(path)

    async def _pushed(self, path: Path) -> list[Diagnostic]:
        uri, version = path.as_uri(), self._open[path].version

        def fresh() -> Published | None:
            found = self._published.get(uri)
            return found if found and (found.version or version) >= version else None

        try:
            async with asyncio.timeout(ANSWERING), self._news:
                while (found := fresh()) is None:
                    await self._news.wait()
        except TimeoutError:
            raise ServerGoneError(f"it said nothing about {path.name}") from None
        return found.diagnostics

    async def _send(self, path: Path, text: str) -> None:
        before = self._open.get(path)
        if before is not None and before.text == text:
            return
        self._versions += 1
        self._open[path] = _Open(self._versions, text)
        self._published.pop(path.as_uri(), None)
        document = {**_id(path), "version": self._versions}
        if before is None:
            document |= {"languageId": "python", "text": text}
            await self._notify("textDocument/didOpen", {"textDocument": document})
        else:
            changes = {"textDocument": document, "contentChanges": [{"text": text}]}
            await self._notify("textDocument/didChange", changes)

    async def _close(self, path: Path) -> None:
        if self._open.pop(path, None) is not None:
            await self._notify("textDocument/didClose", {"textDocument": _id(path)})

    async def _tell_changes(self) -> None:
        now, whole = await asyncio.to_thread(_stamps, self._workspace.root)
        before = self._on_disk
        changes = [
            (path, _CHANGED if path in before else _CREATED)
            for path, stamp in now.items()
            if before.get(path) != stamp
        ]
        if whole:
            changes += [(path, _DELETED) for path in before.keys() - now.keys()]
        if not changes:
            return
        self._on_disk = now if whole else before | now
        events = [{"uri": path.as_uri(), "type": kind} for path, kind in changes]
        await self._notify("workspace/didChangeWatchedFiles", {"changes": events})

    async def _at(self, method: str, path: Path, position: Position, **more: object) -> Any:
        return await self._request(
            method, {"textDocument": _id(path), "position": position, **more}
        )

    async def _request(self, method: str, params: object, *, timeout: float = ANSWERING) -> Any:
        if self._peer is None:
            raise ServerGoneError("it was not started")
        return await self._peer.request(method, params, timeout=timeout)

    async def _notify(self, method: str, params: object) -> None:
        if self._peer is None:
            raise ServerGoneError("it was not started")
        await self._peer.notify(method, params)

    def _answer(self, method: str, params: Any) -> Any:
        match method:
            case "workspace/configuration":
                return [self._settings(item.get("section")) for item in params["items"]]
            case "workspace/workspaceFolders":
                return [{"uri": self._workspace.root.as_uri(), "name": self._workspace.root.name}]
            case "client/registerCapability":
                asked = [one["method"] for one in params["registrations"]]
                self._pulls |= "textDocument/diagnostic" in asked
                return None
            case "client/unregisterCapability" | "window/workDoneProgress/create":
                return None
            case "workspace/diagnostic/refresh" | "window/showMessageRequest":
                return None
            case _:
                raise LookupError(method)

    def _settings(self, section: str | None) -> dict[str, Any]:
        # Said even where there is nothing to say: pyright runs the Python of a `.venv` that it finds.
        return {"pythonPath": str(self._python)} if section == "python" else {}

    def _hear(self, method: str, params: Any) -> None:
        if method != "textDocument/publishDiagnostics":
            return
        published = _read(params, Published)
        self._published[published.uri] = published
        task = asyncio.ensure_future(self._tell_news())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_news(self) -> None:
        async with self._news:
            self._news.notify_all()


async def start_server(workspace: Workspace, argv: tuple[str, ...]) -> LanguageServer:
    """Start one of `SERVERS` over a workspace's root.

    Raises:
        ProgramMissingError: It is not installed.
        ServerGoneError: It does not come up.
    """
    server = LanguageServer(Path(argv[0]).name, workspace)
    try:
        await server.start(argv)
    except BaseException:
        await server.abandon()
        raise
    return server


def _id(path: Path) -> dict[str, Any]:
    return {"uri": path.as_uri()}


def _read(value: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise RefusedError(f"its answer cannot be read: {error}") from error


def _stamps(root: Path) -> tuple[dict[Path, tuple[int, int]], bool]:
    """Note when each Python file below a folder was changed, and whether all were seen."""
    import time

    end = time.monotonic() + WALKING
    stamps: dict[Path, tuple[int, int]] = {}
    for path in walk_files(root, budget=WALKING):
        if path.suffix not in {".py", ".pyi", ".toml"}:
            continue
        try:
            stat = path.stat()
        except OSError:
            continue  # Gone since the walk saw it.
        stamps[path] = (stat.st_mtime_ns, stat.st_size)
    return stamps, time.monotonic() < end
