"""A change of one file with its whole texts: version 1 shows those, version 2 a patch.

An agent hands over a `FileDiff` wherever a `v2.Diff` fits. It is never sent as it is: each version's
writer derives from it what its clients can show.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import assert_never

from msgspec import structs

from punie.acp.schema import v1, v2


class FileDiff(v2.Diff, frozen=True, kw_only=True, tag_field="type", tag="diff"):
    """One file before and after; made by `file_diff`."""

    path: str
    """Absolute."""
    old_text: str | None
    """`None` when the file is new."""
    new_text: str | None
    """`None` when the file is gone."""


def file_diff(path: str, *, old_text: str | None, new_text: str | None) -> FileDiff:
    """Describe the change of one file.

    Args:
        path: Absolute.
        old_text: The whole text before; `None` when the file is new.
        new_text: The whole text after; `None` when the file is gone.
    """
    change: v2.DiffChange
    if old_text is None:
        change = v2.DiffAdd(path=path, file_type="text")
    elif new_text is None:
        change = v2.DiffDelete(path=path, file_type="text")
    else:
        change = v2.DiffModify(path=path, file_type="text")
    return FileDiff(changes=[change], path=path, old_text=old_text, new_text=new_text)


def diff_to_v1(diff: v2.Diff) -> v1.Diff | v1.Content:
    """Write a diff for version 1: whole texts when they are known, else the patch as text."""
    if isinstance(diff, FileDiff):
        return v1.Diff(path=diff.path, old_text=diff.old_text, new_text=diff.new_text or "")
    text = "\n".join(_named(diff.changes)) if diff.patch is None else diff.patch.text
    return v1.Content(content=v1.TextContent(text=fenced(text, "diff")))


def diff_to_v2(diff: v2.Diff) -> v2.Diff:
    """Write a diff for version 2: whole texts become a patch."""
    if not isinstance(diff, FileDiff):
        return diff
    patch = v2.DiffPatch(format="git_patch", text=git_patch(diff))
    return v2.Diff(changes=diff.changes, patch=patch, meta=diff.meta)


def git_patch(diff: FileDiff) -> str:
    """Write the change of a file as git does, with the path below the root of the file system."""
    path = diff.path.lstrip("/")
    head = [f"diff --git a/{path} b/{path}"]
    if diff.old_text is None:
        head.append("new file mode 100644")
    if diff.new_text is None:
        head.append("deleted file mode 100644")
    old, new = _lines(diff.old_text), _lines(diff.new_text)
    before = "/dev/null" if diff.old_text is None else f"a/{path}"
    after = "/dev/null" if diff.new_text is None else f"b/{path}"
    lines = difflib.unified_diff(old, new, before, after)
    return "\n".join(head) + "\n" + "".join(_ended(lines))


def plain_content(
    content: Iterable[v2.ToolCallContent],
) -> list[v2.ToolCallContent]:
    """Write the contents of a tool call for version 2."""
    return [diff_to_v2(one) if isinstance(one, v2.Diff) else one for one in content]


def plain_patch(patch: v2.ToolCallPatch) -> v2.ToolCallPatch:
    """Write a tool call for version 2: every diff as it can be sent."""
    if not isinstance(patch.content, list):
        return patch
    return structs.replace(patch, content=plain_content(patch.content))


def fenced(text: str, language: str) -> str:
    """Quote a text as a code block, however many backticks it holds."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}"


def _named(changes: Iterable[v2.DiffChange]) -> Iterable[str]:
    for change in changes:
        match change:
            case v2.DiffMove(old_path=old, path=path):
                yield f"move {old} to {path}"
            case v2.DiffCopy(old_path=old, path=path):
                yield f"copy {old} to {path}"
            case v2.UnknownDiffChange(kind=kind):
                yield kind
            case v2.DiffAdd(path=path) | v2.DiffDelete(path=path) | v2.DiffModify(path=path):
                yield f"{change.__struct_config__.tag} {path}"
            case _ as never:
                assert_never(never)


def _lines(text: str | None) -> list[str]:
    """Split at line feeds alone, as git does."""
    return [line for line in re.split("(?<=\n)", text or "") if line]


def _ended(lines: Iterable[str]) -> Iterable[str]:
    """Say of a line without its end what git says."""
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
