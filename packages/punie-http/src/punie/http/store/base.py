"""What the hub needs of a store, so that another database can take SQLite's place.

Events have one global order, their `seq`. An event is published when it is safe: what a page has
seen is there after a crash of the process. Bodies are JSON that the store does not look into.
`tests/http/store` holds the suite that an implementation passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NewType, Protocol, TypeAlias

from msgspec import Raw, Struct

SessionKey = NewType("SessionKey", int)
"""A session's number in this store; agents may use the same session id twice."""

Kind: TypeAlias = Literal["update", "opened", "closed", "asked", "answered", "prompts"]
"""What an event is about.

- `update`: a `session/update` of protocol version 2, as on the wire.
- `opened`, `closed`: the session is there, or over.
- `asked`, `answered`: an approval or a question, and what came of it. `answered` is the audit log.
- `prompts`: the prompts that wait, all of them.
"""


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened in a session."""

    seq: int
    """Its place in the order of everything; grows, with gaps."""
    session: SessionKey
    at: float
    """Seconds since the epoch, by the hub's clock. Never used for order."""
    kind: Kind
    body: Raw
    """JSON."""


class SessionRow(Struct, frozen=True, kw_only=True):
    """A session that the store knows."""

    key: SessionKey
    agent: str
    """The name of the agent in the hub."""
    session_id: str
    """The agent's own id."""
    cwd: str
    opened_at: float


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A summary of a session up to some event, so that a start need not read all of them."""

    session: SessionKey
    seq: int
    """The last event that it covers."""
    body: Raw


class Hit(Struct, frozen=True, kw_only=True):
    """Where something was said."""

    session: SessionKey
    seq: int
    kind: str
    """`user`, `agent`, `thought` or `tool`."""
    snippet: str
    """Text around the words; those are between U+0002 and U+0003."""


Published: TypeAlias = Callable[[Sequence[Event]], None]
"""Called on the event loop with events that are safe, in order, each exactly once."""


class Store(Protocol):
    """Keeps events. All methods are called on the event loop's thread."""

    @property
    def last_seq(self) -> int:
        """The highest number given so far."""
        ...

    @property
    def published_seq(self) -> int:
        """The highest number that was published."""
        ...

    @property
    def problem(self) -> str:
        """Why nothing can be written now; empty when it can."""
        ...

    def listen(
        self, published: Published, problem: Callable[[str], None] = lambda problem: None
    ) -> None:
        """Name who is told of events that are safe, and when `problem` becomes another one."""
        ...

    def key_of(self, agent: str, session_id: str, *, cwd: str, at: float) -> SessionKey:
        """Find a session's number, or give it one."""
        ...

    def append(self, session: SessionKey, kind: Kind, body: bytes, *, at: float) -> int:
        """Take an event; returns its number at once, and publishes it when it is safe."""
        ...

    def index(self, session: SessionKey, seq: int, kind: str, text: str) -> None:
        """Make a text findable; `seq` is where it began."""
        ...

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a summary in place of the session's older one."""
        ...

    async def room(self) -> None:
        """Wait until few events are unwritten; whoever brings events from outside calls this."""
        ...

    async def flush(self) -> None:
        """Wait until everything appended so far is safe."""
        ...

    async def sessions(self) -> list[SessionRow]:
        """All sessions, the oldest first."""
        ...

    async def checkpoints(self) -> list[Checkpoint]:
        """The newest summary of each session that has one."""
        ...

    async def events(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        session: SessionKey | None = None,
        kinds: Sequence[Kind] = (),
        limit: int = 1000,
    ) -> list[Event]:
        """Read a page of events in order.

        Args:
            after: Only events with a higher number.
            until: Only events up to this number.
            session: Only this one's.
            kinds: Only these; all by default.
            limit: Events at most.
        """
        ...

    async def latest(self, kinds: Sequence[Kind], *, limit: int) -> list[Event]:
        """Read the newest events of some kinds, the newest first."""
        ...

    async def search(self, query: str, *, limit: int = 50) -> list[Hit]:
        """Find sessions where all words of a query were said, the best first."""
        ...

    async def squash(self, session: SessionKey, *, first: int, last: int, body: bytes) -> None:
        """Put one update in the place of several that it sums up.

        Args:
            session: Whose they are.
            first: The first one's number; all of the session's from here on go.
            last: The last one's number, which the sum gets; its time is the first one's.
            body: The sum, which replaces whatever of them a reader has seen.
        """
        ...

    async def forget(self, session: SessionKey, *, keep: Sequence[Kind] = ("answered",)) -> None:
        """Remove a session and its events, but for some kinds; the agent may bring it anew."""
        ...

    async def aclose(self) -> None:
        """Write what is left and close."""
        ...
