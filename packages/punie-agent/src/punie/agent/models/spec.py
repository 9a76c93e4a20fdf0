"""A model as data: what to open, how to sample, which tools to show.

Parsing only; `models.registry` opens what a spec names.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class ModelSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model, as a TOML file states it. Training's promotion writes such files."""

    spec: str
    """What `--model` takes: `embedded`, `mlx:PATH`, `local:NAME`, `openai:...`."""
    name: str = ""
    """For people; the spec when empty."""
    context_window: int = 32_768
    """Tokens; 0 when unknown."""
    max_tokens: int = 8_192
    """Longest answer, tokens; 0 leaves it to the provider."""
    temperature: float | None = 0.0
    """`None` leaves it to the provider."""
    tools: tuple[str, ...] = ()
    """Tools to offer, as `catalog.select` reads them: `read_file` or, with only some of its
    arguments, `read_file(path)`; empty offers all."""
    calls_per_turn: int = 0
    """Tool calls after which the model must answer; 0 sets no limit."""
    instructions: str = ""
    """Replaces the default instructions when not empty."""
    images: bool = False
    """It sees images; to any other model an image is only named."""
    thought_levels: tuple[str, ...] = ()
    """How much it can be told to reason, such as `low`, `medium`, `high`; empty when it cannot be."""
    thought_by: Literal["reasoning_effort", "no_think", "provider"] = "reasoning_effort"
    """How it is told: by that field of a request, by `/no_think` at the end of a prompt at the level
    `off` and by nothing at others, or as its provider wants it (Pydantic AI knows)."""
    code_mode: bool = False
    """Offer `execute_python`, code that calls the other tools, to a model that writes it well."""
    result_limit: int = 8_000
    """Longest tool result shown to the model, characters."""
    adapter: str = ""
    """Folder of a LoRA adapter, absolute or relative to the spec's file."""
    fingerprint: str = ""
    """SHA-256 over weights and adapter, where it is known."""
