"""Real repositories, and the ways a person reaches Punie in them; only the model is scripted.

The model is a server on a real socket, so the `punie` that a test starts is the one that a person
starts. `ide` and `ide_alone` are clients over `punie acp`: the first offers its files and terminals
and is linked in this process, the second offers nothing and starts the process.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from punie.acp.agent_side import serve_dual
from punie.acp.client_side import AgentProxy
from punie.acp.errors import ConnectionClosedError, RequestError
from punie.acp.process import start_agent
from punie.acp.schema import v1
from punie.acp.testing import EVERYTHING, RecordingClient, served
from punie.agent.acp.agent import PunieAgent
from punie.agent.runtime import Runtime
from punie.agent.testing.fake_server import FakeServer, open_fake_server, spoken
from punie.agent.testing.scripts import Script

PUNIE = (sys.executable, "-m", "punie")
SETTINGS = 'tools = ["core", "refactoring"]\n'
GIT = "[user]\nname = Somebody\nemail = somebody@example.org\n[init]\ndefaultBranch = main\n"

SHOP = {
    ".gitignore": "__pycache__/\n.pytest_cache/\n.ruff_cache/\n",
    "shop/__init__.py": "",
    "shop/prices.py": (
        "from dataclasses import dataclass\n\n\n"
        "@dataclass(frozen=True)\nclass Item:\n    name: str\n    price: int\n\n\n"
        "def total(items: list[Item]) -> int:\n"
        "    return sum(item.price for item in items) - 1\n"
    ),
    "shop/report.py": (
        "from shop.prices import Item, total\n\n\n"
        "def report(items: list[Item]) -> str:\n"
        '    lines = [f"{item.name}: {item.price}" for item in items]\n'
        '    return "\\n".join([*lines, f"total: {total(items)}"])\n'
    ),
    "tests/test_shop.py": (
        "from shop.prices import Item, total\nfrom shop.report import report\n\n"
        'ITEMS = [Item("tea", 3), Item("jam", 4)]\n\n\n'
        "def test_total():\n    assert total(ITEMS) == 7\n\n\n"
        'def test_report():\n    assert report(ITEMS) == "tea: 3\\njam: 4\\ntotal: 7"\n'
    ),
    "notes.txt": "kept as it is:\r\ntabs\tand no last line break",
}
"""A program in two modules with one bug, and a file that nobody should touch."""

SDISTS = {
    "inflection": (
        "inflection==0.5.1",
        "1a29730d366e996aaacffb2f1f1cb9593dc38e2ddd30c91250c6dde09ea9b417",
    ),
    "parse": (
        "parse==1.20.2",
        "b41d604d16503c79d81af5165155c0b20f6c8d6c559efa66b4b695c3e5a0a0ce",
    ),
}
"""Requirement and SHA-256: small packages in pure Python that carry their tests."""
UNREACHABLE = re.compile(
    r"connection broken|connect error|connection error|sending request|timed out", re.IGNORECASE
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Repository:
    """A folder under git, and what a test asks about it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout

    def commit(self) -> None:
        """Begin a history with everything that is here."""
        self.git("init", "--quiet")
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", "Begin")

    @property
    def status(self) -> list[str]:
        """What git sees as changed, such as ` M shop/prices.py`."""
        return self.git("status", "--porcelain", "--untracked-files=all").splitlines()

    @property
    def files(self) -> dict[str, bytes]:
        """The bytes of every file that git does not ignore."""
        listed = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        paths = {name: self.root / name for name in listed.split("\0") if name}
        return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

    def tested(self) -> tuple[int, int]:
        """Run the tests with the real pytest; how many passed, and how many did not."""
        report = self.root.parent / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        subprocess.run(
            [*command, f"--junit-xml={report}"], cwd=self.root, capture_output=True, check=False
        )
        (suite,) = ElementTree.parse(report).getroot()
        ran, bad, skipped = (
            int(suite.attrib["tests"]),
            int(suite.attrib["failures"]) + int(suite.attrib["errors"]),
            int(suite.attrib["skipped"]),
        )
        return ran - bad - skipped, bad


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for everything that is started; gives it."""
    home = tmp_path / "home"
    (home / ".config" / "punie").mkdir(parents=True)
    (home / ".config" / "punie" / "config.toml").write_text(SETTINGS)
    (home / ".gitconfig").write_text(GIT)
    for name in [name for name in os.environ if name.startswith(("PUNIE", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    # These repositories need none of this environment's plugins, which take a second to load.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return home


@pytest.fixture
def shop(tmp_path: Path, environment: Path) -> Repository:
    """The small shop; one of its two functions is wrong."""
    root = tmp_path / "shop"
    for name, text in SHOP.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    repository = Repository(root)
    repository.commit()
    return repository


@pytest.fixture(scope="session")
def sdist(pytestconfig: pytest.Config) -> Callable[[str], Path]:
    """Give a published archive, fetched once for all runs: `sdist("parse")`."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("sdists")

    def archive(name: str) -> Path:
        requirement, digest = SDISTS[name]
        path = folder / f"{requirement.replace('==', '-')}.tar.gz"
        if not path.exists():
            _download(folder, requirement, digest)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, f"not {requirement}: {path}"
        return path

    return archive


def _download(folder: Path, requirement: str, digest: str) -> None:
    pins = folder / "pins.txt"
    pins.write_text(f"{requirement} --hash=sha256:{digest}\n")
    options = ["--quiet", "--no-deps", "--no-binary=:all:", "--require-hashes", "--retries=1"]
    done = subprocess.run(
        [*_pip(), "download", *options, "--dest", str(folder), "--requirement", str(pins)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"no package index can be reached: go online once to fetch {requirement}")
    assert done.returncode == 0, done.stderr


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "neither pip nor uv is here to fetch a package: pip install uv"
    return [uv, "tool", "run", "pip"]


@pytest.fixture
def published(
    tmp_path: Path, environment: Path, sdist: Callable[[str], Path]
) -> Callable[[str], Repository]:
    """Unpack a published package and commit it: `published("parse")`."""

    def unpack(name: str) -> Repository:
        with tarfile.open(sdist(name)) as archive:
            archive.extractall(tmp_path, filter="data")
        (unpacked,) = tmp_path.glob(f"{name}-*")
        root = unpacked.rename(tmp_path / name)
        (root / ".gitignore").write_text(SHOP[".gitignore"])
        repository = Repository(root)
        repository.commit()
        return repository

    return unpack


class Model:
    """The scripted server, and how `--model` names it."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.answers = 0

    @property
    def spec(self) -> str:
        return f"local:{self.server.url}/fake"

    def follow(self, script: Script) -> None:
        """Answer the next requests with these."""
        self.answers += len(script)
        self.server.scripts += [spoken(steps) for steps in script]

    @property
    def read(self) -> list[dict[str, Any]]:
        """The messages of the latest request."""
        return self.server.requests[-1]["messages"]


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    """A model server; it must have been asked for every answer of its script, and for no more."""
    async with open_fake_server() as server:
        model = Model(server)
        yield model
    assert len(server.requests) == model.answers


class Editor(RecordingClient):
    """An editor over the real disk: unsaved texts above it, real terminals, one kind of answer.

    Args:
        allow: Whether the person allows what is asked.
        unsaved: Texts by absolute path that are not on disk yet.
    """

    def __init__(self, *, allow: bool = True, unsaved: dict[str, str] | None = None) -> None:
        super().__init__(allow=allow, files=unsaved)
        self.news = asyncio.Condition()
        self.saved: list[str] = []
        self.commands: list[str] = []
        self._terminals: dict[str, asyncio.subprocess.Process] = {}
        self._printed: dict[str, asyncio.Future[tuple[bytes, Any]]] = {}

    @property
    def asked(self) -> list[str]:
        """The titles of the questions so far."""
        return [str(asked.tool_call.title) for asked in self.permissions]

    async def until(self, happened: Callable[[], Any]) -> None:
        """Wait until something is so, looking after each update."""
        async with self.news:
            await self.news.wait_for(happened)

    async def session_update(self, params: v1.SessionNotification) -> None:
        await super().session_update(params)
        async with self.news:
            self.news.notify_all()

    async def read_text_file(self, params: v1.ReadTextFileRequest) -> v1.ReadTextFileResponse:
        if params.path in self.files:
            return await super().read_text_file(params)
        try:
            text = (await asyncio.to_thread(Path(params.path).read_bytes)).decode()
        except (OSError, UnicodeDecodeError):
            raise RequestError(-32002, "Resource not found", {"uri": params.path}) from None
        return v1.ReadTextFileResponse(content=text)

    async def write_text_file(self, params: v1.WriteTextFileRequest) -> v1.WriteTextFileResponse:
        self.saved.append(params.path)
        self.files.pop(params.path, None)
        await asyncio.to_thread(_save, Path(params.path), params.content)
        return v1.WriteTextFileResponse()

    async def create_terminal(self, params: v1.CreateTerminalRequest) -> v1.CreateTerminalResponse:
        self.commands.append(params.args[-1])
        child = await asyncio.create_subprocess_exec(
            params.command,
            *params.args,
            cwd=params.cwd,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        terminal_id = f"terminal {len(self.commands)}"
        self._terminals[terminal_id] = child
        self._printed[terminal_id] = asyncio.ensure_future(child.communicate())
        return v1.CreateTerminalResponse(terminal_id=terminal_id)

    async def wait_for_terminal_exit(
        self, params: v1.WaitForTerminalExitRequest
    ) -> v1.WaitForTerminalExitResponse:
        code = await self._terminals[params.terminal_id].wait()
        return v1.WaitForTerminalExitResponse(exit_code=code)

    async def terminal_output(self, params: v1.TerminalOutputRequest) -> v1.TerminalOutputResponse:
        printed, _ = await self._printed[params.terminal_id]
        return v1.TerminalOutputResponse(output=printed.decode(), truncated=False)

    async def release_terminal(
        self, params: v1.ReleaseTerminalRequest
    ) -> v1.ReleaseTerminalResponse:
        await self._printed.pop(params.terminal_id)
        return v1.ReleaseTerminalResponse()


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


class Killer(Editor):
    """Answers a question by killing the agent.

    Args:
        pid: The file with its process number.
    """

    def __init__(self, pid: Path) -> None:
        super().__init__()
        self._pid = pid

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        self.permissions.append(params)
        os.kill(int(self._pid.read_text()), signal.SIGKILL)
        return v1.RequestPermissionResponse(outcome=v1.CancelledPermissionOutcome())


class Seat(NamedTuple):
    """A person at an editor with one session."""

    editor: Editor
    agent: AgentProxy
    session_id: str

    async def ask(self, text: str) -> v1.PromptResponse:
        prompt: list[v1.ContentBlock] = [v1.TextContent(text=text)]
        return await self.agent.prompt(v1.PromptRequest(session_id=self.session_id, prompt=prompt))


Sit = Callable[..., AbstractAsyncContextManager[Seat]]


@asynccontextmanager
async def _agent(
    model: Model, editor: Editor, *, inside: bool, pid: Path | None
) -> AsyncGenerator[AgentProxy]:
    capabilities = EVERYTHING if inside else v1.ClientCapabilities()
    if inside:
        host = lambda: Runtime(model=model.spec)  # noqa: E731
        opened = served(
            lambda transport: serve_dual(lambda proxy: PunieAgent(proxy, host), transport), editor
        )
    else:
        opened = start_agent([*_watched(pid), "acp", "--no-attach", "--model", model.spec], editor)
    async with opened as agent:
        await agent.initialize(
            v1.InitializeRequest(protocol_version=1, client_capabilities=capabilities)
        )
        yield agent


def _watched(pid: Path | None) -> Sequence[str]:
    """The command; with a file, its process number is written there before it begins."""
    note = [] if pid is None else ["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(pid)]
    return [*note, *PUNIE]


@pytest.fixture
def sit(model: Model) -> Sit:
    """Open a session in an editor: `async with sit(repository, Editor(), inside=False)`.

    `inside` is an editor in this process that offers files and terminals; else `punie acp` is
    started, offered nothing, and `pid` may name a file for its number. `load` opens the newest old
    session of the folder instead of a new one.
    """

    @asynccontextmanager
    async def open_session(
        repository: Repository,
        editor: Editor,
        *,
        inside: bool = False,
        load: bool = False,
        pid: Path | None = None,
    ) -> AsyncGenerator[Seat]:
        cwd = str(repository.root)
        async with _agent(model, editor, inside=inside, pid=pid) as agent:
            if load:
                listed = await agent.list_sessions(v1.ListSessionsRequest(cwd=cwd))
                session_id = listed.sessions[0].session_id
                old = v1.LoadSessionRequest(session_id=session_id, cwd=cwd, mcp_servers=[])
                await agent.load_session(old)
            else:
                new = v1.NewSessionRequest(cwd=cwd, mcp_servers=[])
                session_id = (await agent.new_session(new)).session_id
            yield Seat(editor, agent, session_id)

    return open_session


class Done(NamedTuple):
    """How a prompt ended, as far as the way tells."""

    text: str
    """The answer; at a terminal, all that stays on the screen."""
    asked: list[str]
    """Titles of the questions; headless there are none."""
    code: int | None = None
    """The exit code of `punie ask`."""
    stop_reason: str = ""
    editor: Editor | None = None


Way = Callable[..., Awaitable[Done]]


async def _headless(model: Model, repository: Repository, prompt: str, *, allow: bool) -> Done:
    child = await asyncio.create_subprocess_exec(
        *(*PUNIE, "ask", "--json", "--model", model.spec, *(["--yes"] if allow else []), prompt),
        cwd=repository.root,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await child.communicate()
    last = json.loads(printed.splitlines()[-1])  # of one that was killed it is no result
    return Done(
        text=last.get("text", ""),
        asked=[],
        code=child.returncode,
        stop_reason=last.get("stop_reason", ""),
    )


_WIPED = re.compile(rb"[^\n]*\r\x1b\[K")
"""What stood in a line before it was written anew: nobody sees it."""
_QUESTION = re.compile(rb"\? ([^\r\n]*) \([^\r\n]*\)\r\n  1 Allow once[^\r\n]*: ")


async def _terminal(
    model: Model, repository: Repository, prompt: str, *, allow: bool | None
) -> Done:
    person, end = os.openpty()
    child = await asyncio.create_subprocess_exec(
        *(*PUNIE, "ask", "--model", model.spec, prompt),
        cwd=repository.root,
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    seen, answered = b"", 0
    while piece := await asyncio.to_thread(_read, person):
        seen += piece
        questions = _QUESTION.findall(seen)
        if len(questions) > answered:
            answered = len(questions)
            if allow is None:
                child.kill()
            else:
                os.write(person, b"1\n" if allow else b"3\n")
    os.close(person)
    code = await child.wait()
    return Done(
        text=_WIPED.sub(b"", seen).decode(),
        asked=[title.decode() for title in _QUESTION.findall(seen)],
        code=code,
    )


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # what Linux says when nobody holds the other end any more
        return b""


@pytest.fixture(params=["headless", "terminal", "ide_alone", "ide"])
def way(request: pytest.FixtureRequest, model: Model, sit: Sit, tmp_path: Path) -> Way:
    """Let Punie answer one prompt: `await way(repository, "prompt", allow=True)`.

    `allow=None` kills the process at its first question; there is none headless.
    """

    async def go(repository: Repository, prompt: str, *, allow: bool | None = True) -> Done:
        if request.param == "headless":
            return await _headless(model, repository, prompt, allow=bool(allow))
        if request.param == "terminal":
            return await _terminal(model, repository, prompt, allow=allow)
        pid = tmp_path / "pid" if allow is None else None
        editor = Editor(allow=bool(allow)) if pid is None else Killer(pid)
        stop_reason = ""
        async with sit(repository, editor, inside=request.param == "ide", pid=pid) as seat:
            try:
                stop_reason = str((await seat.ask(prompt)).stop_reason)
            except ConnectionClosedError:
                assert allow is None
        return Done(editor.text, editor.asked, stop_reason=stop_reason, editor=editor)

    return go
