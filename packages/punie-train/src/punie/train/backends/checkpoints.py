"""Saved states of a training run, from which it goes on to the same bytes as if never interrupted.

A checkpoint is a folder named for its step; it appears whole or not at all. It holds the weights with
which the run goes on, and those that scored best so far, which the run ends with. The key says what
the run was made from: states of another run are thrown away, never resumed.
"""

# mlx ships no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from punie.train.backends.weights import DAMAGED, save
from punie.train.errors import TrainError

_WEIGHTS, _OPTIMIZER, _BEST = "weights.safetensors", "optimizer.safetensors", "best.safetensors"
_KEY = "key"
_LOSSES, _SCORES = "losses", "scores"


class State(NamedTuple):
    """Where a run stands."""

    step: int
    """Steps done."""
    losses: list[float]
    """One per step done."""
    scores: list[float]
    """One per checkpoint; what each was scored on held-out cases, higher is better."""


class Checkpoints:
    """The states of one run in one folder.

    Args:
        folder: Made when it is missing; states of another run in it are removed.
        key: What the run is made from, such as the digest of its inputs.
    """

    def __init__(self, folder: Path, *, key: str) -> None:
        self._folder = folder
        note = folder / _KEY
        if not note.is_file() or note.read_text(encoding="utf-8") != key:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            note.write_text(key, encoding="utf-8")

    def save(self, model: Any, optimizer: Any, state: State) -> None:
        """Keep a state and drop the one before; of equal scores the later one is the best.

        Args:
            model: With LoRA layers.
            optimizer: Its optimizer.
            state: Where the run stands; its last score is that of these weights.
        """
        partial = self._folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        weights = dict(tree_flatten(model.trainable_parameters()))
        course = {_LOSSES: state.losses, _SCORES: state.scores}
        lists = {name: mx.array(values, dtype=mx.float32) for name, values in course.items()}
        save({**weights, **lists}, partial / _WEIGHTS)
        save(dict(tree_flatten(optimizer.state)), partial / _OPTIMIZER)
        before = self._steps()
        if not before or state.scores[-1] >= max(state.scores):
            save(weights, partial / _BEST)
        else:
            shutil.copyfile(self._folder / str(max(before)) / _BEST, partial / _BEST)
        partial.rename(self._folder / str(state.step))
        for step in before:
            shutil.rmtree(self._folder / str(step))

    def restore(self, model: Any, optimizer: Any) -> State:
        """Put the newest state into a model with LoRA layers and its optimizer.

        Returns:
            Where to go on; the beginning when nothing was saved.

        Raises:
            TrainError: The state is damaged.
        """
        steps = self._steps()
        if not steps:
            return State(0, [], [])
        try:
            return self._read(max(steps), model, optimizer)
        except DAMAGED as error:
            raise TrainError(
                f"the saved state {self._folder / str(max(steps))} is damaged: {error}; delete the "
                "folder to train from the state before, or from the beginning"
            ) from error

    def _read(self, step: int, model: Any, optimizer: Any) -> State:
        newest = self._folder / str(step)
        weights = mx.load(str(newest / _WEIGHTS))
        assert isinstance(weights, dict)
        losses, scores = weights.pop(_LOSSES).tolist(), weights.pop(_SCORES).tolist()
        model.load_weights(list(weights.items()), strict=False)
        saved = mx.load(str(newest / _OPTIMIZER))
        assert isinstance(saved, dict)
        optimizer.init(model.trainable_parameters())
        optimizer.state = tree_unflatten(list(saved.items()))
        return State(step, _numbers(losses), _numbers(scores))

    def load_best(self, model: Any) -> None:
        """Put the weights that scored best into a model with LoRA layers."""
        model.load_weights(str(self._folder / str(max(self._steps())) / _BEST), strict=False)

    def _steps(self) -> list[int]:
        return [int(path.name) for path in self._folder.iterdir() if path.name.isdigit()]


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]
