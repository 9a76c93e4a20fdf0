"""What a session writes, seen from the one that writes it."""

from __future__ import annotations

from pathlib import Path

from pydantic_ai.messages import ModelRequest

from punie.agent.events import StateUpdate
from punie.agent.sessions.journal import Journal
from punie.agent.sessions.record import Record
from punie.agent.sessions.store import Stored


async def test_messages_that_cannot_be_written_are_told_with_the_next_event(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    record = Record(journal, Stored(session_id="s", cwd="", created=0, updated=0))
    await record.keep([ModelRequest.user_text_prompt("half a character: \ud800")])
    notice = await record.append(StateUpdate(state="running"))
    await journal.aclose()
    assert notice is not None
    assert notice.description.startswith("the model's messages cannot be written: ")
