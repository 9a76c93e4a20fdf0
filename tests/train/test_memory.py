"""The estimate of memory: what it counts, and that it refuses before anything starts."""

import pytest

from punie.train.backends import memory
from punie.train.backends.memory import Estimate, TooLargeError
from punie.train.phases import load_phase
from punie.train.phases.spec import LoraSpec, Schedule, Shape

SHAPE = Shape(parameters=1e9, bits=4.5, layers=10, hidden=1000, vocabulary=50_000)
SCHEDULE = Schedule(batch_tokens=1000)


def test_weights_take_their_bits() -> None:
    assert memory.estimate(SHAPE, LoraSpec(), SCHEDULE, longest=10).weights == 562_500_000


def test_only_the_trained_layers_keep_activations() -> None:
    all_layers = memory.estimate(SHAPE, LoraSpec(), SCHEDULE, longest=10)
    some = memory.estimate(SHAPE, LoraSpec(layers=2), SCHEDULE, longest=10)
    assert all_layers.activations == 34 * 10 * 1000 * 1000
    assert some.activations * 5 == all_layers.activations
    assert some.adapter * 5 == all_layers.adapter


def test_a_batch_holds_the_longest_example_at_least() -> None:
    long = memory.estimate(SHAPE, LoraSpec(), SCHEDULE, longest=4000)
    short = memory.estimate(SHAPE, LoraSpec(), SCHEDULE, longest=10)
    assert long.activations == 4 * short.activations


def test_what_cannot_fit_is_refused_with_advice() -> None:
    with pytest.raises(TooLargeError, match="lower `batch_tokens`") as refused:
        memory.check(Estimate(weights=10**15, activations=0, adapter=0, logits=0))
    assert refused.value.needed == 10**15
    assert refused.value.there == memory.machine_memory()


@pytest.mark.parametrize(("phase", "most"), [("phase5", 32), ("phase7", 32), ("phase8", 32)])
def test_the_large_phases_fit_the_machine_they_are_meant_for(phase: str, most: float) -> None:
    chosen = load_phase(phase)
    assert chosen.shape is not None
    needed = memory.estimate(chosen.shape, chosen.lora, chosen.schedule, longest=chosen.max_tokens)
    assert needed.total < most * 1e9
