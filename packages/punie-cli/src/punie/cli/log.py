"""Logging for the process: structlog and the standard library on stderr, secrets removed.

stdout belongs to the protocol and to answers, so no log line ever goes there. Both cost start-up
time, so each is configured when the first module imports it, not before. Libraries only ask for a
logger; only `punie` (this module) decides where lines go.

The level is `PUNIE_LOG` (`debug`, `info`, `warning`, `error`); `warning` when unset.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

REDACTED = "[redacted]"

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_SECRET_KEYS = re.compile(
    r"^_meta$|token$|authorization|api_?key|password|passwd|secret|cookie|credential", re.IGNORECASE
)
# `input_tokens=12` is a count, not a secret: the key pattern ends at `token`, singular.
_SECRET_TEXT = (
    re.compile(r"(?i)(?P<keep>\bbearer\s+)[\w.~+/=-]+"),
    re.compile(r"(?i)(?P<keep>[?&](?:token|key|api_key)=)[^&\s\"']+"),
    re.compile(r"(?P<keep>)\b(?:sk|ghp|gho|hf|xox[abp])[-_][\w-]{8,}"),
)


def install() -> None:
    """Arrange that each logging library is configured as soon as some module imports it."""
    for name, configure in {"structlog": configure_structlog, "logging": configure_logging}.items():
        if name in sys.modules:
            configure()
        else:
            sys.meta_path.insert(0, _AfterImport(name, configure))


def configure_logging() -> None:
    """Send the standard library's records to stderr, one logfmt line each."""
    import logging

    class Redacting(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return redact(super().format(record))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        Redacting('timestamp=%(asctime)s level=%(levelname)s event="%(message)s" logger=%(name)s')
    )
    logging.basicConfig(level=level(), handlers=[handler])


def configure_structlog() -> None:
    """Send structlog's lines to stderr: for people on a terminal, as logfmt elsewhere."""
    import structlog

    terminal = sys.stderr.isatty()
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if terminal
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level()),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def level() -> int:
    """The level that `PUNIE_LOG` names, as `logging` counts; `warning` for anything else."""
    return LEVELS.get(os.environ.get("PUNIE_LOG", "").lower(), LEVELS["warning"])


def redact_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    """Take secrets out of one log event; a structlog processor."""
    return {key: redact(value, key=key) for key, value in event.items()}


def redact(value: Any, *, key: str = "") -> Any:
    """Take secrets out of a value.

    Args:
        value: Any value; mappings and sequences are searched.
        key: The name it is logged under.

    Returns:
        The value with `_meta`, tokens, keys and passwords replaced by `REDACTED`.
    """
    if _SECRET_KEYS.search(key):
        return REDACTED
    match value:
        case str():
            for pattern in _SECRET_TEXT:
                value = pattern.sub(rf"\g<keep>{REDACTED}", value)
            return value
        case Mapping():
            return {name: redact(item, key=str(name)) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list() | tuple():
            return [redact(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


class _AfterImport(MetaPathFinder):
    """Runs a function right after one module was imported, once."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self.name = name
        self.then = then

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_configure(module: ModuleType) -> None:
                execute(module)
                self.then()

            spec.loader.exec_module = execute_and_configure  # type: ignore[method-assign]
        return spec
