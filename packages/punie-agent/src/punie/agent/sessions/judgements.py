"""What a person made of a turn's calls: allowed or refused them, changed or undid the edits.

A reader of the session's events; the trace writes down what it has seen. Loads no model stack and
writes nothing. What a person changes is seen on disk: an edit that an editor has not saved is not.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from punie.agent.events import (
    AnyEvent,
    DiffContent,
    FilesChanged,
    PermissionRequested,
    PermissionResolved,
    ToolCallUpdate,
    UserMessage,
)

Decider: TypeAlias = Literal["person", "nobody", "rules"]
"""Who decided about a call: a person who was asked, nobody though somebody was asked, or the mode and
rules, with what was answered "always" before."""

UNDO = "/undo"
"""The command of `punie.agent.commands`."""
LONGEST = 100_000
"""Bytes of a file beyond which a correction is not looked for: comparing lines takes long."""
MOST = 2_000_000
"""Pairs of equal lines beyond which a correction is not looked for either, for the same reason."""


class Edit(Struct, frozen=True, kw_only=True):
    """One file that one call changed."""

    tool_call_id: str
    tool: str
    arguments: Mapping[str, Any]
    path: str
    """Absolute."""
    before: str | None
    """Its text; `None` for a file that the call made."""
    after: str
    """Its text when the turn ended."""


class Correction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person made of an edit after the turn that made it."""

    tool_call_id: str
    path: str
    verdict: Literal["corrected", "undone"]
    after: str = ""
    """SHA-256 of the file's text as the person left it; empty when there is no file any more."""
    arguments: dict[str, Any] | UnsetType = UNSET
    """With which the call would have made what the person made of it; absent when no call of its
    tool would."""


class Judgements:
    """What persons made of the calls of one session's latest turn."""

    def __init__(self) -> None:
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._asked: dict[str, str] = {}
        self._decided: dict[str, Decider] = {}
        self._begun: dict[str, ToolCallUpdate] = {}
        self._ended: set[str] = set()
        self._diffs: dict[str, tuple[DiffContent, ...]] = {}
        self._edits: list[Edit] = []
        self._undone: set[str] = set()

    def see(self, event: AnyEvent) -> None:
        """Note what an event tells."""
        match event:
            case UserMessage() if not undoes(event):
                self._begin_turn()
            case PermissionRequested() if event.tool_call_id not in self._ended:
                self._asked[event.request_id] = event.tool_call_id
            case PermissionResolved() if call := self._asked.get(event.request_id):
                answered = event.outcome in {"allowed", "rejected"}
                self._decided[call] = "person" if answered else "nobody"
            case ToolCallUpdate():
                self._see_call(event)
            case FilesChanged(what="undo"):
                self._undone.update(file.path for file in event.files)
            case _:
                pass

    def _see_call(self, event: ToolCallUpdate) -> None:
        call = event.tool_call_id
        self._begun.setdefault(call, event)
        if event.content is not UNSET:
            diffs = tuple(c for c in event.content if isinstance(c, DiffContent))
            if diffs:
                self._diffs[call] = diffs
        if event.status in {"completed", "failed", "cancelled"}:
            self._ended.add(call)
        if event.status == "completed":
            self._edits += [_edit(self._begun[call], diff) for diff in self._diffs.get(call, ())]

    def decider(self, tool_call_id: str) -> Decider:
        """Tell who decided whether a call may run."""
        return self._decided.get(tool_call_id, "rules")

    def end_turn(self) -> list[Edit]:
        """Look at what the turn left on disk; what differs from it later is the person's. Blocks.

        Returns:
            The latest edit of each file, oldest first.
        """
        latest = {edit.path: edit for edit in self._edits}
        left = [(edit, _read(edit.path, edit.after)) for edit in latest.values()]
        self._edits = [replace(edit, after=text) for edit, text in left if text is not None]
        return self._edits

    def corrections(self) -> list[Correction]:
        """Compare the files with what the turn left, each difference told once. Blocks."""
        found = [one for edit in self._edits if (one := self._corrected(edit)) is not None]
        told = {one.path for one in found}
        self._edits = [edit for edit in self._edits if edit.path not in told]
        return found

    def _corrected(self, edit: Edit) -> Correction | None:
        text = _read(edit.path, edit.after)
        if text == edit.after:
            return None
        call, path = edit.tool_call_id, edit.path
        if text is None or text == edit.before or path in self._undone:
            after = "" if text is None else digest(text)
            return Correction(tool_call_id=call, path=path, verdict="undone", after=after)
        if max(_pairs(edit.before or "", edit.after), _pairs(edit.after, text)) > MOST:
            return None
        wanted = _within(edit, text)
        if wanted is None:
            return None
        return Correction(
            tool_call_id=call,
            path=path,
            verdict="corrected",
            after=digest(text),
            arguments=corrected(edit, wanted) or UNSET,
        )


def _within(edit: Edit, text: str) -> str | None:
    """Apply what a person changed in an edit's own lines, and nothing that they did elsewhere.

    Returns:
        The text that the edit should have made; `None` when its lines stand as it wrote them.
    """
    before = [] if edit.before is None else edit.before.splitlines(keepends=True)
    after, now = edit.after.splitlines(keepends=True), text.splitlines(keepends=True)
    own = [at for tag, _, _, i, j in _opcodes(before, after) if tag != "equal" for at in (i, j)]
    begin, end = min(own, default=0), max(own, default=0)
    wanted: list[str] = []
    touched = False
    for tag, i, j, k, m in _opcodes(after, now):
        inside = tag != "equal" and i < end and (j > begin if j > i else i > begin)
        # Lines added between those of an edit are more work, not a correction of it.
        touched |= inside and tag != "insert"
        wanted += now[k:m] if inside else after[i:j]
    return "".join(wanted) if touched else None


def _pairs(old: str, new: str) -> int:
    """Count the pairs of equal lines, which is what comparing costs."""
    counts = Counter(new.splitlines())
    return sum(counts[line] for line in old.splitlines())


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    return difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def corrected(edit: Edit, text: str) -> dict[str, Any] | None:
    """Give the arguments with which an edit would have made a text.

    Args:
        edit: The call as it was made.
        text: What the call should have made of the file.

    Returns:
        The arguments, found to lead from `edit.before` to `text`; `None` when there are none.
    """
    if edit.tool == "write_file":
        return {**edit.arguments, "content": text}
    if edit.tool != "edit_file" or edit.before is None:
        return None
    for old in (edit.arguments.get("old"), _hunk(edit.before, text)):
        if not isinstance(old, str) or not old or edit.before.count(old) != 1:
            continue
        head, tail = edit.before.split(old)
        end = len(text) - len(tail)
        if len(head) <= end and text.startswith(head) and text.endswith(tail):
            return {**edit.arguments, "old": old, "new": text[len(head) : end]}
    return None


def _hunk(before: str, after: str) -> str:
    """Take the lines of `before` that differ, with as many around them as make them unique."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    begin, end = head, len(old) - tail
    while True:
        text = "".join(old[begin:end])
        if (text and before.count(text) == 1) or (begin, end) == (0, len(old)):
            return text
        begin, end = max(0, begin - 1), min(len(old), end + 1)


def digest(text: str) -> str:
    """Hash a file's text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _edit(begun: ToolCallUpdate, diff: DiffContent) -> Edit:
    arguments: Any = begun.raw_input
    return Edit(
        tool_call_id=begun.tool_call_id,
        tool=begun.name if isinstance(begun.name, str) else "",
        arguments=cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {},
        path=diff.path,
        before=diff.old_text,
        after=diff.new_text,
    )


def _read(path: str, known: str) -> str | None:
    """Read a file; `None` when there is none, what is known of it when it cannot be read."""
    try:
        file = Path(path)
        if file.stat().st_size > LONGEST:
            return known
        return file.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return known


def undoes(prompt: UserMessage) -> bool:
    """Tell a command that takes the latest turn back from the next turn."""
    return prompt.text.startswith(UNDO)


def made(edits: Sequence[Edit], tool_call_id: str) -> list[dict[str, str | None]]:
    """List what a call changed, as hashes, for the trace."""
    return [
        {
            "path": edit.path,
            "before": None if edit.before is None else digest(edit.before),
            "after": digest(edit.after),
        }
        for edit in edits
        if edit.tool_call_id == tool_call_id
    ]
