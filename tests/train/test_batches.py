"""How examples share batches."""

from hypothesis import given
from hypothesis import strategies as st

from punie.train.backends.base import batches, shared_prefix
from punie.train.data.tokens import Tokens
from punie.train.phases.spec import Schedule

SCHEDULE = Schedule(batch_tokens=120, batch_size=6)


@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from(["a", "b", "p/a"])), max_size=80))
def test_every_example_is_in_one_batch_within_the_limits(made: list[tuple[int, str]]) -> None:
    lengths, kinds = [n for n, _ in made], [kind for _, kind in made]
    groups = batches(lengths, kinds, schedule=SCHEDULE, epoch=0)
    assert sorted(i for group in groups for i in group) == list(range(len(made)))
    for group in groups:
        assert len(group) <= 6
        assert len(group) == 1 or max(lengths[i] for i in group) * len(group) <= 120


def test_short_answers_and_long_calls_share_batches() -> None:
    lengths = [5] * 30 + [20] * 60
    kinds = ["answer"] * 30 + ["call"] * 60
    groups = batches(lengths, kinds, schedule=SCHEDULE, epoch=0)
    full = [group for group in groups if len(group) == 6]
    assert all({kinds[i] for i in group} == {"answer", "call"} for group in full)


def test_pools_never_share_a_batch() -> None:
    kinds = ["a", "report/a"] * 20
    groups = batches([9] * 40, kinds, schedule=SCHEDULE, epoch=0)
    assert all(len({kinds[i] for i in group}) == 1 for group in groups)


def test_the_seed_and_the_epoch_decide_the_order() -> None:
    lengths, kinds = list(range(1, 60)), ["a"] * 59
    first = batches(lengths, kinds, schedule=SCHEDULE, epoch=0)
    assert first == batches(lengths, kinds, schedule=SCHEDULE, epoch=0)
    assert first != batches(lengths, kinds, schedule=SCHEDULE, epoch=1)


def test_the_shared_prefix_ends_before_what_predicts_the_first_target() -> None:
    row = Tokens(ids=(1, 2, 3, 4), weights=(0, 0, 0, 1.0))
    assert shared_prefix([row, row]) == 2
