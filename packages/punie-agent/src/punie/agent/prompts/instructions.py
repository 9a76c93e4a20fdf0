"""The default instructions: what any model is told before the first prompt.

Short, because every word costs a local model time. A model spec may replace them; the embedded
model's own come with its spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

DEFAULT = """\
You are Punie, a coding agent. You work in the user's project with the tools you are given.
Use tools for facts: read before you change, run the tests after. Paths are relative to the folder.
Prefer the smallest change that does what was asked. When a tool fails or is refused, say so.
Answer in a few plain sentences, with the figures that the tools gave.
Project folder: {root}"""

SHORT = """\
You are Punie, a coding agent in the user's project. Use one tool at a time, then answer in a sentence.
Read a file before you edit it. Project folder: {root}"""


NOTES = ("AGENTS.md", "CLAUDE.md")
"""What a project tells agents; the first one that is there is read."""
SHARE = 0.1
"""Of the context window, what such notes may take."""
CHARACTERS_PER_TOKEN = 3
LONGEST_NOTES = 12_000
"""Characters, however large the window is."""


def default_instructions(root: Path, notes: str = "", *, more: Sequence[Path] = ()) -> str:
    """Write the default instructions for a session; what varies stands last, for prefix caches.

    Args:
        root: The session's folder.
        notes: What the project and the person add, from `read_notes` and the skills.
        more: Further folders that belong to the session.
    """
    return DEFAULT.format(root=root) + _tail(notes, more)


def _tail(notes: str, more: Sequence[Path]) -> str:
    folders = f"\nMore folders, by absolute path: {', '.join(map(str, more))}" if more else ""
    return folders + (f"\n\n{notes}" if notes else "")


def read_notes(root: Path, person: Path | None, *, window: int) -> str:
    """Read the notes of a project and of the person; reads files.

    Args:
        root: The project's folder.
        person: The folder of the person's settings; its AGENTS.md counts for all projects.
        window: The model's context window, tokens; 0 when unknown. The notes get a tenth of it.

    Returns:
        Both, each below a line that says where it stands; empty when there are none. A project's
        notes that are a link out of it are left out: nobody allowed what it leads to.
    """
    left = min(LONGEST_NOTES, int((window or 32_768) * SHARE) * CHARACTERS_PER_TOKEN)
    parts: list[str] = []
    for folder, whose in ((person, "The user's"), (root, "The project's")):
        file = _notes_file(folder, only_within=folder is root)
        text = _text(file).strip() if file else ""
        if not file or not text:
            continue
        if len(text) > left:
            text = f"{text[:left]}\n[cut: read {file.name} for the rest]"
        left = max(0, left - len(text))
        parts.append(f"{whose} {file.name}:\n{text}")
    return "\n\n".join(parts)


def _notes_file(folder: Path | None, *, only_within: bool) -> Path | None:
    if folder is None:
        return None
    return next(
        (
            folder / name
            for name in NOTES
            if (folder / name).is_file()
            and (not only_within or (folder / name).resolve().is_relative_to(folder.resolve()))
        ),
        None,
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # What cannot be read says nothing.


def short_instructions(root: Path, notes: str = "", *, more: Sequence[Path] = ()) -> str:
    """Write the instructions for a small model; see `default_instructions`."""
    return SHORT.format(root=root) + _tail(notes, more)
