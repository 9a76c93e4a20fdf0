"""Several clients of one session: what each hears, who is asked, who decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from punie.acp.errors import ConnectionClosedError
from punie.acp.fanout import Answer, Fanout, Member
from punie.acp.schema import v1

OPTIONS = [
    v1.PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
    v1.PermissionOption(option_id="no", name="No", kind="reject_once"),
]
QUESTION = v1.RequestPermissionRequest(
    session_id="s", tool_call=v1.ToolCallPatch(tool_call_id="t"), options=OPTIONS
)


class Screen:
    """A client that keeps what it is told; takes one update a permit when it is slow."""

    def __init__(self, *, slow: bool = False) -> None:
        self.heard: list[int] = []
        self.questions: list[asyncio.Future[Any]] = []
        self.slow = slow
        self.permits = asyncio.Semaphore(0)

    async def session_update(self, session_id: str, update: int, /) -> None:
        self.heard.append(update)
        if self.slow:
            await self.permits.acquire()

    async def request_permission(self, params: Any, /) -> v1.RequestPermissionResponse:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.questions.append(answer)
        return v1.RequestPermissionResponse(outcome=await answer)

    def choose(self, option_id: str) -> None:
        self.questions[-1].set_result(v1.SelectedPermissionOutcome(option_id=option_id))

    def dismiss(self) -> None:
        self.questions[-1].set_result(v1.CancelledPermissionOutcome())


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
async def fanout() -> AsyncGenerator[Fanout[int], None]:
    made: Fanout[int] = Fanout("s")
    yield made
    await made.aclose()


async def test_everybody_hears_everything_in_order(fanout: Fanout[int]) -> None:
    screens = [Screen(), Screen()]
    for screen in screens:
        fanout.attach(screen)
    for number in range(100):
        fanout.tell(number)
    for member in fanout.members:
        await member.caught_up()
    assert [screen.heard for screen in screens] == [list(range(100))] * 2


async def test_a_newcomer_hears_the_history_and_nobody_else_hears_it_again(
    fanout: Fanout[int],
) -> None:
    first, second, third = Screen(), Screen(), Screen()
    fanout.attach(first)
    fanout.tell(1)
    fanout.attach(second)
    fanout.tell(2)
    fanout.attach(third, since=fanout.position)
    fanout.tell(3)
    await settle()
    assert (first.heard, second.heard, third.heard) == ([1, 2, 3], [1, 2, 3], [3])


async def test_a_stalled_client_delays_nobody_and_loses_nothing(fanout: Fanout[int]) -> None:
    fast, stalled = Screen(), Screen(slow=True)
    ahead, behind = fanout.attach(fast), fanout.attach(stalled)
    for number in range(1000):
        fanout.tell(number)
    await ahead.caught_up()
    assert fast.heard == list(range(1000))
    assert stalled.heard == [0]  # one in flight, and no queue
    waiting = asyncio.ensure_future(behind.caught_up(2))
    stalled.permits.release()
    await settle()
    assert not waiting.done()
    stalled.permits.release()
    await waiting
    stalled.slow = False
    stalled.permits.release()
    await behind.caught_up()
    assert stalled.heard == list(range(1000))


async def test_who_was_detached_goes_on_where_it_was(fanout: Fanout[int]) -> None:
    screen = Screen(slow=True)
    member = fanout.attach(screen)
    for number in range(4):
        fanout.tell(number)
    await settle()
    position = member.detach()
    assert (position, member.detach()) == (1, 1)  # what is in flight counts as handed over
    await member.caught_up()  # of who is detached nothing is waited for
    again = fanout.attach(screen, since=position)
    await settle()
    assert screen.heard == [0]  # after what is still in flight
    screen.slow = False
    screen.permits.release()
    await again.caught_up()
    assert screen.heard == [0, 1, 2, 3]


async def test_a_client_is_attached_once_and_within_the_history(fanout: Fanout[int]) -> None:
    screen = Screen()
    fanout.attach(screen)
    with pytest.raises(ValueError, match="attached already"):
        fanout.attach(screen)
    with pytest.raises(ValueError, match="has 0 updates"):
        fanout.attach(Screen(), since=1)


async def test_the_first_answer_decides_and_the_others_are_taken_back(fanout: Fanout[int]) -> None:
    ide, page, wall = Screen(), Screen(), Screen()
    members = [fanout.attach(ide), fanout.attach(page), fanout.attach(wall, answers=False)]
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    page.choose("no")
    assert await asking == Answer("no", members[1])
    await settle()
    assert ide.questions[0].cancelled()
    assert wall.questions == []


async def test_an_answer_that_comes_too_late_is_ignored(fanout: Fanout[int]) -> None:
    class Stubborn(Screen):
        async def request_permission(self, params: Any, /) -> v1.RequestPermissionResponse:
            try:
                return await super().request_permission(params)
            except asyncio.CancelledError:
                chosen = v1.SelectedPermissionOutcome(option_id="yes")
                return v1.RequestPermissionResponse(outcome=chosen)

    page = Screen()
    fanout.attach(Stubborn())
    fanout.attach(page)
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    page.choose("no")
    assert (await asking).option_id == "no"
    await settle()


async def test_two_answers_at_once_are_one(fanout: Fanout[int]) -> None:
    screens = [Screen(), Screen()]
    first, _ = [fanout.attach(screen) for screen in screens]
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    screens[0].choose("no")
    screens[1].choose("yes")
    assert await asking == Answer("no", first)


async def test_nobody_there_is_a_denial(fanout: Fanout[int]) -> None:
    fanout.attach(Screen(), answers=False)
    assert await fanout.ask(QUESTION) == Answer(None, None)


async def test_who_dismisses_the_question_leaves_it_to_the_others(fanout: Fanout[int]) -> None:
    ide, page = Screen(), Screen()
    fanout.attach(ide)
    member = fanout.attach(page)
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    ide.dismiss()
    await settle()
    assert not asking.done()
    page.choose("yes")
    assert await asking == Answer("yes", member)


async def test_a_question_that_everybody_dismisses_is_denied(fanout: Fanout[int]) -> None:
    screens = [Screen(), Screen()]
    for screen in screens:
        fanout.attach(screen)
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    screens[0].dismiss()
    screens[1].dismiss()
    assert await asking == Answer(None, None)


async def test_an_option_that_was_never_offered_chooses_nothing(fanout: Fanout[int]) -> None:
    screen = Screen()
    fanout.attach(screen)
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    screen.choose("always and everything")
    assert await asking == Answer(None, None)


async def test_who_leaves_is_not_waited_for(fanout: Fanout[int]) -> None:
    ide, page = fanout.attach(Screen()), fanout.attach(Screen())
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    ide.detach()
    await settle()
    assert not asking.done()
    page.detach()
    assert await asking == Answer(None, None)


async def test_who_comes_while_a_question_is_open_is_asked_after_the_history(
    fanout: Fanout[int],
) -> None:
    fanout.tell(1)
    fanout.attach(Screen())
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    fanout.tell(2)
    late = Screen(slow=True)
    member = fanout.attach(late)
    await settle()
    assert late.questions == []
    late.permits.release()
    await settle()
    late.choose("yes")
    assert await asking == Answer("yes", member)


async def test_a_question_that_is_cancelled_is_taken_back_everywhere(fanout: Fanout[int]) -> None:
    screen = Screen()
    fanout.attach(screen)
    asking = asyncio.ensure_future(fanout.ask(QUESTION))
    await settle()
    asking.cancel()
    await settle()
    assert asking.cancelled()
    assert screen.questions[0].cancelled()


@pytest.mark.parametrize("error", [ConnectionClosedError(), RuntimeError("broken")])
async def test_a_client_that_fails_is_dropped_and_its_question_with_it(
    fanout: Fanout[int], error: Exception
) -> None:
    class Deaf(Screen):
        async def session_update(self, session_id: str, update: int, /) -> None:
            raise error

    class Mute(Screen):
        async def request_permission(self, params: Any, /) -> v1.RequestPermissionResponse:
            raise error

    fanout.attach(Deaf())
    fanout.attach(Mute())
    fanout.tell(1)
    assert await fanout.ask(QUESTION) == Answer(None, None)
    await settle()
    assert len(fanout.members) == 1


async def test_files_and_terminals_are_those_of_the_first_who_offers_them(
    fanout: Fanout[int],
) -> None:
    page, ide, other = Screen(), Screen(), Screen()
    fanout.attach(page)
    assert fanout.owner is None
    member = fanout.attach(ide, owns=True)
    fanout.attach(other, owns=True)
    assert fanout.owner is ide
    member.detach()
    assert fanout.owner is other


async def test_a_history_of_ones_own_is_read_and_written() -> None:
    class OnDisk:
        def __init__(self) -> None:
            self.lines = ["0", "1"]

        def append(self, update: int, /) -> None:
            self.lines.append(str(update))

        def __len__(self) -> int:
            return len(self.lines)

        def __getitem__(self, position: int, /) -> int:
            return int(self.lines[position])

    history, screen = OnDisk(), Screen()
    fanout: Fanout[int] = Fanout("s", history=history)
    fanout.attach(screen)
    fanout.tell(2)
    await settle()
    await fanout.aclose()
    await fanout.aclose()
    assert screen.heard == [0, 1, 2]
    assert history.lines == ["0", "1", "2"]


WHO = st.integers(0, 3)
STEPS = st.tuples(
    st.sampled_from(["attach", "detach", "permit", "ask", "choose", "dismiss", "tell", "run"]), WHO
)


class Story:
    """Runs steps and keeps what each client should have heard."""

    def __init__(self) -> None:
        self.fanout: Fanout[int] = Fanout("s")
        self.screens = [Screen(slow=index % 2 == 1) for index in range(4)]
        self.attached: dict[int, Member[int]] = {}
        self.positions = dict.fromkeys(range(4), 0)
        self.asked: list[asyncio.Future[Answer[int]]] = []

    async def step(self, name: str, number: int) -> None:
        screen = self.screens[number]
        match name:
            case "attach" if number not in self.attached:
                since = self.positions[number]
                self.attached[number] = self.fanout.attach(screen, since=since)
            case "detach" if number in self.attached:
                self.positions[number] = self.attached.pop(number).detach()
            case "permit":
                screen.permits.release()
            case "ask":
                self.asked.append(asyncio.ensure_future(self.fanout.ask(QUESTION)))
            case "choose" | "dismiss":
                self.answer(screen, name)
            case "tell":
                self.fanout.tell(self.fanout.position)
            case "run":
                await asyncio.sleep(0)
            case _:
                pass

    def answer(self, screen: Screen, how: str) -> None:
        chosen = v1.SelectedPermissionOutcome(option_id="yes")
        outcome = chosen if how == "choose" else v1.CancelledPermissionOutcome()
        for question in [one for one in screen.questions if not one.done()][:1]:
            question.set_result(outcome)

    async def end(self) -> None:
        """Everybody comes back and hears the rest; nobody answers any more."""
        for number, screen in enumerate(self.screens):
            screen.slow = False
            screen.permits.release()
            if number not in self.attached:
                await self.step("attach", number)
        for member in self.attached.values():
            await member.caught_up()
        for number in list(self.attached):
            await self.step("detach", number)
        for asking in self.asked:
            answer = await asking
            assert (answer.option_id is None) == (answer.by is None)
        await self.fanout.aclose()


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_update_is_lost_doubled_or_reordered_whatever_happens(
    steps: list[tuple[str, int]],
) -> None:
    async def play() -> Story:
        story = Story()
        for name, number in steps:
            await story.step(name, number)
        await story.end()
        return story

    story = asyncio.run(play())
    everything = list(range(story.fanout.position))
    assert [screen.heard for screen in story.screens] == [everything] * 4
