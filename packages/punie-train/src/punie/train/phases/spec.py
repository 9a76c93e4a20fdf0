"""A phase: one fine-tune as data. Base model, data, hyperparameters, gates; an unknown key is an error.

Phases are TOML files in this folder or below the entry point group `punie.phases`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from punie.train.data.dataset import Mix
from punie.train.data.generators.harvest import Plan
from punie.train.data.render import Weights
from punie.train.data.traces import Traces

OWN = ("embedded", "random")
"""Bases that the embedded model's spec describes."""
NO_ADAPTER = "none"
"""An `adapter` that is none."""


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
    """Steps between two saved states. Each is scored on `evaluation`; the best becomes the adapter."""
    seed: int = 0


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where examples come from."""

    mix: Mix
    harvest: Plan = Plan()
    suites: tuple[str, ...]
    """Suites that ship with this package; the data shares no wording with any of them."""
    traces: Traces | None = None
    """The person's own sessions, beside the mix."""
    limit: int = 0
    """Only so many examples of all that are made, always the same first ones; 0 keeps all."""
    seed: int = 0


class Serving(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a base that is not `embedded` is served: training sees the same."""

    instructions: str
    """The system prompt."""
    tools: tuple[str, ...] = ()
    """As in a `ModelSpec`; empty offers all."""
    calls_per_turn: int = 0
    result_limit: int = 8_000
    """Characters of a tool result."""
    context_window: int = 32_768
    """Tokens."""


class Shape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of a base that is not on this machine, for estimates. From its config.json."""

    parameters: float
    bits: float
    """Per weight, scales included."""
    layers: int
    hidden: int
    vocabulary: int


Recipe = Literal["mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"]
"""mlx-lm's mixtures: few bits for most layers, more for values, down projections and the output."""


class Quantize(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the fused weights are rounded."""

    bits: Literal[3, 4, 5, 6, 8] | Recipe
    group_size: Literal[32, 64, 128] = 64
    """Weights that share a scale and an offset."""
    keep: tuple[str, ...] = ()
    """Parts of names of layers that stay as they are, such as `lm_head`."""
    method: Literal["round", "awq", "gptq", "dwq"] = "round"
    """`round` takes the nearest value; the others look at the phase's examples: `backends.calibrated`."""
    samples: int = 32
    """Pieces of 512 tokens that they look at."""

    def __post_init__(self) -> None:
        if self.method in {"awq", "gptq"} and (self.keep or isinstance(self.bits, str)):
            raise ValueError(f"`{self.method}` takes neither `keep` nor a mixture of bits")
        if self.method == "gptq" and self.bits not in {4, 8}:
            raise ValueError("`gptq` of mlx-lm packs 4 or 8 bits only")
        if self.method == "dwq" and self.bits == 8:
            raise ValueError("`dwq` of mlx-lm leaves 8 bits as they are: choose fewer, or `round`")
        if self.samples < 1:
            raise ValueError("`samples` must be at least 1")


class Evaluation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the trained model is measured on before it may be promoted."""

    suite: str
    """Its score chooses the checkpoint and is held to the gates, so it is a little too good."""
    reported: tuple[str, ...] = ()
    """Suites that choose nothing: asked once, of what was chosen."""
    cases: int = 0
    """Only the first ones of each suite, for a quick look; 0 takes all."""
    grammar: bool = True
    """Whether a model of the embedded kind is held to its grammar of copied arguments."""

    @property
    def asked(self) -> list[str]:
        """All its suites: first the one that chose, then those that did not."""
        return list(dict.fromkeys((self.suite, *self.reported)))


class Replaces(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that is in use until this one is: a model that is worse than it is not promoted."""

    model: str
    """Its spec, as for `punie models use`."""
    suites: tuple[str, ...]
    """What both are asked: suites of cases, and those that judge themselves."""
    cases: int = 0
    """Only the first ones of each suite of cases, for a quick look; 0 takes all."""


class Gates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lowest shares with which a model is promoted."""

    tool_or_answer: float
    exact: float


class Phase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fine-tune."""

    name: str
    description: str
    base: str
    """`embedded`: the model that punie-agent fetches and converts; `random`: its shape in small with
    random weights, which learns nothing worth and needs no download; else an MLX folder, or a
    repository of Hugging Face that is on this machine already."""
    serving: Serving | None = None
    """`None` for `embedded` and `random`: the embedded model's spec decides."""
    shape: Shape | None = None
    """Needed for bases other than `embedded` and `random`."""
    adapter: str = ""
    """An adapter that is trained already, and of which the rest is made: `shipped`, the one of the
    embedded model, or a folder; `none` takes the base as it is, for comparison. Empty trains one."""
    max_tokens: int = 1024
    """Longest example."""
    data: Data
    weights: Weights = Weights()
    lora: LoraSpec = LoraSpec()
    start: str = ""
    """The adapter that training goes on from: `shipped`, the one of the embedded model, or the folder of
    one; trained from nothing by default."""
    schedule: Schedule = Schedule()
    fuse: bool = False
    """Whether the adapter is merged into the weights, at full precision, to be served alone."""
    quantize: Quantize | None = None
    """Rounds the fused weights; needs `fuse`."""
    gguf: bool = False
    """Whether the fused weights are also written as one GGUF file, for llama.cpp, LM Studio and Ollama;
    needs `fuse`, and a Llama."""
    evaluation: Evaluation
    gates: Gates
    replaces: Replaces | None = None

    def __post_init__(self) -> None:
        if self.quantize is not None and not self.fuse:
            raise ValueError(
                "`quantize` needs `fuse = true`: an adapter merged into rounded weights is lost"
            )
        if self.adapter == NO_ADAPTER and not self.fuse:
            raise ValueError("`adapter = 'none'` needs `fuse = true`: there is no adapter to serve")
        if self.adapter and self.start:
            raise ValueError("`adapter` trains nothing and `start` goes on from one: choose")
        if self.gguf and not self.fuse:
            raise ValueError("`gguf` needs `fuse = true`: an adapter alone is no model")
        for name in ("serving", "shape"):
            if (getattr(self, name) is None) != (self.base in OWN):
                raise ValueError(
                    f"a base other than {' and '.join(OWN)} needs the table `{name}`, and only such"
                )
