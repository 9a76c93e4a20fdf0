"""Reuse what was computed: key-value caches of earlier conversations, found by common prefix.

An entry that continues the request is taken and trimmed in place; one that shares only its
beginning (another session's, with the same instructions) is copied first, so both live on.
"""

# mlx_lm has no types that strict mode accepts
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

_KEEP_WHOLE = 8
"""Tokens: an entry that would lose more than this is copied instead of trimmed."""


_MOST_TOKENS = 24_000
"""Tokens of all conversations together; of a 135M model in float32 about a gigabyte."""


class Entry(NamedTuple):
    """What a cache holds."""

    tokens: list[int]
    cache: list[Any]
    """One per layer."""


class PrefixCache:
    """The latest conversations with their key-value caches; the most recent stands last.

    Each session that goes on has one: its own continues its entry, others only copy the beginning.
    """

    def __init__(self, model: Any, *, max_tokens: int = _MOST_TOKENS) -> None:
        self._model = model
        self._max_tokens = max_tokens
        self._entries: list[Entry] = []

    def take(self, tokens: Sequence[int]) -> tuple[list[Any], int]:
        """Give a cache that holds the longest known beginning of a request.

        Args:
            tokens: The whole prompt; its last token is never taken from the cache.

        Returns:
            The cache, which the caller now owns, and how many tokens it holds.
        """
        from mlx_lm.models.cache import make_prompt_cache, trim_prompt_cache

        best, hit = self._best(tokens)
        if best is None:
            return make_prompt_cache(self._model), 0
        surplus = len(best.tokens) - hit
        if surplus > _KEEP_WHOLE:
            cache = copy.deepcopy(best.cache)
        else:
            cache = best.cache
            self._entries.remove(best)
        if surplus:
            trim_prompt_cache(cache, surplus)
        return cache, hit

    def put(self, tokens: Sequence[int], cache: list[Any]) -> None:
        """Give a cache back.

        Args:
            tokens: What was fed, and possibly a tail that was not fed yet.
            cache: Its own count of tokens decides how much of `tokens` it holds.
        """
        held = min(int(getattr(cache[0], "offset", 0)), len(tokens))
        if held:
            self._entries.append(Entry(list(tokens[:held]), cache))
            while len(self._entries) > 1 and sum(map(_length, self._entries)) > self._max_tokens:
                del self._entries[0]

    def _best(self, tokens: Sequence[int]) -> tuple[Entry | None, int]:
        from mlx_lm.models.cache import can_trim_prompt_cache

        best, longest = None, 0
        for entry in self._entries:
            common = min(_common_prefix(entry.tokens, tokens), len(tokens) - 1)
            if common < len(entry.tokens) and not can_trim_prompt_cache(entry.cache):
                continue
            if common > longest:
                best, longest = entry, common
        return best, longest


def _length(entry: Entry) -> int:
    return len(entry.tokens)


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
