"""A model's question on its way through a client, and the person's answer back.

A client that shows forms gets one. Any other is asked as for permission, with the choices as options;
and where there are none to choose from, the question ends the turn as a message and the next prompt
is the answer.
"""

from __future__ import annotations

from punie.acp.schema import v2
from punie.agent.permissions.gate import PermissionAnswer, PermissionAsk

ANSWER = "answer"
"""The field of the form."""
NO_ANSWER = v2.PermissionOption(option_id="no_answer", name="Do not answer", kind="reject_once")


def shows_forms(capabilities: v2.ClientCapabilities) -> bool:
    """Whether a client takes forms."""
    return capabilities.elicitation is not None and capabilities.elicitation.form is not None


def form(ask: PermissionAsk, session_id: str) -> v2.ElicitationFormMode:
    """Write a question as a form of one field."""
    choices = [option.name for option in ask.options]
    field = v2.StringPropertySchema(title="Answer", enum=choices or None)
    return v2.ElicitationFormMode(
        message=ask.title,
        session_id=session_id,
        tool_call_id=ask.tool_call_id,
        requested_schema=v2.ElicitationSchema(
            type="object", properties={ANSWER: field}, required=[ANSWER]
        ),
    )


def filled(response: v2.CreateElicitationResponse) -> PermissionAnswer:
    """Read what the person did with a form; one that is sent without an answer has none."""
    match response.action:
        case "accept":
            text = (response.content or {}).get(ANSWER)
            return PermissionAnswer(outcome="answered", text=text if isinstance(text, str) else "")
        case "decline":
            return PermissionAnswer(outcome="rejected")
        case _:
            return PermissionAnswer(outcome="cancelled")
