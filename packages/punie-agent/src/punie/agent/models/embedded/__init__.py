"""A model in this process: weights, conversion, one MLX thread, constrained tool calls.

The only place of punie.agent that imports mlx and mlx_lm, and only inside functions: importing
these modules costs nothing.
"""
