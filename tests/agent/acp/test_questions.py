"""What a model asks the person, as clients with and without forms see it, in both versions."""

from __future__ import annotations

from typing import Any

import pytest

from punie.acp.errors import RequestError
from punie.acp.schema import v1

FORMS = v1.ClientCapabilities(
    elicitation=v1.ElicitationCapabilities(form=v1.ElicitationFormCapabilities())
)


@pytest.fixture
def form_editor(editor_of: Any) -> Any:
    """Make a client that fills in forms with an answer, or does what it is told with them."""

    class Forms(type(editor_of())):
        def __init__(self, action: str, content: Any = None) -> None:
            super().__init__()
            self.action, self.content = action, content
            self.forms: list[v1.CreateElicitationRequest] = []

        async def create_elicitation(
            self, params: v1.CreateElicitationRequest
        ) -> v1.CreateElicitationResponse:
            self.forms.append(params)
            if self.action == "break":
                raise RequestError(-32603, "no forms today")
            return v1.CreateElicitationResponse(action=self.action, content=self.content)

    return Forms


async def test_a_client_with_forms_gets_one_and_its_answer_is_read(opened, form_editor) -> None:
    async with opened(form_editor("accept", {"answer": "a.py"}), FORMS) as client:
        await client.ask("ask Which one? | a.py | b.py")
        assert client.text == "ask_user: the person answered: a.py"
    (form,) = client.forms
    assert (form.message, form.session_id) == ("Which one?", client.session_id)
    assert form.tool_call_id == client.of(v1.ToolCall)[0].tool_call_id
    field = form.requested_schema.properties["answer"]
    assert (field.enum, form.requested_schema.required) == (["a.py", "b.py"], ["answer"])
    assert client.permissions == []


@pytest.mark.parametrize(
    ("action", "content", "said"),
    [
        ("decline", None, "the person does not want to answer"),
        ("cancel", None, "the question was not answered"),
        ("accept", {"answer": 7}, "the person does not want to answer"),
        ("break", None, "error: nobody is there to answer"),
    ],
)
async def test_what_is_no_answer_is_a_result_of_its_own(
    opened, form_editor, action, content, said
) -> None:
    async with opened(form_editor(action, content), FORMS) as client:
        response = await client.ask("ask Which one?")
        assert response.stop_reason == "end_turn"
        assert client.text.startswith(f"ask_user: {said}: go on without")


async def test_a_client_without_forms_gets_the_choices_as_buttons(opened, editor) -> None:
    async with opened(editor) as client:
        await client.ask("ask Which one? | a.py | b.py")
        assert client.text == "ask_user: the person answered: a.py"
        (asked,) = client.permissions
        assert [option.name for option in asked.options] == ["a.py", "b.py", "Do not answer"]
        assert asked.tool_call.title == "Ask: Which one?"
        client.allow = False
        await client.ask("ask Which one? | a.py | b.py")
        assert "the person does not want to answer" in client.text


async def test_a_client_with_neither_reads_the_question_as_the_answer_of_the_turn(
    opened, editor
) -> None:
    async with opened(editor) as client:
        response = await client.ask("ask What is it called?")
        assert (response.stop_reason, client.text) == ("end_turn", "What is it called?")
        assert client.permissions == []
        assert client.of(v1.ToolCallUpdate)[-1].status == "completed"
        assert (await client.ask("Punie")).stop_reason == "end_turn"


async def test_who_comes_later_sees_the_question_with_its_answer(opened, editor, project) -> None:
    async with opened(editor) as client:
        await client.ask("ask Which one? | a.py | b.py")
        client.updates.clear()
        request = v1.LoadSessionRequest(
            session_id=client.session_id, cwd=str(project), mcp_servers=[]
        )
        await client.agent.load_session(request)
        (call,) = client.of(v1.ToolCallUpdate)
        shown = call.content[0].content.text
    assert (call.title, shown) == ("Ask: Which one?", "the person answered: a.py")
