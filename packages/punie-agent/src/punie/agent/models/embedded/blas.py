"""A fast BLAS for MLX on Linux: load one before `mlx.core` is imported.

MLX's Linux wheel brings the reference BLAS, some thirty times slower than OpenBLAS in float32. A
library loaded first with global symbols takes its place. On other systems nothing is done.

Source:
    Float32 matmul, 1024 cubed, 2 cores: 8 GFLOP/s as it comes, 253 with OpenBLAS preloaded.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

REMEDY = "apt install libopenblas0-pthread, or: uv pip install mkl (x86-64 only)"
"""What makes a Linux machine fast."""

_NAMES = ("libopenblas.so.0", "libmkl_rt.so.3", "libmkl_rt.so.2")


@functools.cache
def preload_fast_blas() -> str | None:
    """Load a fast BLAS, once per process, before the first `import mlx.core`.

    Returns:
        The name of the library; `None` when there is none, when the platform needs none, or when
        MLX was imported already and it is too late.
    """
    if sys.platform != "linux" or "mlx.core" in sys.modules:
        return None
    for name in _candidates():
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return Path(name).name
    return None


def _candidates() -> Iterator[str]:
    prefix = Path(sysconfig.get_path("data")) / "lib"  # where the wheel of mkl puts its libraries
    for name in _NAMES:
        yield name
        if (prefix / name).exists():
            yield str(prefix / name)
