"""What an agent says, to a client of version 2: as it is, with every diff as a patch."""

from __future__ import annotations

from msgspec import structs

from punie.acp.agent_side.outgoing import Outgoing
from punie.acp.connection import Connection
from punie.acp.methods import TABLE
from punie.acp.schema import v2


class SpeakerOfV2(Outgoing):
    """Implements `punie.acp.agent_side.dual.Speaker`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.capabilities: v2.ClientCapabilities = v2.ClientCapabilities()
        self.info: v2.Implementation | None = None

    @property
    def client(self) -> Outgoing:
        """The way to the client."""
        return self

    def greet(self, params: v2.InitializeRequest) -> None:
        """Note what the client said in `initialize` (for the dispatcher)."""
        self.capabilities, self.info = params.capabilities, params.info

    async def session_update(self, session_id: str, update: v2.SessionUpdate) -> None:
        """Tell what happens in a session."""
        params = v2.UpdateSessionNotification(session_id=session_id, update=_sendable(update))
        await self.tell(TABLE[2, "session/update", "notification"], session_id, params)

    async def request_permission(
        self, params: v2.RequestPermissionRequest
    ) -> v2.RequestPermissionResponse:
        """Ask a person."""
        subject = params.subject
        if isinstance(subject, v2.ToolCallPermissionSubject):
            from punie.acp.versions.diffs import plain_patch

            call = v2.ToolCallPatch(**structs.asdict(plain_patch(subject.tool_call)))
            params = structs.replace(params, subject=structs.replace(subject, tool_call=call))
        method = TABLE[2, "session/request_permission", "request"]
        return await self.ask(method, params.session_id, params)

    async def create_elicitation(
        self, params: v2.CreateElicitationRequest
    ) -> v2.CreateElicitationResponse:
        """Ask a person for input."""
        advertised = getattr(self.capabilities.elicitation, params.mode, None) is not None
        self.need(advertised, f"elicitation.{params.mode}")
        method = TABLE[2, "elicitation/create", "request"]
        return await self.ask(method, params.session_id, params)

    async def complete_elicitation(self, elicitation_id: str) -> None:
        """Tell that the person is done on the web page."""
        modes = self.capabilities.elicitation
        self.need(modes is not None and modes.url is not None, "elicitation.url")
        done = v2.CompleteElicitationNotification(elicitation_id=elicitation_id)
        await self.notify(TABLE[2, "elicitation/complete", "notification"], done)


def _sendable(update: v2.SessionUpdate) -> v2.SessionUpdate:
    """Turn the diffs of a tool call into patches."""
    if not isinstance(update, v2.ToolCallUpdate | v2.ToolCallContentChunk):
        return update
    from punie.acp.versions.diffs import plain_content

    if isinstance(update, v2.ToolCallContentChunk):
        return structs.replace(update, content=plain_content([update.content])[0])
    if isinstance(update.content, list):
        return structs.replace(update, content=plain_content(update.content))
    return update
