"""The default instructions: what any model is told before the first prompt.

Short, because every word costs a local model time. A model spec may replace them; the embedded
model's own come with its spec.
"""

from __future__ import annotations

from pathlib import Path

DEFAULT = """\
You are Punie, a coding agent. You work in the user's project with the tools you are given.
Use tools for facts: read before you change, run the tests after. Paths are relative to the folder.
Prefer the smallest change that does what was asked. When a tool fails or is refused, say so.
Answer in a few plain sentences, with the figures that the tools gave.
Project folder: {root}"""


def default_instructions(root: Path) -> str:
    """Write the default instructions for a session; what varies stands last, for prefix caches.

    Args:
        root: The session's folder.
    """
    return DEFAULT.format(root=root)
