"""A person at the page: starts work, watches it, steers and stops it, and looks back."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from punie.http.sse import state_frame

NUMBERS = [str(number) for number in range(1, 31)]
GATHER = """() => {
    window.seen = [];
    const look = () => {
        const text = document.querySelector('.item.agent')?.innerText ?? '';
        const count = (text.match(/\\d+/g) ?? []).length;
        if (seen.at(-1) !== count) seen.push(count);
    };
    new MutationObserver(look).observe(document.getElementById('main'), { childList: true, subtree: true });
}"""


async def start(page: Any, prompt: str) -> None:
    """Begin a session with a prompt."""
    await page.wait_for_selector("select[name=agent] option", state="attached")
    await page.fill("form.new textarea[name=text]", prompt)
    await page.click("form.new button")


async def counted(page: Any) -> list[str]:
    """The numbers that the agent is shown to have said."""
    return (await page.inner_text(".item.agent p")).split()


async def test_an_answer_is_shown_as_it_comes(page: Any) -> None:
    await page.evaluate(GATHER)
    await start(page, "count slowly to 30")
    await page.wait_for_selector(".item.agent >> text=30")
    await page.wait_for_selector(".chip.idle")
    assert await counted(page) == NUMBERS
    steps = await page.evaluate("seen")
    assert len(steps) > 5
    assert steps == sorted(steps)


async def test_a_reload_in_between_has_no_gap_and_nothing_twice(page: Any) -> None:
    await start(page, "count slowly to 30")
    await page.wait_for_selector(".item.agent >> text=1 2 3")
    await page.reload()
    await page.wait_for_selector(".item.agent >> text=30")
    assert await counted(page) == NUMBERS


async def test_a_stream_that_is_cut_goes_on_without_a_gap(open_page: Any, running: Any) -> None:
    page = await open_page(refused="net::ERR_")
    await start(page, "count slowly to 30")
    await page.wait_for_selector(".item.agent >> text=1 2 3")
    running.hub.feed.drop_all()
    await page.wait_for_selector("#connection >> text=reconnecting")
    await page.wait_for_selector("#connection.live")
    await page.wait_for_selector(".item.agent >> text=30")
    assert await counted(page) == NUMBERS


async def test_that_nothing_can_be_written_is_told_in_every_view(page: Any, running: Any) -> None:
    await start(page, "hi")
    await page.wait_for_selector(".session .item.agent")
    running.hub.feed.tell([state_frame("problem", b'{"problem": "the disk is full"}')])
    await page.wait_for_selector("#problem >> text=the disk is full")
    running.hub.feed.tell([state_frame("problem", b'{"problem": ""}')])
    await page.wait_for_selector("#problem", state="hidden")


async def test_who_skips_to_the_content_stays_in_the_session(page: Any) -> None:
    await start(page, "hi")
    await page.wait_for_selector(".item.agent")
    await page.focus(".skip")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    assert await page.locator(".session").count() == 1


async def test_two_browsers_show_the_same_session(open_page: Any, page: Any) -> None:
    await start(page, "count slowly to 30")
    await page.wait_for_selector(".item.agent >> text=1 2 3")
    other = await open_page(at=await page.evaluate("location.hash"))
    for one in (page, other):
        await one.wait_for_selector(".item.agent >> text=30")
        assert await counted(one) == NUMBERS
    await other.fill(".composer textarea", "hi")
    await other.keyboard.press("Enter")
    await page.wait_for_selector(".item.user >> text=hi")
    await page.wait_for_selector(".item.agent >> text=Hello from")


async def test_an_answer_in_one_browser_closes_the_card_in_the_other(
    open_page: Any, page: Any
) -> None:
    await start(page, "write notes.txt hello")
    other = await open_page()
    await other.wait_for_selector(".inbox .card")
    await page.click(".card button.reject >> nth=0")
    await other.wait_for_selector("text=Nobody needs you.")
    await expect(other).to_have_title("Punie")


async def test_escape_stops_a_turn(page: Any) -> None:
    await start(page, "count slowly to 100")
    await page.wait_for_selector(".item.agent >> text=1 2 3")
    await page.focus(".composer textarea")
    await page.keyboard.press("Escape")
    await page.wait_for_selector(".item.end >> text=Stopped: cancelled")
    await page.wait_for_selector(".composer button >> text=Send")
    assert len(await counted(page)) < 100


async def test_a_prompt_waits_its_turn_or_goes_first(
    open_page: Any, attached: Any, key_of: Any
) -> None:
    prompts: list[str] = []

    def take(session_id: str, text: str) -> None:
        prompts.append(text)
        puppet.become(session_id, "running")

    async with attached("s1", on_prompt=take) as puppet:
        page = await open_page(at=f"#/s/{key_of('s1')}")
        write = ".composer textarea"
        await page.fill(write, "first")
        await page.keyboard.press("Enter")
        await page.click(".composer button:has-text('Queue')", trial=True)
        await page.fill(write, "second")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".waiting >> text=second")
        await page.fill(write, "third")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator(write)).to_have_value("")
        await page.click(".waiting button:has-text('Take back')")
        await page.wait_for_selector(".waiting li", state="detached")
        assert prompts == ["first", "third"]


async def test_search_finds_what_was_said(page: Any, running: Any) -> None:
    session = await running.new_session()
    await running.prompt(session, "tell me of marmalade")
    await running.idle(session)
    await page.keyboard.press("/")
    await page.keyboard.type("marmalade")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".hits mark >> text=marmalade")
    await page.click(".hits a")
    await page.wait_for_selector(".item.user >> text=tell me of marmalade")
    assert await page.evaluate("location.hash") == f"#/s/{session}"


async def test_who_answered_what_is_told(page: Any) -> None:
    await start(page, "write notes.txt hello")
    await page.click(".card button.reject >> nth=0")
    await page.wait_for_selector(".item.agent")
    await page.click("header nav a")
    row = await page.inner_text(".reading tbody tr")
    assert "Reject once (reject_once)" in row
    assert "page" in row


async def test_a_session_is_replayed(page: Any, running: Any) -> None:
    """By slider, by key and by itself."""
    session = await running.new_session()
    await running.prompt(session, "read pyproject.toml")
    await running.idle(session)
    await page.evaluate(f"location.hash = '#/s/{session}'")
    await page.wait_for_selector(".item.agent")
    whole = await page.inner_text(".items")
    await page.click(".links a:has-text('Replay')")
    await page.wait_for_selector(".replaying")
    last = int(await page.get_attribute(".replaying input", "max"))
    assert last >= 3
    assert await page.locator(".item").count() == 1
    await page.keyboard.press("ArrowRight")
    assert await page.locator(".item").count() == 2
    await page.keyboard.press("ArrowLeft")
    assert await page.locator(".item").count() == 1
    await page.locator(".replaying input").fill(str(last))
    assert await page.inner_text(".items") == whole
    assert f"{last} of {last}" in await page.inner_text(".when")
    await page.keyboard.press("Home")  # the slider has the focus
    assert await page.locator(".item").count() == 0
    await page.focus(".scroll")
    await page.keyboard.press("Space")
    await page.wait_for_selector(".replaying .play >> text=Pause")
    await page.wait_for_selector(f".when >> text={last} of {last}")
    await page.wait_for_selector(".replaying .play >> text=Play")
    assert await page.inner_text(".items") == whole


async def test_changed_files_are_shown_with_their_changes(page: Any, running: Any) -> None:
    session = await running.new_session()
    await running.prompt(session, "write notes.txt hello")
    asked = await running.asked(session)
    await running.post(f"/api/inbox/{asked['id']}/select", {"option_id": "allow_once"})
    await running.idle(session)
    await page.evaluate(f"location.hash = '#/s/{session}'")
    await page.click("text=1 changed file")
    assert "notes.txt" in await page.inner_text(".changes summary")
    assert "+hello" in await page.inner_text(".changes .diff .add")


async def test_on_a_phone_nothing_is_wider_than_it(
    running: Any, open_page: Any, key_of: Any
) -> None:
    from punie.http.testing.scene import busy

    async with busy(running.hub) as puppets:
        puppets["ide"].tell(
            "cache", sessionUpdate="session_info_update", title="long" * 60 + " " + "name " * 40
        )
        page = await open_page(size={"width": 360, "height": 740})
        wide: dict[str, Any] = {}
        for view, ready in {
            "#/": ".card >> nth=2",
            f"#/s/{key_of('cart')}": ".session .card",
            f"#/s/{key_of('cache')}": ".item.tool",
            "#/search/cart": ".hits li",
        }.items():
            await page.evaluate("(view) => { location.hash = view; }", view)
            await page.wait_for_selector(ready)
            wide[view] = await page.evaluate(
                "Math.max(...['#main', '.scroll', 'body'].map((one) => document.querySelector(one)?.scrollWidth ?? 0))"
            )
        assert {view: width for view, width in wide.items() if width > 360} == {}
        await page.click(".home")
        await page.click("#sessions a >> text=Upgrade httpx")
        await page.wait_for_selector(".card >> text=uv lock")


async def test_the_focus_stays_while_sessions_change(page: Any, attached: Any) -> None:
    async with attached("s1", "s2") as puppet:
        await page.focus("#sessions a >> nth=1")
        before = await page.evaluate("document.activeElement.href")
        puppet.become("s1", "running")
        puppet.become("s2", "running")
        await page.wait_for_selector("#sessions a.running >> nth=1")
        assert await page.evaluate("document.activeElement.href") == before
