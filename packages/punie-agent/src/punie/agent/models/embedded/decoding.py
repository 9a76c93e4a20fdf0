"""Prefill and decode one prompt, token by token, under a grammar.

When the grammar leaves one continuation, its tokens are appended in one forward pass instead of
being sampled. Runs on the engine's thread; knows nothing of queues or event loops.
"""

# mlx has no types that strict mode accepts
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from punie.agent.models.cache import Cancelled, IsCancelled
from punie.agent.models.embedded.grammar import Grammar
from punie.agent.models.embedded.loading import Loaded
from punie.agent.models.embedded.prefix import PrefixCache
from punie.agent.models.embedded.stored import StoredPrefixes


class Sampling(Struct, frozen=True, kw_only=True):
    """How tokens are picked and when to stop."""

    max_tokens: int = 256
    temperature: float = 0.0
    """0 always takes the likeliest token."""
    top_p: float = 1.0
    seed: int | None = None


class Decoded(NamedTuple):
    """What came out."""

    reason: Literal["stop", "length"]
    text: str
    cached: int
    tokens: int
    steps: int
    """Forward passes for the answer; plain decoding takes one for each token."""


class GrammarError(Exception):
    """The grammar cannot be compiled or has come to a dead end."""


class Decoder:
    """Runs prompts through one model, keeping its key-value caches."""

    def __init__(
        self, loaded: Loaded, *, prefill_step: int, stored: StoredPrefixes | None = None
    ) -> None:
        self._model, self._tokenizer, self._vocab_size = loaded
        self._prefill_step = prefill_step
        self._stored = stored
        self._steps = 0
        self._prefixes = PrefixCache(loaded.model)

    def run(
        self,
        prompt: Sequence[int],
        *,
        sampling: Sampling,
        grammar: Grammar | None,
        on_prefill: Callable[[int, int], None],
        on_text: Callable[[str], None],
        cancelled: IsCancelled,
        stable: int = 0,
    ) -> Decoded:
        """Answer one prompt.

        Args:
            prompt: Token ids, shape `(tokens,)`, at least one.
            stable: Of them, those at the beginning that other conversations have as well.
            sampling: How to pick tokens and when to stop.
            grammar: What may be said.
            on_prefill: Told how many prompt tokens are done and how many of them were cached.
            on_text: Told each piece of the answer.
            cancelled: Asked before each forward pass.

        Raises:
            Cancelled: `cancelled` said so; the cache keeps what was computed.
            GrammarError: The grammar is not valid.
        """
        guide = _Guide(self, grammar)
        cache, cached = self._prefixes.take(prompt)
        missing = cached < stable < len(prompt) and self._stored is not None
        if missing and self._stored and (found := self._stored.load(prompt[:stable])):
            cache, cached, missing = found, stable, False
        tokens = list(prompt)
        self._steps = 0

        def prefill(begin: int, end: int) -> None:
            self._prefill(prompt, cache, (begin, end), lambda n: on_prefill(n, cached), cancelled)

        try:
            on_prefill(cached, cached)
            if missing and self._stored:
                prefill(cached, stable)
                self._stored.save(prompt[:stable], cache)
            prefill(stable if missing else cached, len(prompt) - 1)
            reason, text = self._decode(tokens, cache, sampling, guide, on_text, cancelled)
        finally:
            self._prefixes.put(tokens, cache)
        return Decoded(reason, text, cached, len(tokens) - len(prompt), self._steps)

    def _prefill(
        self,
        prompt: Sequence[int],
        cache: list[Any],
        span: tuple[int, int],
        on_prefill: Callable[[int], None],
        cancelled: IsCancelled,
    ) -> None:
        """Feed some of a prompt; its last token is left, whose logits start the answer."""
        import mlx.core as mx

        done, last = span
        while done < last:
            if cancelled():
                raise Cancelled
            piece = list(prompt[done : min(done + self._prefill_step, last)])
            self._model(mx.array(piece)[None], cache=cache)
            mx.eval([layer.state for layer in cache])  # the logits are never computed
            done += len(piece)
            on_prefill(done)

    def _decode(
        self,
        tokens: list[int],
        cache: list[Any],
        sampling: Sampling,
        guide: _Guide,
        on_text: Callable[[str], None],
        cancelled: IsCancelled,
    ) -> tuple[Literal["stop", "length"], str]:
        """Append the answer to `tokens` and feed it; all but its last tokens end up in the cache."""
        import mlx.core as mx

        if sampling.seed is not None:
            mx.random.seed(sampling.seed)
        detokenizer = self._tokenizer.detokenizer
        unfed, start = tokens[-1:], len(tokens)
        forced = guide.forced()
        _extend(tokens, unfed, forced, detokenizer)
        while len(tokens) - start < sampling.max_tokens and not guide.finished:
            if cancelled():
                raise Cancelled
            logits = self._model(mx.array(unfed)[None], cache=cache)[0, -1]
            self._steps += 1
            token = _pick(guide.allow(logits), sampling)
            if token in self._tokenizer.eos_token_ids:
                return "stop", _finish(detokenizer, on_text)
            unfed = []
            guide.consume(token)
            _extend(tokens, unfed, [token, *guide.forced()], detokenizer)
            if segment := detokenizer.last_segment:
                on_text(segment)
        text = _finish(detokenizer, on_text)
        return ("stop" if guide.finished else "length"), text

    @functools.cached_property
    def constrainer(self) -> Any:
        """The tokenizer as llguidance needs it; made on first use, about 0.3 s for 49k tokens."""
        from llguidance.hf import from_tokenizer

        inner = self._tokenizer._tokenizer  # noqa: SLF001 - llguidance takes only the plain one
        return from_tokenizer(inner, n_vocab=self._vocab_size)

    def token_id(self, text: str) -> int | None:
        """Give the id of a text that is one token."""
        return self._tokenizer.get_added_vocab().get(text)


class _Guide:
    """Follows one answer through its grammar; without a grammar it allows everything."""

    def __init__(self, decoder: Decoder, grammar: Grammar | None) -> None:
        self._decoder = decoder
        self._grammar = grammar
        self._trigger = decoder.token_id(grammar.trigger) if grammar and grammar.trigger else None
        self._matcher: Any = None
        if grammar is not None and not grammar.trigger:
            self._matcher = self._compile(grammar)

    @property
    def finished(self) -> bool:
        """Whether nothing but the end may follow."""
        return self._trigger is None and self._matcher is not None and self._matcher.is_stopped()

    def forced(self) -> list[int]:
        """Give the tokens that must come next, already consumed; often none."""
        if self._matcher is None:
            return []
        tokens: list[int] = self._matcher.compute_ff_tokens()
        for token in tokens:
            self.consume(token)
        return tokens

    def consume(self, token: int) -> None:
        """Take note of a token."""
        if self._matcher is None:
            if self._grammar is not None and token == self._trigger:
                self._matcher = self._compile(self._grammar)
            return
        if self._trigger is not None and self._matcher.is_stopped():
            self._matcher = None
            return
        if not self._matcher.consume_token(token):
            raise GrammarError(self._matcher.get_error())
        if self._trigger is not None and self._matcher.is_stopped():
            self._matcher = None

    def allow(self, logits: Any) -> Any:
        """Rule out every token that the grammar does not allow next."""
        if self._matcher is None:
            return logits
        import mlx.core as mx
        import numpy as np

        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        if self._matcher.is_error():
            raise GrammarError(self._matcher.get_error())
        mask = np.unpackbits(bits, bitorder="little")[: logits.shape[-1]].astype(bool)
        if not mask.any():
            raise GrammarError("nothing may follow")
        return mx.where(mx.array(mask), logits, float("-inf"))

    def _compile(self, grammar: Grammar) -> Any:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._decoder.constrainer, LLMatcher.grammar_from_lark(grammar.lark))
        if matcher.is_error():
            raise GrammarError(matcher.get_error())
        return matcher


def _extend(tokens: list[int], unfed: list[int], new: Sequence[int], detokenizer: Any) -> None:
    tokens.extend(new)
    unfed.extend(new)
    for token in new:
        detokenizer.add_token(token)


def _finish(detokenizer: Any, on_text: Callable[[str], None]) -> str:
    detokenizer.finalize()
    if segment := detokenizer.last_segment:
        on_text(segment)
    return detokenizer.text


def _pick(logits: Any, sampling: Sampling) -> int:
    """Sample one token from logits of shape `(vocab,)`."""
    import mlx.core as mx

    if sampling.temperature <= 0:
        picked: Any = mx.argmax(logits)
        return picked.item()
    from mlx_lm.sample_utils import make_sampler

    sampler = make_sampler(sampling.temperature, top_p=sampling.top_p)
    picked = sampler((logits - mx.logsumexp(logits))[None])
    return picked.item()
