"""Between the protocol's types and what the hub keeps of them: JSON of version 2."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from punie.acp.schema import v2
from punie.acp.schema.reading import write
from punie.acp.versions.diffs import plain_content, plain_patch
from punie.http.inbox import Answer
from punie.http.sessions.registry import Asked

_TEXT_CHUNKS = (v2.AgentMessageChunk, v2.AgentThoughtChunk, v2.UserMessageChunk)
MESSAGES = (*_TEXT_CHUNKS, v2.AgentMessage, v2.AgentThought, v2.UserMessage)
"""Updates that carry the id of a message."""

HELLO = v2.InitializeRequest(
    protocol_version=2,
    info=v2.Implementation(name="punie-hub", title="Punie's hub", version="0.1.0"),
    capabilities=v2.ClientCapabilities(
        elicitation=v2.ElicitationCapabilities(form=v2.ElicitationFormCapabilities())
    ),
)


INTERRUPTED = {
    "sessionUpdate": "state_update",
    "state": "idle",
    "stopReason": "error",
    "error": {"code": -32603, "message": "the agent ended before the turn did"},
}


def encode(update: v2.SessionUpdate) -> bytes:
    """Write an update as it is kept and shown."""
    # Nothing unknown can be inside these, and they are nearly all that comes.
    if isinstance(update, _TEXT_CHUNKS) and isinstance(update.content, v2.TextContent):
        return msgspec.json.encode(update)
    match update:
        case v2.ToolCallUpdate():
            return write(plain_patch(update))
        case v2.ToolCallContentChunk(content=content):
            return write(msgspec.structs.replace(update, content=plain_content([content])[0]))
        case _:
            return write(update)


def is_live(info: v2.SessionInfo) -> bool:
    """Whether a listed session is open in the agent; those of other makes do not tell."""
    return bool((info.meta or {}).get("punie/live", True))


def question_asked(params: v2.CreateElicitationRequest) -> Asked:
    """A form, as it is put into the inbox."""
    told: dict[str, Any] = msgspec.json.decode(write(params))
    return Asked(id="", what="question", title=params.message, form=told.get("requestedSchema"))


def elicited(answer: Answer) -> v2.CreateElicitationResponse:
    """What a person did with a form."""
    match answer.outcome:
        case "submitted":
            return v2.CreateElicitationResponse(action="accept", content=answer.content)
        case "declined":
            return v2.CreateElicitationResponse(action="decline")
        case _:
            return v2.CreateElicitationResponse(action="cancel")


def steers(hello: v2.InitializeResponse) -> bool:
    """Whether an agent takes prompts into a running turn; an extension that several agents have."""
    told: Any = (hello.meta or {}).get("steering")
    return isinstance(told, dict) and cast("dict[str, Any]", told).get("supported") is True


def permission_asked(params: v2.RequestPermissionRequest) -> Asked:
    """A request for permission, as it is put into the inbox."""
    subject = params.subject
    if isinstance(subject, v2.ToolCallPermissionSubject):
        subject = msgspec.structs.replace(subject, tool_call=plain_patch(subject.tool_call))
    told: dict[str, Any] = msgspec.json.decode(
        write(msgspec.structs.replace(params, subject=subject))
    )
    return Asked(
        id="",
        what="approval",
        title=params.title,
        description=params.description,
        options=told["options"],
        subject=told.get("subject"),
    )


def permitted(answer: Answer) -> v2.RequestPermissionResponse:
    """What a person chose; anything but an option permits nothing."""
    if answer.outcome == "selected" and answer.option_id is not None:
        outcome = v2.SelectedPermissionOutcome(option_id=answer.option_id)
        return v2.RequestPermissionResponse(outcome=outcome)
    return v2.RequestPermissionResponse(outcome=v2.CancelledPermissionOutcome())
