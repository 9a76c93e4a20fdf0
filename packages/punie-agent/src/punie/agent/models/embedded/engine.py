"""One thread that owns a model: it prepares, loads and generates; everybody else sends jobs.

Jobs run one after the other in the order in which they came, whoever sent them. A job can be
cancelled while it waits, between two pieces of its prompt and between two tokens; the key-value
cache stays usable. The asyncio side (`stream`) and the synchronous one (`generate`) are the same
job with another ear. What tokens mean is `model`'s business, what may be said is `grammar`'s.
"""

from __future__ import annotations

import asyncio
import atexit
import queue
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from punie.agent.errors import ModelUnavailableError, PunieError
from punie.agent.events import Progress
from punie.agent.models.cache import Cancelled, IsCancelled, OnProgress, ignore_progress
from punie.agent.models.embedded.decoding import Decoder, Sampling
from punie.agent.models.embedded.grammar import Grammar
from punie.agent.models.embedded.loading import Loaded, load
from punie.agent.models.embedded.stored import StoredPrefixes, name_of

Prepare: TypeAlias = Callable[[OnProgress, IsCancelled], Path]
"""Gives the model's folder, after fetching and converting it when needed."""

_PREFILL_STEP = 64 if sys.platform == "linux" else 512
"""Prompt tokens per forward pass: half a second of a 135M model on two CPU cores."""


class Prefilling(Struct, frozen=True, tag=True):
    """How much of the prompt is in the cache."""

    done: int
    total: int
    cached: int
    """Of `done`, the tokens that an earlier job left."""


class Text(Struct, frozen=True, tag=True):
    """More of the answer."""

    text: str


class Finished(Struct, frozen=True, tag=True):
    """The answer is complete."""

    reason: Literal["stop", "length"]
    text: str
    """All of it."""
    prompt_tokens: int
    cached_tokens: int
    """Of `prompt_tokens`, those that an earlier job left in the cache."""
    output_tokens: int
    steps: int = 0
    """Forward passes for the answer; forced tokens share one."""


class Failed(NamedTuple):
    """The job ended without an answer."""

    error: BaseException


JobEvent: TypeAlias = Prefilling | Text | Finished
_Emit: TypeAlias = Callable[[JobEvent | Failed], None]


@dataclass
class _Job:
    tokens: Sequence[int]
    sampling: Sampling
    grammar: Grammar | None
    emit: _Emit
    stable: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)


class Engine:
    """A model on its own thread. Cheap to make: the work starts with `start`."""

    def __init__(
        self,
        source: Path | Prepare,
        *,
        adapter: Path | None = None,
        prefixes: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> None:
        """Say what to load.

        Args:
            source: A model folder, or how to make one.
            adapter: A LoRA folder, fused at load.
            prefixes: Where what was computed of system prompts is kept; nowhere by default.
            on_progress: Told about `download`, `convert` and `load`; called on the engine's thread.
        """
        self._source = source
        self._adapter = adapter
        self._prefixes = prefixes
        self._on_progress = on_progress
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._prepared: Future[Path] = Future()
        self._loaded: Future[Loaded] = Future()
        self._idle = threading.Event()
        self._started = False
        self._thread = threading.Thread(target=self._main, name="punie-mlx", daemon=True)

    def start(self) -> None:
        """Begin to prepare and load in the background; a second call does nothing."""
        if not self._started and not self._closed.is_set():
            self._started = True
            self._thread.start()
            atexit.register(self.close)
        elif not self._started:
            for waiting in (self._prepared, self._loaded):
                if not waiting.done():
                    waiting.set_exception(Cancelled())

    def close(self) -> None:
        """Stop the thread: cancels what runs and waits up to five seconds for it."""
        self._closed.set()
        self._jobs.put(None)
        if self._started:
            self._idle.wait(5)
            atexit.unregister(self.close)

    async def prepared(self) -> Path:
        """Wait for the model's folder.

        Raises:
            ModelUnavailableError: It cannot be fetched or converted.
        """
        self.start()
        return await asyncio.shield(asyncio.wrap_future(self._prepared))

    async def loaded(self) -> Loaded:
        """Wait for the model itself.

        Raises:
            ModelUnavailableError: It cannot be prepared or loaded.
        """
        self.start()
        return await asyncio.shield(asyncio.wrap_future(self._loaded))

    def load_now(self) -> Loaded:
        """Wait for the model, blocking the calling thread; see `loaded`."""
        self.start()
        return self._loaded.result()

    async def stream(
        self,
        tokens: Sequence[int],
        *,
        sampling: Sampling,
        grammar: Grammar | None = None,
        stable: int = 0,
    ) -> AsyncGenerator[JobEvent]:
        """Run one job and give its events; leaving the loop early cancels it.

        Args:
            tokens: The whole prompt, shape `(tokens,)`.
            sampling: How to pick tokens and when to stop.
            grammar: What may be said.
            stable: Tokens at the beginning that other conversations have as well: kept on disk.

        Yields:
            Progress, text as it comes, `Finished` last.

        Raises:
            ModelUnavailableError: The model cannot be loaded.
            Cancelled: The engine was closed.
        """
        await self.loaded()
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[JobEvent | Failed] = asyncio.Queue()

        def emit(event: JobEvent | Failed) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(events.put_nowait, event)

        job = _Job(tokens, sampling, grammar, emit, stable)
        self._jobs.put(job)
        try:
            while True:
                event = await events.get()
                if isinstance(event, Failed):
                    raise event.error
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            job.cancelled.set()

    def generate(
        self,
        tokens: Sequence[int],
        *,
        grammar: Grammar | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
    ) -> Finished:
        """Run one job and wait for its end, blocking the calling thread.

        The same code as `stream`, for evaluation and scripts without an event loop.

        Raises:
            ModelUnavailableError: The model cannot be loaded.
            Cancelled: The engine was closed.
        """
        self.load_now()
        events: queue.SimpleQueue[JobEvent | Failed] = queue.SimpleQueue()
        sampling = Sampling(max_tokens=max_tokens, temperature=temperature)
        job = _Job(tokens, sampling, grammar, events.put)
        self._jobs.put(job)
        try:
            while True:
                event = events.get()
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Finished):
                    return event
        finally:
            job.cancelled.set()

    def _main(self) -> None:
        self._work()
        self._idle.set()
        # MLX aborts the process when a thread that used it ends while the interpreter exits, so
        # this one never ends by itself. It goes on to refuse what comes too late.
        while True:
            if (job := self._jobs.get()) is not None:
                job.emit(Failed(Cancelled()))

    def _work(self) -> None:
        try:
            loaded = self._load()
        except BaseException as error:  # noqa: BLE001 - the thread's edge: whoever waits gets it
            for waiting in (self._prepared, self._loaded):
                if not waiting.done():
                    waiting.set_exception(_as_unavailable(error))
            return
        decoder = Decoder(loaded, prefill_step=_PREFILL_STEP, stored=self._stored_prefixes())
        self._loaded.set_result(loaded)
        while (job := self._jobs.get()) is not None:
            self._run(decoder, job)

    def _stored_prefixes(self) -> StoredPrefixes | None:
        if self._prefixes is None:
            return None
        return StoredPrefixes(self._prefixes, name_of([self._prepared.result(), self._adapter]))

    def _load(self) -> Loaded:
        source = self._source
        folder = (
            source if isinstance(source, Path) else source(self._on_progress, self._closed.is_set)
        )
        self._prepared.set_result(folder)
        self._on_progress(Progress(what="load", done=0, total=1))
        loaded = load(folder, adapter=self._adapter)
        self._on_progress(Progress(what="load", done=1, total=1))
        return loaded

    def _run(self, decoder: Decoder, job: _Job) -> None:
        def cancelled() -> bool:
            return job.cancelled.is_set() or self._closed.is_set()

        def prefilling(done: int, cached: int) -> None:
            job.emit(Prefilling(done, len(job.tokens), cached))

        try:
            out = decoder.run(
                job.tokens,
                sampling=job.sampling,
                grammar=job.grammar,
                on_prefill=prefilling,
                on_text=lambda text: job.emit(Text(text)),
                cancelled=cancelled,
                stable=job.stable,
            )
        except BaseException as error:  # noqa: BLE001 - the job's edge: its sender gets it
            job.emit(Failed(error))
        else:
            job.emit(
                Finished(
                    reason=out.reason,
                    text=out.text,
                    prompt_tokens=len(job.tokens),
                    cached_tokens=out.cached,
                    output_tokens=out.tokens,
                    steps=out.steps,
                )
            )


def _as_unavailable(error: BaseException) -> BaseException:
    if isinstance(error, PunieError | Cancelled):
        return error
    return ModelUnavailableError(f"the model could not be loaded: {error!r}")
