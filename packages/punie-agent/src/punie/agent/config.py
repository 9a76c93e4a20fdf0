"""Settings of a project and of a person, and where Punie keeps its files on this machine.

Two TOML sources: `[tool.punie]` in the `pyproject.toml` of the session's folder or of the nearest
one above it, and `config.toml` in the person's configuration folder. The project wins about the model;
about the mode the stricter wins, and its rules that allow something and a model on another machine count
only in a folder that the person trusts, since a project that was only cloned must neither grant itself
anything nor choose who gets to read the conversation. Which model the settings lead to is decided in `punie.agent.models.registry`; options of commands are not here.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
from msgspec import Struct

from punie.agent.errors import ConfigError

STRICTEST_FIRST = ("read-only", "plan", "ask", "edit", "bypass")
"""The permission modes by how little they allow unasked."""
DEFAULT_MODE = "ask"
RULE = re.compile(r"(?P<tool>[\w*.:/-]+)(?:\((?P<pattern>.*)\))?", re.DOTALL)
"""A permission rule; what it means is told in `punie.agent.permissions.rules`."""
_ON_A_SERVER = re.compile(r"local:https?:", re.IGNORECASE)
_ON_THIS_MACHINE = re.compile(
    r"local:https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/.*)?", re.IGNORECASE
)


class Permissions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules about calls: `TOOL` or `TOOL(PATTERN)`. Deny wins over ask, ask over allow."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    """Folders whose projects may allow something themselves; only a person can say so."""


class CheckSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How changes are checked: `[tool.punie.checks]`."""

    rounds: int = 2
    """Times a turn that is about to end goes back to the model with what was found; 0 never."""
    off: tuple[str, ...] = ()
    """Checks and rules that are switched off, such as `tests` or `html/*`."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration file may say; an empty string means it says nothing."""

    model: str = ""
    """A model spec, as `--model` takes it."""
    mode: str = ""
    """The permission mode of new sessions: `ask`, `edit`, `plan`, `read-only` or `bypass`."""
    tools: tuple[str, ...] = ()
    """Tools and groups of tools to offer, for models whose spec names none; empty is `core`."""
    permissions: Permissions = Permissions()
    checks: CheckSettings | None = None
    """How changes are checked."""
    traces: bool = False
    """Write what models are asked and answer to files of this machine; only a person can say so."""
    spans: bool = False
    """Tell OpenTelemetry what runs take how long; only a person can say so."""
    agents: dict[str, str] = {}
    """Commands that the hub (`punie.http`) starts; nothing here reads them."""


class Locations(NamedTuple):
    """Folders and files that Punie uses outside of projects; none of them need exist."""

    config_file: Path
    state: Path
    cache: Path
    jetbrains_file: Path
    """The file in which JetBrains IDEs list their agents."""


def locations(environ: Mapping[str, str] | None = None) -> Locations:
    """Tell where Punie's files are.

    Linux and macOS share the XDG layout, as command-line tools do; Windows uses platformdirs.

    Args:
        environ: Environment variables; those of this process by default.
    """
    environ = os.environ if environ is None else environ
    home = _home(environ)
    jetbrains = home / ".jetbrains" / "acp.json"
    if sys.platform == "win32":
        import platformdirs

        return Locations(
            config_file=platformdirs.user_config_path("punie", False) / "config.toml",
            state=platformdirs.user_state_path("punie", False),
            cache=platformdirs.user_cache_path("punie", False),
            jetbrains_file=jetbrains,
        )

    def base(variable: str, default: str) -> Path:
        value = environ.get(variable, "")
        return (Path(value) if Path(value).is_absolute() else home / default) / "punie"

    return Locations(
        config_file=base("XDG_CONFIG_HOME", ".config") / "config.toml",
        state=base("XDG_STATE_HOME", ".local/state"),
        cache=base("XDG_CACHE_HOME", ".cache"),
        jetbrains_file=jetbrains,
    )


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def load(cwd: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings that hold in a folder: the project's over the person's.

    A project can only tighten: its mode counts when it is stricter than the person's own (`ask` by
    default), its rules that deny and ask are added, and those that allow only where it is trusted, as
    does a model on another machine.

    Args:
        cwd: The session's folder, absolute.
        environ: Environment variables; those of this process by default.

    Raises:
        ConfigError: A file cannot be read or holds an unknown key; the message names both.
    """
    (project, folder), person = _project(cwd), load_user(environ)
    return Config(
        model=_model_of(project, person, folder, environ) or person.model,
        mode=stricter(person.mode, project.mode),
        tools=project.tools or person.tools,
        permissions=_together(
            person.permissions, project.permissions, trusted=_trusted(person, folder, environ)
        ),
        checks=project.checks or person.checks,
        traces=person.traces,
        spans=person.spans,
    )


def permissions_in(
    cwd: Path, environ: Mapping[str, str] | None = None
) -> tuple[tuple[str, Permissions], ...]:
    """Give the rules as they were written, each with the words for where they stand.

    Args:
        cwd: The session's folder, absolute.
        environ: Environment variables; those of this process by default.

    Raises:
        ConfigError: A file cannot be used.
    """
    (project, folder), person = _project(cwd), load_user(environ)
    return (
        (str(locations(environ).config_file), person.permissions),
        (f"[tool.punie] of {folder / 'pyproject.toml'}", project.permissions),
    )


def project_model(cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """Tell which model a project names; nothing when that is elsewhere and it is not trusted.

    Args:
        cwd: The session's folder, absolute.
        environ: Environment variables; those of this process by default.

    Raises:
        ConfigError: A file cannot be used.
    """
    project, folder = _project(cwd)
    return _model_of(project, load_user(environ), folder, environ) if project.model else ""


def _model_of(
    project: Config, person: Config, folder: Path, environ: Mapping[str, str] | None
) -> str:
    elsewhere = _ON_A_SERVER.match(project.model) and not _ON_THIS_MACHINE.fullmatch(project.model)
    return "" if elsewhere and not _trusted(person, folder, environ) else project.model


def _together(person: Permissions, project: Permissions, *, trusted: bool) -> Permissions:
    return Permissions(
        allow=person.allow + (project.allow if trusted else ()),
        ask=person.ask + project.ask,
        deny=person.deny + project.deny,
        trust=person.trust,
    )


def _trusted(person: Config, folder: Path, environ: Mapping[str, str] | None) -> bool:
    home = _home(os.environ if environ is None else environ)
    trusted = (home / named.removeprefix("~/") for named in person.permissions.trust if named)
    return any(folder.resolve().is_relative_to(path.resolve()) for path in trusted)


def stricter(person: str, project: str) -> str:
    """Choose between a mode of the person's (`ask` when empty) and one of a project's, if any."""
    if not project:
        return person
    return min(person or DEFAULT_MODE, project, key=STRICTEST_FIRST.index)


def load_user(environ: Mapping[str, str] | None = None) -> Config:
    """Read the person's `config.toml`; a missing file says nothing.

    Raises:
        ConfigError: It cannot be used.
    """
    path = locations(environ).config_file
    table = _read_toml(path)
    return Config() if table is None else _convert(table, f"{path}")


def save_user_model(name: str, environ: Mapping[str, str] | None = None) -> Path:
    """Write the person's model into their `config.toml`, and change nothing else of it.

    Args:
        name: A model spec.
        environ: Environment variables; those of this process by default.

    Returns:
        The file.

    Raises:
        ConfigError: The file cannot be used or written; it is as it was.
    """
    path = locations(environ).config_file
    load_user(environ)  # what is broken is not made worse
    line = f"model = {msgspec.json.encode(name).decode()}"
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        head, tables = _before_tables(text)
        found = re.compile(r"^[ \t]*model[ \t]*=.*$", re.MULTILINE).search(head)
        start, end = found.span() if found else (0, 0)
        head = head[:start] + line + ("" if found else "\n") + head[end:]
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.write_text(head + tables, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def _before_tables(text: str) -> tuple[str, str]:
    """Split a TOML text before its first table."""
    found = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    at = len(text) if found is None else found.start()
    return text[:at], text[at:]


def load_project(cwd: Path) -> Config:
    """Read `[tool.punie]` of the nearest `pyproject.toml` at or above a folder that has one.

    Raises:
        ConfigError: It cannot be used.
    """
    return _project(cwd)[0]


def _project(cwd: Path) -> tuple[Config, Path]:
    """Read a project's settings, and tell the folder in which they stand."""
    for folder in (cwd, *cwd.parents):
        path = folder / "pyproject.toml"
        table = _read_toml(path)
        if table is None:
            continue
        section = _section(_section(table, "tool"), "punie")
        if section is not None:
            where = f"[tool.punie] in {path}"
            read = _convert(section, where)
            if read.permissions.trust:
                raise ConfigError(f"{where} cannot trust itself: take permissions.trust out")
            return read, folder
    return Config(), cwd


def _section(table: object, key: str) -> object:
    return cast("dict[str, object]", table).get(key) if isinstance(table, dict) else None


def _read_toml(path: Path) -> dict[str, object] | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _convert(table: object, where: str) -> Config:
    if isinstance(table, dict):
        known = Config.__struct_fields__
        unknown = sorted(key for key in cast("dict[str, object]", table) if key not in known)
        if unknown:
            raise ConfigError(
                f"unknown setting {', '.join(unknown)} in {where}; known are {', '.join(known)}"
            )
    try:
        read = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
    if read.mode and read.mode not in STRICTEST_FIRST:
        known = ", ".join(STRICTEST_FIRST)
        raise ConfigError(f"unknown mode {read.mode!r} in {where}; known are {known}")
    rules = read.permissions
    for rule in (*rules.allow, *rules.ask, *rules.deny):
        if not RULE.fullmatch(rule.strip()):
            raise ConfigError(f"{rule!r} in {where} is no rule: write TOOL or TOOL(PATTERN)")
    return read
