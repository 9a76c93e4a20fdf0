"""The loss of a training as a picture, for people: each step, and the mean of the last ones."""

# matplotlib's types leave much unknown to strict mode.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WINDOW = 20
"""Steps of the mean."""


def draw(losses: Sequence[float], path: Path) -> None:
    """Draw the loss of each step; the same losses give the same bytes.

    Args:
        losses: One per step.
        path: The PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120)
    axes = figure.add_subplot()
    steps = range(1, len(losses) + 1)
    axes.plot(steps, losses, color="#9bb4d6", linewidth=0.8, label="each step")
    means = [sum(w) / len(w) for n in steps if (w := losses[max(0, n - WINDOW) : n])]
    axes.plot(steps, means, color="#1f4e8c", linewidth=1.6, label=f"mean of {WINDOW}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    partial = path.with_name(f"partial-{path.name}")
    FigureCanvasAgg(figure).print_png(str(partial), metadata={"Software": None})
    partial.replace(path)
