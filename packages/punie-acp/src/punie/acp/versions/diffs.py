"""A change of one file, kept so that both protocol versions can say it.

Version 1 sends the whole texts before and after, version 2 the kind of change and a git patch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from punie.acp.schema import v2


class FileDiff(v2.Diff, frozen=True, kw_only=True, tag_field="type", tag="diff"):
    """A diff of version 2 that still has the whole texts; made by `file_diff`.

    What goes out over version 2 is `plain()`: the texts are no fields of that version.
    """

    new_text: str
    old_text: str | None = None
    """`None` when the file is new."""

    def plain(self) -> v2.Diff:
        """It without the texts."""
        return v2.Diff(changes=self.changes, patch=self.patch, meta=self.meta)


def file_diff(path: str, *, old_text: str | None, new_text: str) -> FileDiff:
    """Tell what changed in a file.

    Args:
        path: Absolute.
        old_text: The whole text before; `None` when the file is new.
        new_text: The whole text after.
    """
    change = v2.DiffModify if old_text is not None else v2.DiffAdd
    return FileDiff(
        changes=[change(path=path, file_type="text")],
        patch=v2.DiffPatch(format="git_patch", text=git_patch(path, old_text, new_text)),
        old_text=old_text,
        new_text=new_text,
    )


def git_patch(path: str, old_text: str | None, new_text: str) -> str:
    """Write a change the way `git diff` does; `git apply` takes it.

    Args:
        path: Absolute; the patch names it without its first slash.
        old_text: The whole text before; `None` when the file is new.
        new_text: The whole text after.
    """
    name = path.lstrip("/")
    before = "/dev/null" if old_text is None else f"a/{name}"
    head = [f"diff --git a/{name} b/{name}\n"]
    if old_text is None:
        head.append("new file mode 100644\n")
    lines = difflib.unified_diff(
        _lines(old_text or ""), _lines(new_text), before, f"b/{name}", lineterm="\n"
    )
    return "".join(head) + "".join(_ended(lines))


def _lines(text: str) -> list[str]:
    """Cut at line feeds alone, as git does."""
    return [line + "\n" for line in text.split("\n")[:-1]] + [
        line for line in text.split("\n")[-1:] if line
    ]


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
