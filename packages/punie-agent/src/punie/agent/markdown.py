"""Text that nobody trusts, inside Markdown. Rendering is the client's, or the page's."""

from __future__ import annotations

import re


def fenced(text: str, language: str = "") -> str:
    r"""Put a text into a code block that it cannot end.

    Args:
        text: Anything.
        language: What the block says it is, such as `diff`.

    Example:
        >>> fenced("```")
        '````\n```\n````'
    """
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
