"""From an exception to one sentence on stderr and an exit code.

An error class owns its exit code as the attribute `exit_code`, so nothing here knows the packages
that raise. What has no code is a bug: it exits 1 and its traceback goes to a file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

CANCELLED = 130


def exit_code_of(error: BaseException) -> int:
    """Report an exception that ended `punie` and choose the exit code.

    Args:
        error: What was raised. Of an exception group, the member that knows its exit code counts.

    Returns:
        Its own `exit_code`; 130 for an interrupt; else 1.
    """
    if any(isinstance(leaf, KeyboardInterrupt | click.Abort) for leaf in _leaves(error)):
        _say("cancelled")
        return CANCELLED
    for leaf in _leaves(error):
        code = getattr(leaf, "exit_code", None)
        if isinstance(code, int):
            _say(_message(leaf))
            return code
    _say(_crash_message(error))
    return 1


def state_logs() -> Path:
    """The folder of Punie's logs on this machine: `logs/` in the state folder.

    Linux and macOS share the XDG layout; on Windows it is the person's local application data.
    """
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        named = Path(os.environ.get("XDG_STATE_HOME", ""))
        base = named if named.is_absolute() else home / ".local" / "state"
    return base / "punie" / "logs"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            yield from _leaves(member)  # pyright: ignore[reportUnknownArgumentType]
    else:
        yield error


def _message(error: BaseException) -> str:
    if not isinstance(error, click.ClickException):
        return str(error) or type(error).__name__
    message = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    return f"{message}\nTry `{context.command_path} --help`."


def _crash_message(error: BaseException) -> str:
    import traceback

    trace = "".join(traceback.format_exception(error))
    summary = f"{type(error).__name__}: {error}".rstrip(": ")
    if os.environ.get("PUNIE_DEBUG"):
        return f"{summary}\n{trace}"
    try:
        path = _keep(trace)
    except OSError as refused:
        return f"{summary} (the traceback could not be kept: {refused})\n{trace}"
    return f"{summary} (a bug; the traceback is in {path}, PUNIE_DEBUG=1 shows it)"


def _keep(trace: str) -> Path:
    from datetime import UTC, datetime

    folder = state_logs()
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = folder / f"crash-{stamp}-{os.getpid()}.log"
    path.touch(mode=0o600)  # a message may quote what a person wrote
    path.write_text(trace, encoding="utf-8")
    return path


def _say(message: str) -> None:
    try:
        sys.stderr.write(f"punie: {message}\n")
        sys.stderr.flush()
    except OSError:
        # Nobody reads stderr any more; the exit code still tells.
        return
