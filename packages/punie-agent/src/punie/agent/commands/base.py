"""What a slash command is, and how a prompt that begins with one is answered.

Every command answers with text. It does so in a turn of its own, queued and kept like any other, which
the model does not see; a few instead give the model a prompt in place of what was typed. A prompt that
begins with a slash and names no command is for the model, as it stands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from punie.agent.events import ImageContent
from punie.agent.permissions.policy import Mode
from punie.agent.sessions.replies import Reply
from punie.agent.sessions.session import Session
from punie.agent.turns.outcome import TurnOutcome

if TYPE_CHECKING:
    from punie.agent.models.choices import ModelChoice


class Chooser(Protocol):
    """What knows and changes a session's settings: `punie.agent.runtime.Runtime`."""

    @property
    def config_folder(self) -> Path:
        """Where the person's settings and skills are."""
        ...

    async def choose(
        self, session: Session, *, mode: Mode | None = None, model: str | None = None
    ) -> None:
        """Change mode or model."""
        ...

    def models_for(self, session: Session) -> list[ModelChoice]:
        """List the models that it can be given."""
        ...


class Desk(NamedTuple):
    """What a command works on."""

    session: Session
    chooser: Chooser


class Instead(NamedTuple):
    """A prompt for the model, in place of what was typed."""

    text: str
    mode: Mode | None = None
    """The mode of its turn alone."""


Run: TypeAlias = Callable[[Desk, str], Reply | Instead]
"""Takes what stands behind the command's name; gives the answer, or a prompt for the model."""


class Command(NamedTuple):
    """One command."""

    name: str
    """Without the slash."""
    description: str
    run: Run
    hint: str = ""
    """What may stand behind the name; empty for nothing."""


def find(text: str, commands: Mapping[str, Command]) -> tuple[Command, str] | None:
    """Find the command that a prompt begins with.

    Args:
        text: As the person wrote it.
        commands: Those that exist, by name.

    Returns:
        The command and what stands behind its name; `None` when it is a prompt for the model.
    """
    first, _, argument = text.strip().partition(" ")
    command = commands.get(first[1:]) if first.startswith("/") else None
    return None if command is None else (command, argument.strip())


async def prompt(
    desk: Desk,
    text: str,
    commands: Mapping[str, Command],
    *,
    images: tuple[ImageContent, ...] = (),
    message_id: str = "",
) -> TurnOutcome:
    """Answer a prompt: by a command if it begins with one, else by the model.

    Args:
        desk: The session, and what changes its settings.
        text: As the person wrote it.
        commands: Those that exist, by name.
        images: What the person showed with it.
        message_id: By which its `UserMessage` is known; made here by default.
    """
    found = find(text, commands)
    if found is None:
        return await desk.session.prompt(text, images=images, message_id=message_id)
    command, argument = found
    answer = command.run(desk, argument)
    if isinstance(answer, Instead):
        return await desk.session.prompt(
            answer.text, images=images, message_id=message_id, mode=answer.mode
        )
    return await desk.session.prompt(text, images=images, message_id=message_id, reply=answer)


def said(answer: Callable[[], Awaitable[str]]) -> Reply:
    """Make a reply of a function that needs nothing of its turn."""

    async def reply(_emitter: object, _cancellation: object) -> str:
        return await answer()

    return reply
