"""The API with a real Punie in the hub's process; only its model is scripted."""

from __future__ import annotations

from typing import Any

import pytest

from punie.http.config import Settings

FILE = "notes.txt"


def option(asked: dict[str, Any], kind: str) -> str:
    return next(one["optionId"] for one in asked["options"] if one["kind"] == kind)


async def test_an_allowed_write_changes_the_file(run_hub: Any, settings: Settings) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, f"write {FILE} hello")
        asked = await running.asked(session)
        assert not (settings.folder / FILE).exists()
        await running.post(
            f"/api/inbox/{asked['id']}/select", {"option_id": option(asked, "allow_once")}
        )
        await running.idle(session)
        assert (settings.folder / FILE).read_text() == "hello"
        seen = (await running.get("/api/overview"))["sessions"][0]
        assert (seen["state"], seen["files"]) == ("idle", [str(settings.folder / FILE)])


async def test_a_rejected_write_leaves_no_file(run_hub: Any, settings: Settings) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, f"write {FILE} hello")
        asked = await running.asked(session)
        await running.post(
            f"/api/inbox/{asked['id']}/select", {"option_id": option(asked, "reject_once")}
        )
        await running.idle(session)
        assert not (settings.folder / FILE).exists()


async def test_an_approval_shows_the_whole_diff(run_hub: Any, settings: Settings) -> None:
    (settings.folder / FILE).write_text("old\n")
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, f"write {FILE} new")
        asked = await running.asked(session)
        patch = asked["tool_call"]["content"][0]["patch"]["text"]
        assert "-old" in patch
        assert "+new" in patch


async def test_the_second_answer_is_told_who_was_first(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, f"write {FILE} hello")
        asked = await running.asked(session)
        path, body = f"/api/inbox/{asked['id']}/select", {"option_id": option(asked, "allow_once")}
        await running.post(path, body)
        late = await running.post(path, body, status=409)
        assert late == {"error": "already answered by the program"}


async def test_who_answered_what_is_kept(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, f"write {FILE} hello")
        asked = await running.asked(session)
        await running.post(
            f"/api/inbox/{asked['id']}/select", {"option_id": option(asked, "reject_once")}
        )
        (answer,) = (await running.get("/api/audit"))["answers"]
        assert answer["by"] == "program"
        assert answer["option"] == "Reject once (reject_once)"
        assert answer["title"] == f"Write {FILE}"


async def test_an_option_that_was_not_offered_decides_nothing(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, f"write {FILE} hello")
        asked = await running.asked(session)
        path = f"/api/inbox/{asked['id']}/select"
        refused = await running.post(path, {"option_id": "allow_everything"}, status=400)
        assert "there is no option" in refused["error"]
        assert len((await running.get("/api/inbox"))["inbox"]) == 1


async def test_stopping_takes_the_question_back(run_hub: Any, settings: Settings) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, f"write {FILE} hello")
        await running.asked(session)
        await running.post(f"/api/sessions/{session}/stop", status=204)
        await running.idle(session)
        assert (await running.get("/api/inbox"))["inbox"] == []
        assert not (settings.folder / FILE).exists()


async def test_prompts_are_sent_one_after_the_other(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "count slowly to 3")
        await running.prompt(session, "hello")
        first = await running.idle(session)
        second = await running.idle(session, after=first[-1].id)
        texts = [
            message.data["body"]["content"][0]["text"]
            for message in first + second
            if message.data["body"].get("sessionUpdate") == "user_message"
        ]
        assert texts == ["count slowly to 3", "hello"]


async def test_steering_goes_into_the_running_turn(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "count slowly to 30")
        await running.until(
            f"?session={session}&after=0",
            lambda one: one.name == "log" and "chunk" in str(one.data["body"]),
        )
        await running.prompt(session, f"read {FILE}", when="now")
        log = await running.idle(session)
        assert log[-1].data["body"]["stopReason"] == "end_turn"
        texts = [
            message.data["body"]["content"][0]["text"]
            for message in log
            if message.data["body"].get("sessionUpdate") == "user_message"
        ]
        assert texts == ["count slowly to 30", f"read {FILE}"]


async def test_a_prompt_that_waits_can_be_taken_back(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "count slowly to 40")
        await running.prompt(session, "hello")
        (waiting,) = (await running.get(f"/api/sessions/{session}"))["waiting"]
        path = f"/api/sessions/{session}/prompts/{waiting['id']}"
        async with running.http.delete(path) as response:
            assert response.status == 204
        assert (await running.get(f"/api/sessions/{session}"))["waiting"] == []
        await running.post(f"/api/sessions/{session}/stop", status=204)


async def test_a_mode_is_chosen_and_told(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.post(
            f"/api/sessions/{session}/config", {"config_id": "mode", "value": "edit"}, status=204
        )
        await running.hub.store.flush()
        facts = (await running.get(f"/api/sessions/{session}"))["facts"]
        mode = next(one for one in facts["config_options"] if one["configId"] == "mode")
        assert mode["currentValue"] == "edit"


async def test_what_was_said_is_found_in_any_session(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "hello")
        await running.idle(session)
        await running.hub.store.flush()
        hits = (await running.get("/api/search?q=punie%27s+test+mod"))["hits"]
        assert [(hit["session"], hit["kind"]) for hit in hits] == [(session, "agent")]


async def test_a_conversation_can_be_seen_as_it_was(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "hello")
        log = await running.idle(session)
        asked_at = next(m.id for m in log if m.data["body"].get("sessionUpdate") == "user_message")
        then = await running.get(f"/api/sessions/{session}?until={asked_at}")
        assert [item["role"] for item in then["items"]] == ["user"]


async def test_files_are_completed_within_the_folder(run_hub: Any, settings: Settings) -> None:
    (settings.folder / "src").mkdir()
    (settings.folder / "src" / "main.py").touch()
    (settings.folder / ".git").mkdir()
    (settings.folder / ".git" / "main").touch()
    async with run_hub() as running:
        session = await running.new_session()
        found = await running.get(f"/api/sessions/{session}/files?q=MAIN")
        assert found == {"files": ["src/main.py"]}


@pytest.mark.parametrize(("form", "sign"), [("md", "## You"), ("html", "<h2>You"), ("jsonl", "{")])
async def test_a_session_is_exported(run_hub: Any, form: str, sign: str) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        await running.prompt(session, "hello")
        await running.idle(session)
        async with running.http.get(f"/api/sessions/{session}/export?format={form}") as response:
            text = await response.text()
        assert sign in text
        assert "test model" in text


async def test_the_api_describes_every_route_it_has(run_hub: Any) -> None:
    async with run_hub() as running:
        described = await running.get("/api/openapi.json")
        operations = [one for path in described["paths"].values() for one in path.values()]
        assert {"/api/overview", "/api/inbox/{asked}/select", "/acp", "/proof"} <= set(
            described["paths"]
        )
        assert all(operation["summary"] for operation in operations)


async def test_a_body_that_does_not_fit_is_told_where(run_hub: Any) -> None:
    async with run_hub() as running:
        session = await running.new_session()
        refused = await running.post(f"/api/sessions/{session}/prompts", {"text": 3}, status=400)
        assert "$.text" in refused["error"]


@pytest.mark.parametrize("path", ["/api/sessions/99", "/api/sessions/99/events"])
async def test_what_is_not_there_is_not_found(run_hub: Any, path: str) -> None:
    async with run_hub() as running, running.http.get(path) as response:
        assert response.status == 404
