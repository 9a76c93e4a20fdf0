"""A phase: one fine-tune as data. Base model, data, hyperparameters, gates; an unknown key is an error.

Phases are TOML files in this folder or below the entry point group `punie.phases`.
"""

from __future__ import annotations

from msgspec import Struct

from punie.train.data.dataset import Mix
from punie.train.data.generators.harvest import Plan
from punie.train.data.render import Weights


class LoraSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which layers get low-rank matrices."""

    rank: int = 8
    scale: float = 20.0
    dropout: float = 0.0
    layers: int = -1
    """Counted from the last one; -1 is all."""
    keys: tuple[str, ...] = (
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    )


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the weights move."""

    lr: float = 5e-4
    """Highest learning rate; a cosine takes it to a twentieth."""
    warmup: int = 30
    """Steps of linear warm-up."""
    steps: int = 400
    clip: float = 1.0
    """Largest norm of the gradient."""
    batch_tokens: int = 1200
    """Padded tokens of a batch, the shared prefix not counted."""
    batch_size: int = 24
    """Most examples of a batch."""
    checkpoint: int = 100
    """Steps between two saved adapters."""
    seed: int = 0


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where examples come from."""

    mix: Mix
    harvest: Plan = Plan()
    suites: tuple[str, ...]
    """Suites that ship with this package; the data shares no wording with any of them."""
    seed: int = 0


class Evaluation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the trained model is measured on before it may be promoted."""

    suite: str


class Gates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lowest shares with which a model is promoted."""

    tool_or_answer: float
    exact: float


class Phase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fine-tune."""

    name: str
    description: str
    base: str
    """`embedded`: the model that punie-agent fetches and converts. Its spec gives instructions,
    tools and the length of results, so that training sees what serving sends."""
    max_tokens: int = 1024
    """Longest example."""
    data: Data
    weights: Weights = Weights()
    lora: LoraSpec = LoraSpec()
    schedule: Schedule = Schedule()
    evaluation: Evaluation
    gates: Gates
