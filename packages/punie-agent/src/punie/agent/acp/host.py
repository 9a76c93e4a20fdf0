"""What Punie as an ACP agent needs from the program around it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from punie.agent.models.choices import ModelChoice
    from punie.agent.permissions.policy import Mode
    from punie.agent.sessions.brain import SessionWorkspace
    from punie.agent.sessions.manager import Sessions
    from punie.agent.sessions.preferences import Preference
    from punie.agent.sessions.session import Session


class Host(Protocol):
    """What opens sessions: `punie.agent.runtime.Runtime`."""

    @property
    def sessions(self) -> Sessions:
        """The open ones, and those that are kept."""
        ...

    def open_session(
        self,
        cwd: Path,
        *,
        session_id: str | None = None,
        mode: Mode | None = None,
        model: str = "",
        thought: str = "",
        workspace: SessionWorkspace | None = None,
    ) -> Session:
        """Begin one."""
        ...

    async def load_session(
        self, session_id: str, *, cwd: Path | None = None, workspace: SessionWorkspace | None = None
    ) -> Session:
        """Join an open one, or open one that is kept."""
        ...

    async def fork_session(
        self,
        session_id: str,
        *,
        new_id: str | None = None,
        cwd: Path | None = None,
        workspace: SessionWorkspace | None = None,
    ) -> Session:
        """Open a copy of one."""
        ...

    @property
    def config_folder(self) -> Path:
        """Where the person's settings and skills are."""
        ...

    def preference(self, cwd: Path) -> Preference:
        """Tell what a new session in a folder begins with."""
        ...

    async def choose(
        self,
        session: Session,
        *,
        mode: Mode | None = None,
        model: str | None = None,
        thought: str | None = None,
    ) -> None:
        """Change what is chosen for a session."""
        ...

    def models_for(self, session: Session) -> list[ModelChoice]:
        """List the models that it can be given."""
        ...

    async def look(self) -> bool:
        """See which models the servers of this machine serve."""
        ...

    async def warm(self, session: Session) -> None:
        """Open a session's model before the first prompt."""
        ...

    async def aclose(self) -> None:
        """End all of them."""
        ...
