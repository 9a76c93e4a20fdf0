"""What a prompt brings along: images, linked and embedded resources, and what becomes of each."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.acp.schema import v1, v2
from punie.agent.acp.content import read_prompt
from punie.agent.events import ImageContent, UserMessage
from punie.agent.runtime import Runtime
from punie.agent.sessions.export import to_markdown
from punie.agent.sessions.store import Stored
from punie.agent.testing.fake_server import open_fake_server
from punie.agent.workspaces.local import LocalWorkspace

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
SEEN = "Hello from Punie's test model. It was shown 1 image."


def image(data: str = PNG, mime_type: str = "image/png") -> v1.ImageContent:
    return v1.ImageContent(data=data, mime_type=mime_type)


def embedded(**fields: Any) -> v1.EmbeddedResource:
    return v1.EmbeddedResource(resource=v1.EmbeddedResourceResource(**fields))


@pytest.fixture
def asked(opened: Any, editor: Any, environment: dict[str, str]) -> Callable[..., Any]:
    """Send a prompt; gives the answer and the prompt as it is kept."""

    async def ask(text: str, *blocks: Any) -> tuple[str, UserMessage]:
        async with opened(editor) as client:
            await client.ask(text, *blocks)
            answer, session_id = client.text, client.session_id
        kept = Runtime(model="test", environ=environment)
        session = await kept.load_session(session_id)
        message = next(event for event in session.events if isinstance(event, UserMessage))
        await kept.aclose()
        return answer, message

    return ask


async def test_a_model_that_sees_is_shown_the_image_and_it_is_kept(asked: Any) -> None:
    answer, message = await asked("look", image())
    assert answer == SEEN
    assert message.images == (ImageContent(data=PNG, mime_type="image/png"),)


async def test_an_image_alone_is_a_prompt(asked: Any) -> None:
    assert (await asked("", image()))[0] == SEEN


async def test_a_loaded_session_shows_its_images_and_the_model_still_sees_them(
    opened: Any, editor: Any, editor_of: Any, project: Path
) -> None:
    async with opened(editor) as client:
        await client.ask("look", image())
        session_id = client.session_id
    async with opened(editor_of()) as client:
        client.session_id = session_id
        request = v1.LoadSessionRequest(session_id=session_id, cwd=str(project), mcp_servers=[])
        await client.agent.load_session(request)
        shown = [chunk.content for chunk in client.of(v1.UserMessageChunk)]
        assert shown == [v1.TextContent(text="look"), image()]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (image("no base64!"), "[an image that cannot be read (image/png) was left out]"),
        (image(mime_type="image/tiff"), "[an image that cannot be read (image/tiff) was left out]"),
        (
            image(base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(11_000_000)).decode()),
            "[an image of 11.0 MB, which is ",
        ),
    ],
)
async def test_what_cannot_be_shown_is_named_and_the_prompt_goes_on(
    asked: Any, block: Any, said: str
) -> None:
    answer, message = await asked("look ", block)
    assert answer == "Hello from Punie's test model."
    assert message.text.startswith(f"look {said}")
    assert message.images == ()


async def test_what_punie_does_not_know_is_named_in_its_place(tmp_path: Path) -> None:
    sound = v2.AudioContent(data="", mime_type="audio/wav")
    unknown = v2.UnknownVariant(kind="_own", body={"type": "_own"})
    read = await read_prompt([v2.TextContent(text="x "), sound, unknown], LocalWorkspace(tmp_path))
    assert read.text == (
        "x [sound, which no model here hears, was left out]"
        "['_own', which Punie does not know, was left out]"
    )


async def test_a_model_that_does_not_see_is_told_and_so_is_the_person(
    tmp_path: Path,
) -> None:
    answers: list[Any] = [{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}]
    async with open_fake_server() as server:
        server.scripts[:] = [answers, answers]
        runtime = Runtime(model=f"local:{server.url}/fake", environ={"HOME": str(tmp_path)})
        session = runtime.open_session(tmp_path)
        picture = ImageContent(data=PNG, mime_type="image/png")
        outcome = await session.prompt("look", images=(picture,))
        await session.prompt("again")
        notices = [event.title for event in session.events if hasattr(event, "severity")]
        kept = json.dumps(session.memory.messages, default=repr)
        await runtime.aclose()
    assert outcome.text == "hi"
    assert notices == ["fake sees no images: it is told that there is one"]
    first, second = (body["messages"][1]["content"] for body in server.requests)
    assert first == "look\n\n[an image was attached here, which this model cannot see]"
    assert second == first  # the cached prefix stays as it is
    assert "BinaryContent" in kept  # for a model that sees


async def test_a_server_whose_model_sees_gets_the_image_as_openai_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from punie.agent.models import served

    told = served.Served(server="llama.cpp", window=32_768, images=True)
    monkeypatch.setattr(served, "ask_about", lambda *_: told)
    answers: list[Any] = [{"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}]
    async with open_fake_server() as server:
        server.scripts[:] = [answers]
        runtime = Runtime(model=f"local:{server.url}/fake", environ={"HOME": str(tmp_path)})
        session = runtime.open_session(tmp_path)
        picture = ImageContent(data=PNG, mime_type="image/png")
        await session.prompt("look", images=(picture,))
        await runtime.aclose()
    assert server.requests[0]["messages"][1]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]


async def test_embedded_resources_are_quoted_whatever_fence_they_hold(
    asked: Any, project: Path
) -> None:
    text = embedded(uri=(project / "b.md").as_uri(), text="```\nx\n```")
    blob = embedded(uri="x:/c", blob=base64.b64encode("größer".encode()).decode())
    zipped = embedded(uri="x:/d.zip", blob=base64.b64encode(b"PK\0").decode(), mime_type="a/zip")
    broken = embedded(uri="x:/e", blob="no base64!")
    _, message = await asked("see ", text, blob, zipped, broken)
    assert message.text == (
        "see `b.md``x:/c``x:/d.zip``x:/e`\n\n"
        "`b.md` holds:\n\n````\n```\nx\n```\n````\n\n"
        "`x:/c` holds:\n\n```\ngrößer\n```\n\n"
        "`x:/d.zip` is a/zip: its content was left out.\n\n"
        "`x:/e` is no text: its content was left out."
    )


async def test_a_picture_as_a_resource_is_an_image(asked: Any) -> None:
    answer, _ = await asked("see", embedded(uri="x:/a.png", blob=PNG, mime_type="image/png"))
    assert answer == SEEN


async def test_a_linked_picture_is_read_in_the_folder_and_only_named_outside(
    asked: Any, project: Path, tmp_path: Path
) -> None:
    data = base64.b64decode(PNG)
    (project / "a.png").write_bytes(data)
    (tmp_path / "b.png").write_bytes(data)
    (project / "link.png").symlink_to(tmp_path / "b.png")
    links = [
        v1.ResourceLink(name="x", uri=path.as_uri())
        for path in (
            project / "a.png",
            tmp_path / "b.png",
            project / "link.png",
            project / "no.png",
        )
    ]
    answer, message = await asked("see", *links)
    assert answer == SEEN
    assert [one.uri for one in message.images] == [(project / "a.png").as_uri()]
    assert message.text.startswith(f"see`a.png``{tmp_path / 'b.png'}``link.png``no.png`")


def test_an_exported_session_names_its_images() -> None:
    picture = ImageContent(data=PNG, mime_type="image/png")
    message = UserMessage(message_id="m", text="look", images=(picture,))
    stored = Stored(session_id="s", cwd="/", created=0, updated=0)
    assert to_markdown(stored, [message]).endswith("## You\n\nlook\n\n*(image, image/png)*\n")


@pytest.mark.parametrize("uri", ["http://[broken/a.png", "file:///a%00b.png", "file://[/x.png"])
async def test_a_link_that_cannot_be_read_stays_as_it_was_written(tmp_path: Path, uri: str) -> None:
    link = v2.ResourceLink(name="x", uri=uri)
    read = await read_prompt([v2.TextContent(text="see "), link], LocalWorkspace(tmp_path))
    assert read.text.startswith("see `")
    assert not read.images


@pytest.mark.parametrize("place", ["block", "link", "resource"])
async def test_what_only_claims_to_be_an_image_is_left_out(tmp_path: Path, place: str) -> None:
    secret = b"TOKEN=abc"
    (tmp_path / ".env").write_bytes(secret)
    data, uri = base64.b64encode(secret).decode(), (tmp_path / ".env").as_uri()
    resource = v2.EmbeddedResourceResource(uri=uri, blob=data, mime_type="image/png")
    blocks = {
        "block": v2.ImageContent(data=data, mime_type="image/png"),
        "link": v2.ResourceLink(name="x", uri=uri, mime_type="image/png"),
        "resource": v2.EmbeddedResource(resource=resource),
    }
    read = await read_prompt([blocks[place]], LocalWorkspace(tmp_path))
    assert not read.images
    assert "left out" in read.text


def linked(project: Path) -> v1.ResourceLink:
    (project / "a.png").write_bytes(base64.b64decode(PNG) + bytes(1_000_000))
    return v1.ResourceLink(name="a.png", uri=(project / "a.png").as_uri())


async def test_a_prompt_whose_image_is_being_read_is_not_overtaken(
    opened: Any, editor: Any, project: Path, environment: dict[str, str]
) -> None:
    async with opened(editor) as client:
        await asyncio.gather(client.ask("first", linked(project)), client.ask("second"))
        session_id = client.session_id
    kept = Runtime(model="test", environ=environment)
    events = (await kept.load_session(session_id)).events
    await kept.aclose()
    texts = [event.text for event in events if isinstance(event, UserMessage)]
    assert texts == ["first`a.png`", "second"]


async def test_a_prompt_whose_image_is_being_read_can_be_cancelled(
    opened: Any, editor: Any, project: Path
) -> None:
    async with opened(editor) as client:
        turn = asyncio.ensure_future(client.ask("count slowly", linked(project)))
        await asyncio.sleep(0)
        await client.agent.cancel(client.session_id)
        assert (await turn).stop_reason == "cancelled"
        assert client.of(v1.AgentMessageChunk) == []


async def test_a_prompt_can_be_cancelled_in_the_moment_in_which_it_is_sent(
    opened: Any, editor: Any
) -> None:
    async with opened(editor) as client:
        turn = asyncio.ensure_future(client.ask("count slowly"))
        await asyncio.sleep(0)
        await client.agent.cancel(client.session_id)
        assert (await turn).stop_reason == "cancelled"
        assert client.of(v1.AgentMessageChunk) == []
