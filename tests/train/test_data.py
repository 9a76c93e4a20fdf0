"""Generators and the rules that their data must keep."""

import random

import pytest

from punie.train.data import checks, dataset
from punie.train.data.checks import Wording
from punie.train.data.example import Example, answered, called, example, returned, said
from punie.train.data.generators import direct, reports, requests, wordings
from punie.train.data.generators.results import Recorded
from punie.train.errors import DataError
from punie.train.evals.case import suite
from punie.train.evals.scorers import states_figures

TOOLS = requests.TOOLS
MIX = dataset.Mix(calls=dict.fromkeys(TOOLS, 12), reports={"run_tests": 4}, direct=38)


def call(prompt: str, path: str = "src/a.py") -> Example:
    return example((said(prompt), called("lint", {"path": path})), provenance="test")


def answer(prompt: str) -> Example:
    return example((said(prompt), answered("Yes.")), provenance="test")


def test_the_same_seed_gives_the_same_examples(green: Recorded, red: Recorded) -> None:
    first = dataset.generate(MIX, seed=3, recorded=[green, red], suites=[])
    again = dataset.generate(MIX, seed=3, recorded=[green, red], suites=[])
    other = dataset.generate(MIX, seed=4, recorded=[green, red], suites=[])
    assert first.examples == again.examples
    assert first.examples != other.examples


def test_generated_data_keeps_the_rules(green: Recorded) -> None:
    made = dataset.generate(MIX, seed=1, recorded=[green], suites=[])
    assert 0.3 <= made.report.direct_share <= 0.4
    assert made.report.with_result >= 4
    assert set(made.report.by_tool) == {*TOOLS, "answer"}


@pytest.mark.parametrize("tool", TOOLS)
def test_arguments_stand_in_the_prompt(tool: requests.ToolName) -> None:
    rng = random.Random(5)
    for _ in range(150):
        made = requests.request(tool, rng)
        assert "{" not in made.prompt.replace("{}", "")
        for value in made.arguments.values():
            assert value == "." or value in made.prompt


@pytest.mark.parametrize("tool", ["run_tests", "lint", "typecheck", "read_file"])
def test_a_request_can_be_made_for_a_fixed_call(tool: requests.ToolName) -> None:
    rng = random.Random(6)
    fixed = {"path": "src/app/models.py"}
    assert {
        tuple(requests.request(tool, rng, arguments=fixed).arguments.values()) for _ in range(60)
    } == {("src/app/models.py",)}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_has_at_least_sixty_frames(tool: requests.ToolName) -> None:
    own = wordings.load(tool).sections
    assert sum(len(frames) for frames in own.values()) >= 60


def test_wordings_are_many() -> None:
    rng = random.Random(7)
    frames = {checks.frame(r.prompt, r.arguments.values()) for r in _some_requests(rng, 600)}
    assert len(frames) > 500


def _some_requests(rng: random.Random, count: int) -> list[requests.Request]:
    return [requests.request(rng.choice(TOOLS), rng) for _ in range(count)]


def test_direct_answers_leave_no_slot_open() -> None:
    rng = random.Random(8)
    for _ in range(400):
        made = direct.direct(rng)
        slots = ("{path}", "{x}", "{a}", "{b}", "{f}", "{other}", "{name}")
        assert not [slot for slot in slots if slot in made.prompt + made.answer]


def test_a_report_states_the_figures_and_names_what_failed(red: Recorded, green: Recorded) -> None:
    rng = random.Random(9)
    for _ in range(20):
        said_red = reports.report(red, rng)
        assert states_figures(red.headline, said_red)
        assert "test_sum" in said_red
        assert states_figures(green.headline, reports.report(green, rng))


def test_a_wording_of_a_suite_is_taken_out_around_another_path() -> None:
    held_out = Wording("Would you lint lib/x.py before lunch?", ("lib/x.py",))
    data = [call("would you lint src/a.py before lunch"), call("lint src/a.py")]
    assert checks.without_leaks(data, [held_out]) == [data[1]]


def test_a_nearly_equal_wording_is_taken_out() -> None:
    held_out = Wording("please tell me what the difference between a and b is", ())
    data = [answer("please tell me what the difference between a and b is now")]
    assert checks.without_leaks(data, [held_out]) == []


def test_the_shipped_suites_share_nothing_with_generated_data(green: Recorded) -> None:
    held_out = [case.wording for name in ("embedded-dev", "embedded-test") for case in suite(name)]
    made = dataset.generate(MIX, seed=2, recorded=[green], suites=held_out)
    prompts = {checks.normalised(one.prompt) for one in held_out}
    assert not prompts & {checks.normalised(one.prompt) for one in made.examples}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([call("lint a/b.py")], "does not stand in the prompt"),
        ([call("lint src/a.py"), call("Lint src/a.py!")], "repeats a prompt"),
        ([call("lint src/a.py")], "direct answers"),
        ([], "no examples"),
        ([example((said("hi"), answered(" ")), provenance="test")], "empty answer"),
        (
            [example((said("rm src"), called("run_command", {"path": "src"})), provenance="test")],
            "not offered",
        ),
    ],
)
def test_broken_data_is_refused(broken: list[Example], message: str) -> None:
    with pytest.raises(DataError, match=message):
        checks.check(broken, tools=TOOLS)


def test_choices_options_and_rules_are_expanded() -> None:
    made = wordings.Wordings(rules={"go": ("run",)}, sections={"s": ("<go> (a|b)[ now]",)})
    rng = random.Random(0)
    assert {made.expand("s", rng) for _ in range(50)} == {
        "run a",
        "run b",
        "run a now",
        "run b now",
    }


def test_fewer_examples_keep_the_share_of_answers_and_stand_in_the_larger_sets() -> None:
    calls: dict[str, int] = dict.fromkeys(requests.TOOLS, 20)
    mix = dataset.Mix(calls=calls, reports={}, direct=60, follow_ups=0)
    made = dataset.generate(mix, seed=3, recorded=[], suites=[]).examples
    sizes = {limit: dataset.first(made, limit) for limit in (30, 60, 90)}
    for limit, kept in sizes.items():
        assert len(kept) == limit
        assert abs(sum(not one.tool for one in kept) / limit - 1 / 3) < 0.05
    assert [one for one in sizes[60] if one in sizes[30]] == sizes[30]
    again = dataset.generate(mix, seed=3, recorded=[], suites=[], limit=60).examples
    assert again == sizes[60]


def test_a_result_that_no_tool_gave_is_refused(green: Recorded) -> None:
    messages = (said("Run it"), called("run_tests", {"path": "tests/unit"}))
    real = example((*messages, returned(green.rendered), answered("12.")), provenance="test")
    invented = example((*messages, returned("99 passed"), answered("99.")), provenance="test")
    ran = {(green.tool, green.rendered)}
    checks.check_results([real], ran)
    with pytest.raises(DataError, match="run_tests never gave"):
        checks.check_results([real, invented], ran)
