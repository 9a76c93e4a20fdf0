"""A question of an agent is a form on the page, in the inbox and in its session."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

FORM: dict[str, Any] = {
    "type": "object",
    "required": ["name", "size"],
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "Of the database"},
        "size": {"type": "integer", "title": "Size", "minimum": 1, "maximum": 9},
        "share": {"type": "number", "title": "Share", "default": 0.5},
        "backup": {"type": "boolean", "title": "Back it up", "default": True},
        "kind": {
            "type": "string",
            "title": "Kind",
            "oneOf": [
                {"const": "pg", "title": "PostgreSQL"},
                {"const": "sqlite", "title": "SQLite"},
            ],
        },
        "region": {"type": "string", "title": "Region", "enum": ["a", "b", "c", "d", "e", "f"]},
        "tags": {"type": "array", "title": "Tags", "items": {"type": "string", "enum": ["x", "y"]}},
        "length": {"type": "string", "title": "Length"},  # the name of what every form has
    },
}


def ask(puppet: Any, form: dict[str, Any] = FORM) -> asyncio.Future[Any]:
    params = {"mode": "form", "sessionId": "s1", "message": "Which one?", "requestedSchema": form}
    return asyncio.ensure_future(puppet.request("elicitation/create", params))


async def test_a_form_is_filled_in_and_sent(page: Any, attached: Any) -> None:
    async with attached("s1") as puppet:
        question = ask(puppet)
        await page.wait_for_selector("#sessions a.needs_answer >> text=needs an answer")
        await page.get_by_label("Name").fill("shop")
        await page.get_by_label("Size").fill("3")
        await page.get_by_label("PostgreSQL").check()
        await page.get_by_label("Region").select_option("c")
        await page.get_by_label("y", exact=True).check()
        await page.get_by_label("Length").fill("two\nlines")
        await page.click(".card button:has-text('Answer')")
        assert await question == {
            "action": "accept",
            "content": {
                "name": "shop",
                "size": 3,
                "share": 0.5,
                "backup": True,
                "kind": "pg",
                "region": "c",
                "tags": ["y"],
                "length": "two\nlines",
            },
        }
        await page.wait_for_selector("text=Nobody needs you.")


async def test_what_is_missing_is_asked_for_and_nothing_is_lost(page: Any, attached: Any) -> None:
    async with attached("s1") as puppet:
        question = ask(puppet)
        await page.get_by_label("Name").fill("shop")
        await page.click(".card button:has-text('Answer')")
        assert await page.evaluate("document.activeElement.labels[0].innerText") == "Size required"
        puppet.become("s1", "running")  # the page is drawn anew
        await page.wait_for_selector("#sessions .needs_answer")
        assert await page.get_by_label("Name").input_value() == "shop"
        await page.get_by_label("Size").fill("3")
        await page.keyboard.press("Enter")
        assert (await question)["content"] == {
            "name": "shop",
            "size": 3,
            "share": 0.5,
            "backup": True,
        }


async def test_a_question_is_declined(page: Any, attached: Any) -> None:
    async with attached("s1") as puppet:
        question = ask(puppet)
        await page.click(".card button:has-text('Decline')")
        assert await question == {"action": "decline"}


async def test_letters_that_are_typed_answer_no_approval(page: Any, attached: Any) -> None:
    async with attached("s1", "s2") as puppet:
        approval = asyncio.ensure_future(puppet.ask("s2"))
        await page.wait_for_selector(".card[data-keys=now]")
        question = ask(puppet)
        await page.get_by_label("Name").fill("")
        await page.keyboard.type("area 1")
        assert await page.get_by_label("Name").input_value() == "area 1"
        assert not approval.done()
        question.cancel()
        approval.cancel()


@pytest.mark.parametrize("view", ["inbox", "session"])
async def test_the_question_of_a_model_is_answered(
    page: Any, running: Any, open_page: Any, view: str
) -> None:
    session = await running.new_session()
    await running.prompt(session, "ask Which database? | PostgreSQL | SQLite")
    await running.asked(session)
    shown = page if view == "inbox" else await open_page(at=f"#/s/{session}")
    await shown.get_by_label("SQLite").check()
    await shown.click(".card button:has-text('Answer')")
    await shown.wait_for_selector(".card", state="detached")
    log = await running.idle(session)
    assert any("the person answered: SQLite" in str(message.data) for message in log)


async def test_a_form_that_cannot_be_drawn_hides_nobody_elses_question(
    open_page: Any, attached: Any
) -> None:
    """A field of a kind that is not known yet may hold anything."""
    page = await open_page()
    fields = {"colour": {"type": "colour", "oneOf": 5}, "size": {"type": "size", "enum": "big"}}
    form = {"type": "object", "properties": fields}
    params = {"sessionId": "s1", "mode": "form", "message": "Which?", "requestedSchema": form}
    async with attached("s1", "s2") as puppet:
        strange = asyncio.ensure_future(puppet.request("elicitation/create", params))
        await page.wait_for_selector(".card >> text=Which?")
        asked = asyncio.ensure_future(puppet.ask("s2", "May I?"))
        await page.get_by_role("button", name="Allow").click()
        assert (await asked)["outcome"] == "selected"
        await page.get_by_role("button", name="Decline").click()
        assert (await strange)["action"] == "decline"
