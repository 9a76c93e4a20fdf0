"""How fast this machine multiplies matrices, and on what: for `punie doctor`."""

# mlx has no types that strict mode accepts
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import time

from punie.agent.models.embedded.blas import preload_fast_blas

_SIZE = 768
_ROUNDS = 2


def device() -> str:
    """Name where MLX computes: `gpu` on Apple silicon, else `cpu`."""
    preload_fast_blas()
    import mlx.core as mx

    return str(mx.default_device()).removeprefix("Device(").split(",")[0]


def matmul_gflops() -> float:
    """Measure float32 matrix multiplication, in 10^9 operations per second."""
    preload_fast_blas()
    import mlx.core as mx

    left = mx.random.normal((_SIZE, _SIZE))
    mx.eval(left @ left)
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        mx.eval(left @ left)
        best = min(best, time.perf_counter() - began)
    return 2 * _SIZE**3 / best / 1e9
