"""The files in which editors list their agents, and how Punie is merged into one.

They belong to the person: everything that is not Punie's own entry is kept, and a file that cannot
be understood is refused, never rewritten. Source: https://www.jetbrains.com/help/ai-assistant/acp.html
and https://zed.dev/docs/ai/external-agents.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple, cast

from punie.agent import config
from punie.agent.errors import ConfigError

NAME = "Punie"
SECTION = "agent_servers"


class Editor(NamedTuple):
    """An editor that starts agents."""

    name: str
    file: Path
    """Where it lists them."""
    extra: dict[str, Any]
    """What it wants in an entry besides the command."""
    next_step: str


def jetbrains() -> Editor:
    """PyCharm and its siblings."""
    return Editor(
        "JetBrains",
        config.locations().jetbrains_file,
        {},
        "choose Punie in the AI chat of the IDE (open a new chat if it was open)",
    )


def zed() -> Editor:
    """Zed."""
    if sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "Zed"
    else:
        named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
        folder = (named if named.is_absolute() else Path.home() / ".config") / "zed"
    return Editor(
        "Zed", folder / "settings.json", {"type": "custom"}, "open a new Punie thread in Zed"
    )


class Change(NamedTuple):
    """A file before and after."""

    path: Path
    before: str
    after: str

    @property
    def differs(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    def diff(self) -> str:
        """Show the change as a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            fromfile=str(self.path),
            tofile=str(self.path),
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)

    def write(self) -> None:
        """Write the file in one step.

        Raises:
            ConfigError: It cannot be written; the old one is still there.
        """
        from punie.agent.workspaces.local import replace_file

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, self.after.encode("utf-8"))
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}") from error


def merge(editor: Editor, path: Path, *, model: str | None) -> Change:
    """Put Punie into an editor's list of agents.

    Args:
        editor: What kind of file it is.
        path: The file; it need not exist.
        model: Given to `punie acp` as `--model`.

    Raises:
        ConfigError: The file is there and cannot be understood.
    """
    before = _read(path)
    settings = _parse(before, path, editor)
    agents = settings.setdefault(SECTION, {})
    if not isinstance(agents, dict):
        raise ConfigError(f"{path} is left alone: {SECTION!r} in it is not an object")
    entries = cast("dict[str, Any]", agents)
    old = entries.get(NAME)
    kept = cast("dict[str, Any]", old) if isinstance(old, dict) else {}
    entries[NAME] = kept | editor.extra | _entry(model, kept.get("args"))
    if settings == _parse(before, path, editor):
        return Change(path, before, before)
    return Change(path, before, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def _entry(model: str | None, old_arguments: object = None) -> dict[str, Any]:
    command, *arguments = punie_command()
    if model:
        options = ["--model", model]
    else:  # keep what was chosen before
        words = cast("list[Any]", old_arguments) if isinstance(old_arguments, list) else []
        options = words[words.index("acp") + 1 :] if "acp" in words else []
    return {"command": command, "args": [*arguments, "acp", *options]}


def punie_command() -> list[str]:
    """Find out how an editor can start this Punie: an absolute path, links kept."""
    started = Path(sys.argv[0])
    if started.stem == "punie" and started.is_file():
        return [str(started.absolute())]
    beside = shutil.which("punie", path=str(Path(sys.executable).parent)) or shutil.which("punie")
    return [str(Path(beside).absolute())] if beside else [sys.executable, "-m", "punie"]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _parse(text: str, path: Path, editor: Editor) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(_refusal(path, editor, error)) from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} is left alone: it does not hold a JSON object")
    return cast("dict[str, Any]", settings)


def _refusal(path: Path, editor: Editor, error: json.JSONDecodeError) -> str:
    entry = json.dumps({SECTION: {NAME: editor.extra | _entry(None)}})
    return (
        f"{path} is left alone: it is not plain JSON (line {error.lineno}: {error.msg}; "
        f"comments cannot be kept). Add this yourself: {entry[1:-1]}"
    )
