"""The key-value cache of a system prompt on disk, so that a new process need not read it again.

Instructions and tools are the same at every start; what a model computed of them is kept beside the
models and found by a digest over the weights and the tokens. They can hold what a project says of
itself, so nobody else may read them. A file that cannot be read is as good as none. Runs on the
engine's thread.
"""

# mlx_lm has no types that strict mode accepts
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

KEPT = 6
"""Prefixes on disk; some tens of megabytes each."""
SHORTEST = 64
"""Tokens; less is read as fast as it is loaded."""


class StoredPrefixes:
    """The prefixes of one model."""

    def __init__(self, folder: Path, model: str) -> None:
        """Begin; nothing is read yet.

        Args:
            folder: Where the files are; made with the first one.
            model: Names weights and adapter; other weights, other prefixes.
        """
        self._folder = folder
        self._model = model

    def load(self, tokens: Sequence[int]) -> list[Any] | None:
        """Give the cache of exactly these tokens.

        Returns:
            One cache per layer, or `None` when there is none that can be used.
        """
        path = self._path(tokens)
        if not path.is_file():
            return None
        from mlx_lm.models.cache import load_prompt_cache

        try:
            cache: Any = load_prompt_cache(str(path))
        except (OSError, ValueError, KeyError, IndexError, RuntimeError) as error:
            log.warning("a stored prefix cannot be read and is dropped: %s", error)
            _remove(path)
            return None
        if int(getattr(cache[0], "offset", -1)) != len(tokens):
            _remove(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return cache

    def save(self, tokens: Sequence[int], cache: list[Any]) -> None:
        """Write the cache of these tokens; a disk that is full or read-only loses only time."""
        if len(tokens) < SHORTEST:
            return
        from mlx_lm.models.cache import save_prompt_cache

        path = self._path(tokens)
        scratch = path.with_name(f"{path.stem}.{os.getpid()}.safetensors")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            scratch.touch(mode=0o600)
            save_prompt_cache(str(scratch), cache)
            scratch.replace(path)
            self._drop_old()
        except (OSError, RuntimeError) as error:
            log.info("a prefix was not stored: %s", error)
            _remove(scratch)

    def _path(self, tokens: Sequence[int]) -> Path:
        digest = hashlib.sha256(self._model.encode())
        digest.update(b"".join(token.to_bytes(4, "little") for token in tokens))
        return self._folder / f"{digest.hexdigest()[:32]}.safetensors"

    def _drop_old(self) -> None:
        found = [(path.stat().st_mtime, path) for path in self._folder.glob("*.safetensors")]
        for _, path in sorted(found)[:-KEPT]:
            _remove(path)


def name_of(folders: Iterable[Path | None]) -> str:
    """Name the weights in some folders by their files, sizes and times."""
    lines: list[str] = []
    for folder in folders:
        for path in sorted(folder.glob("*.safetensors")) if folder else ():
            found = path.stat()
            lines.append(f"{path} {found.st_size} {found.st_mtime_ns}")
    return "\n".join(lines)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
