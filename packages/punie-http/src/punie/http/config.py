"""What a hub is told, and where a running one can be found: the state file `hub.json`.

A hub writes the file when it starts and takes it away when it stops; an agent that an IDE started
reads it to dial in. It holds the token, so only its owner may read it. Dialling is not done here.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from punie.http.errors import HubStateError

OWNER_ONLY = 0o600


class HubState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A hub that is running."""

    url: str
    """Where it listens, `http://host:port`."""
    token: str
    """What a caller presents; never logged."""
    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    """The process that serves it."""

    def __repr__(self) -> str:
        return f"HubState(url={self.url!r}, token='[redacted]', pid={self.pid})"


class AgentCommand(Struct, frozen=True, kw_only=True):
    """An agent of any make that the hub starts."""

    name: str
    command: tuple[str, ...]
    """Program and arguments."""
    cwd: Path | None = None


class Settings(Struct, frozen=True, kw_only=True):
    """How a hub runs."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0 takes a free one."""
    model: str | None = None
    """For Punie's own agent; what its settings say by default."""
    commands: tuple[AgentCommand, ...] = ()
    in_process: bool = True
    """Whether agents of the entry point group `punie.agents` run in the hub."""
    folder: Path
    """Where a new session works unless it is told."""
    database: Path
    state: Path

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the hub."""
        return self.host in LOOPBACK

    @property
    def warning(self) -> str:
        """What it means to listen where others reach the hub; empty when they cannot."""
        if self.is_loopback:
            return ""
        return (
            f"The hub listens on {self.host}: whoever reaches that address and knows the token can "
            "run commands on this machine, and the connection is not encrypted. Put a proxy with "
            "TLS before it, or use an SSH tunnel to 127.0.0.1."
        )


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine that no other machine reaches."""


def state_path() -> Path:
    """Where the state file stands on this machine.

    Linux and macOS share the XDG layout; on Windows it is the person's local application data.
    """
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        named = Path(os.environ.get("XDG_STATE_HOME", ""))
        base = named if named.is_absolute() else home / ".local" / "state"
    return base / "punie" / "hub.json"


def person_path() -> Path:
    """Where the person's own settings stand: the file of `punie.agent`."""
    if sys.platform == "win32":
        return state_path().with_name("config.toml")
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = named if named.is_absolute() else Path.home() / ".config"
    return base / "punie" / "config.toml"


def database_path() -> Path:
    """Where the hub keeps what agents told it."""
    return state_path().with_name("hub.db")


def write_state(state: HubState, path: Path) -> None:
    """Announce a hub.

    The file appears whole or not at all, with mode 0600 from its first byte.

    Args:
        state: The hub that runs in some process.
        path: Where to write, usually `state_path()`; missing folders are made.

    Raises:
        OSError: The folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp gives mode 0600 before anything is written.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_state(path: Path) -> HubState | None:
    """Find the hub that runs on this machine.

    Args:
        path: Where to read, usually `state_path()`.

    Returns:
        The hub, or `None` when no file is there or the process that wrote it is gone. A process
        that took over the number of a dead hub is not noticed here: whoever dials asks for a proof
        first (`punie.http.auth.Door.prove`).

    Raises:
        HubStateError: The file belongs to somebody else, is readable by others or is damaged.
    """
    try:
        with path.open("rb") as file:
            _require_private(path, os.fstat(file.fileno()))
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HubStateError(path, f"cannot be read ({error.strerror})") from error
    try:
        state = msgspec.json.decode(content, type=HubState)
    except msgspec.DecodeError as error:
        raise HubStateError(path, f"is damaged ({error})") from error
    return state if _runs(state.pid) else None


def last_token(path: Path) -> str | None:
    """The token of a hub that died without a word, so that open pages stay logged in.

    Args:
        path: Where `write_state` wrote.

    Returns:
        The token; `None` when the last hub stopped in order, or its file is not to be trusted.
    """
    try:
        with path.open("rb") as file:
            _require_private(path, os.fstat(file.fileno()))
            return msgspec.json.decode(file.read(), type=HubState).token
    except (OSError, HubStateError, msgspec.DecodeError):
        return None


def remove_state(path: Path, *, pid: int) -> None:
    """Take a hub's announcement away, unless another hub has announced itself since.

    Args:
        path: Where `write_state` wrote.
        pid: The process that stops.
    """
    try:
        current = msgspec.json.decode(path.read_bytes(), type=HubState)
    except (FileNotFoundError, msgspec.DecodeError):
        return
    if current.pid == pid:
        path.unlink(missing_ok=True)


def _require_private(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if status.st_uid != os.getuid():
        raise HubStateError(path, "belongs to another user")
    if stat.S_IMODE(status.st_mode) & ~OWNER_ONLY:
        raise HubStateError(path, f"has mode {stat.S_IMODE(status.st_mode):o} instead of 600")


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 would end the process on Windows
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # somebody else's process took the number: the hub was of the file's owner
    return True
