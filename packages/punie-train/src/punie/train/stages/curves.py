"""The course of a training as a picture, for people: loss and scores."""

# matplotlib's types leave much unknown to strict mode.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from punie.train.files import write_whole

WINDOW = 20
"""Steps of the mean."""


def draw(losses: Sequence[float], scores: Sequence[float], path: Path, *, every: int) -> None:
    """Draw the loss of each step and the scores; the same numbers give the same bytes.

    Args:
        losses: One per step.
        scores: Shares from 0 to 1, the last one at the end.
        path: The PNG to write.
        every: Steps between two scores.
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
    right = axes.twinx()
    at = [min(len(losses), every * n) for n in range(1, len(scores) + 1)]
    right.plot(at, scores, color="#b3541e", marker="o", markersize=4, linewidth=1, label="right")
    right.set_ylabel("share of held-out cases that is right")
    right.set_ylim(0, 1)
    figure.legend(frameon=False, loc="upper center", ncols=3)
    drawn = BytesIO()
    FigureCanvasAgg(figure).print_png(drawn, metadata={"Software": None})
    write_whole(path, drawn.getvalue())
