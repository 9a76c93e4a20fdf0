"""Training back ends. `mlx` is the only one; the pipeline sees the functions of `backends.base`."""
