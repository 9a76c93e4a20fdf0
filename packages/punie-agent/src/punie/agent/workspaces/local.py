"""The workspace on this disk: atomic writes, and programs that cannot outlive their call.

File work runs in threads, so a slow disk never stalls the event loop. Nothing here asks for
permission: `punie.agent.permissions` does, before a tool runs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
import stat
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from punie.agent.workspaces.base import (
    CommandResult,
    OnOutput,
    ProcessResult,
    ProgramMissingError,
)
from punie.agent.workspaces.children import Child, start_child
from punie.agent.workspaces.environments import NAME, SCRIPTS, own_environment
from punie.agent.workspaces.processes import Output, kill_group, run_group

RUN_LIMIT = 8 * 1024 * 1024
"""Bytes kept of each stream of `run`: a cut report of a program could not be parsed."""
COMMAND_LIMIT = 1024 * 1024
"""Bytes kept of a shell command's output."""
CANNOT_START = 126
"""Exit code for what could not be started, as shells have it."""

_SYSTEM_PROGRAMS = frozenset({"git", "rg"})
"""Never taken from the project: looking at a repository must not run what it brought along."""
_GIT_HOOK_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
)
_QUIET = {"PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}


class LocalWorkspace:
    """Files and processes below one folder of this machine."""

    def __init__(
        self,
        root: Path | str,
        *,
        more: Sequence[Path] = (),
        programs: Sequence[Path] | None = None,
    ) -> None:
        """Open a folder.

        Args:
            root: The session's folder.
            more: Further folders that belong to the session.
            programs: Folders in which `run` looks for programs. By default the project's
                `.venv` unless the repository brought it, the active environment, this
                interpreter's own, then `PATH`.
        """
        self._root = Path(os.path.realpath(root))
        resolved = [self._root, *(Path(os.path.realpath(folder)) for folder in more)]
        self._roots = tuple(dict.fromkeys(resolved))
        self._programs = None if programs is None else tuple(programs)
        self._running: set[int] = set()
        self._judged = False
        self._environment_folder: Path | None = None
        self._closed = False

    @property
    def root(self) -> Path:
        """The session's folder, absolute, links resolved."""
        return self._root

    @property
    def roots(self) -> tuple[Path, ...]:
        """The session's folder, then further ones that belong to it."""
        return self._roots

    def resolve(self, path: str) -> Path:
        """Turn a path as the model wrote it into an absolute one, links resolved.

        Characters that no path can hold are replaced, so the result simply does not exist.
        """
        clean = path.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        return Path(os.path.realpath(self._root / clean))

    def contains(self, path: Path) -> bool:
        """Tell whether a resolved path lies in one of the roots."""
        return any(path == root or root in path.parents for root in self._roots)

    async def read_text(self, path: Path) -> str:
        """Read a whole text file, line endings as they are."""
        return await asyncio.to_thread(_read, path)

    async def write_text(self, path: Path, text: str) -> None:
        """Replace or create a text file in one step, with its folders.

        When the wait is cancelled the file is either untouched or wholly written by the time
        the cancellation goes on; no temporary file stays.
        """
        data = text.encode("utf-8")
        abandoned = threading.Event()
        write = asyncio.ensure_future(asyncio.to_thread(replace_file, path, data, abandoned))
        try:
            await asyncio.shield(write)
        except asyncio.CancelledError:
            abandoned.set()
            await asyncio.wait([write])
            write.exception()
            raise

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> ProcessResult:
        """Run a program without a shell and capture its output, streams apart.

        What cannot be started for another reason than a missing program ends with exit code
        126 and says why in `stderr`.
        """
        program = await asyncio.to_thread(self.find_program, argv[0])
        if program is None:
            raise ProgramMissingError(argv[0])
        try:
            output = await self._run([program, *argv[1:]], cwd, timeout, env or {}, RUN_LIMIT)
        except (OSError, ValueError) as error:
            return ProcessResult(
                exit_code=CANNOT_START, stdout="", stderr=_why(error, cwd or self._root)
            )
        return ProcessResult(
            exit_code=output.exit_code,
            stdout=output.stdout,
            stderr=output.stderr,
            timed_out=output.timed_out,
            truncated=output.truncated,
        )

    async def run_command(
        self,
        command: str,
        *,
        cwd: Path | None = None,
        timeout: float = 120.0,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a shell command, both streams in one, passed on as they arrive."""
        try:
            output = await self._run(
                command, cwd, timeout, _QUIET, COMMAND_LIMIT, on_output=on_output
            )
        except (OSError, ValueError) as error:
            return CommandResult(exit_code=CANNOT_START, output=_why(error, cwd or self._root))
        return CommandResult(
            exit_code=output.exit_code,
            output=output.stdout,
            timed_out=output.timed_out,
            truncated=output.truncated,
        )

    async def start(
        self, argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start a program that stays; it dies with the workspace."""
        program = await asyncio.to_thread(self.find_program, argv[0])
        if program is None:
            raise ProgramMissingError(argv[0])
        return await start_child(
            [program, *argv[1:]],
            cwd=cwd or self._root,
            env=await asyncio.to_thread(self._environment, env or {}),
            started=self._started,
            ended=self._running.discard,
        )

    def find_program(self, program: str) -> str | None:
        """Find a program: the project's own first, except those that only look at the project."""
        if self._programs is not None:
            folders = [str(folder) for folder in self._programs]
        else:
            path = os.environ.get("PATH", os.defpath)
            own = [] if program in _SYSTEM_PROGRAMS else self._environments()
            folders = [*map(str, own), *path.split(os.pathsep)]
        return shutil.which(program, path=os.pathsep.join(folders))

    def close(self) -> None:
        """Kill whatever still runs, at once, and whatever would start from now on."""
        self._closed = True
        for group in tuple(self._running):
            kill_group(group)

    @property
    def _own(self) -> Path | None:
        """The project's environment; looked for anew until there is one, and asked about once."""
        folder = self._root / NAME
        if self._judged != (made := folder.exists()):
            self._judged, self._environment_folder = made, own_environment(self._root)
        return self._environment_folder

    def _environments(self) -> list[Path]:
        active = os.environ.get("VIRTUAL_ENV")
        homes = [self._own, Path(active) if active else None, Path(sys.prefix)]
        return [home / SCRIPTS for home in homes if home is not None]

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if name not in _GIT_HOOK_VARIABLES}
        if (own := self._own) is not None:
            env["VIRTUAL_ENV"] = str(own)
            env["PATH"] = os.pathsep.join([str(own / SCRIPTS), env.get("PATH", os.defpath)])
        return env | dict(extra)

    async def _run(
        self,
        argv: Sequence[str] | str,
        cwd: Path | None,
        timeout: float,
        env: Mapping[str, str],
        limit: int,
        *,
        on_output: OnOutput | None = None,
    ) -> Output:
        return await run_group(
            argv,
            cwd=cwd or self._root,
            env=await asyncio.to_thread(self._environment, env),
            timeout=timeout,
            limit=limit,
            merge=isinstance(argv, str),
            on_output=on_output,
            started=self._started,
            ended=self._running.discard,
        )

    def _started(self, group: int) -> None:
        self._running.add(group)
        if self._closed:
            kill_group(group)


def replace_file(path: Path, data: bytes, abandoned: threading.Event | None = None) -> None:
    """Write a file in one step: a temporary neighbour, synced, then moved over it.

    Args:
        path: The file; of a link, its target is replaced. Missing folders are made.
        data: Its whole new content.
        abandoned: When set before the last step, nothing is changed.

    Raises:
        OSError: It cannot be written; the old content is still there.
    """
    target = Path(os.path.realpath(path))
    old = _writable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".punie-{secrets.token_hex(8)}.tmp")
    # Opened like this, a new file gets the mode that the person's umask asks for.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if old is not None:
            _keep_owner_and_mode(temporary, old)
        if abandoned is None or not abandoned.is_set():
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _writable(target: Path) -> os.stat_result | None:
    try:
        old = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(target))
    if not os.access(target, os.W_OK):
        # Moving a file over it would need no right to write it, so ask for that right here.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return old


def _keep_owner_and_mode(temporary: Path, old: os.stat_result) -> None:
    new = temporary.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):
            os.chown(temporary, old.st_uid, old.st_gid)
    temporary.chmod(stat.S_IMODE(old.st_mode))


def _read(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes().decode("utf-8")


def _why(error: OSError | ValueError, cwd: Path) -> str:
    if not cwd.is_dir():
        return f"the folder {cwd} does not exist"
    if isinstance(error, OSError):
        return f"cannot start: {error.strerror or error}"
    return f"cannot start: {error}"
