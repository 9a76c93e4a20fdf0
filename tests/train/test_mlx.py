"""The trainer against the plain computation, on a tiny random model."""

from pathlib import Path
from typing import Any

import pytest

from punie.agent.models.embedded.blas import preload_fast_blas
from punie.train.backends.base import NanLossError, Progress
from punie.train.data.tokens import DIRECT, Tokens
from punie.train.phases.spec import LoraSpec, Schedule

preload_fast_blas()

import mlx.core as mx  # noqa: E402, TID251
import mlx.nn as nn  # noqa: E402, TID251
from mlx.utils import tree_flatten  # noqa: E402, TID251
from mlx_lm.utils import load_adapters  # noqa: E402, TID251

from punie.train.backends import llama, loss, mlx  # noqa: E402
from punie.train.backends.checkpoints import Checkpoints, State  # noqa: E402

ROWS = [
    Tokens(ids=(1, 5, 6, 7, 9, 30, 31, 2), weights=(0, 0, 0, 0, 0, 1.0, 1.0, 0.5), kind="a"),
    Tokens(ids=(1, 5, 6, 8, 40, 41), weights=(0, 0, 0, 0, 0, 2.0), kind="b"),
    Tokens(
        ids=(1, 5, 6, 7, 50, 51, 52, 53, 54), weights=(0, 0, 0, 0, 1.0, 1.0, 0, 0, 3.0), kind="a"
    ),
]


@pytest.fixture
def model(tiny: Path) -> Any:
    return noisy(mlx.load(tiny), LoraSpec(rank=4, scale=2.0))


def noisy(model: Any, spec: LoraSpec) -> Any:
    """Add LoRA layers that do something: they start at zero, noise makes every gradient count."""
    mlx.add_lora(model, spec, seed=3)
    matrices = [
        (name, array + mx.random.normal(array.shape) * 0.1)
        for name, array in tree_flatten(model.trainable_parameters())
    ]
    model.load_weights(matrices, strict=False)
    return model


def gradients(compute: Any, model: Any, *arguments: Any) -> tuple[float, dict[str, Any]]:
    value, gradient = nn.value_and_grad(model, compute)(model, *arguments)
    return float(value.item()), dict(tree_flatten(gradient))


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    assert {name for name in left if not mx.allclose(left[name], right[name], 1e-3, 1e-5)} == set()


def assert_gradients_equal_the_plain_ones(model: Any, rows: list[Tokens] = ROWS) -> None:
    plain, expected = gradients(loss.plain_loss, model, rows)
    value, gradient = loss.loss_and_gradient(model, loss.collate(rows))
    assert float(value.item()) == pytest.approx(plain, rel=1e-5)
    assert_same(expected, dict(tree_flatten(gradient)))
    assert loss.batch_loss(model, loss.collate(rows)).item() == pytest.approx(plain, rel=1e-5)


def test_loss_and_gradients_equal_the_plain_computation(model: Any) -> None:
    assert_gradients_equal_the_plain_ones(model)


def test_the_stock_forward_pass_with_a_shared_prefix_gives_the_same_gradients(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama, "fits", lambda _model: False)
    assert_gradients_equal_the_plain_ones(model)


def test_rows_without_a_common_beginning_need_no_prefix(model: Any) -> None:
    rows = [ROWS[0], Tokens(ids=(9, 8, 7), weights=(0, 0, 1.0))]
    assert loss.collate(rows).prefix.size == 0
    assert_gradients_equal_the_plain_ones(model, rows)


@pytest.mark.parametrize(
    "spec",
    [
        LoraSpec(rank=4, layers=1),
        LoraSpec(rank=4, keys=("self_attn.q_proj", "mlp.down_proj")),
        LoraSpec(rank=4, dropout=0.5),
    ],
    ids=["the last layer", "some projections", "dropout"],
)
def test_whatever_is_trained_the_gradients_are_the_plain_ones(tiny: Path, spec: LoraSpec) -> None:
    model = noisy(mlx.load(tiny), spec)
    model.eval()  # without the dice of dropout
    assert_gradients_equal_the_plain_ones(model)


def test_a_quantized_base_has_the_plain_gradients_too(tiny: Path) -> None:
    base = mlx.load(tiny)
    nn.quantize(base, group_size=32, bits=8)
    assert_gradients_equal_the_plain_ones(noisy(base, LoraSpec(rank=4)))


def test_a_training_step_leaves_the_model_its_own_matrices(model: Any) -> None:
    before = matrices(model)
    loss.loss_and_gradient(model, loss.collate(ROWS))
    after = matrices(model)
    assert [n for n in before if not mx.array_equal(before[n], after[n]).item()] == []


def lora(folder: Path) -> Any:
    """A model with fresh LoRA layers."""
    model = mlx.load(folder)
    mlx.add_lora(model, LoraSpec(rank=4), seed=0)
    return model


class Stopped(Exception):
    """The run was killed."""


def unscored(_model: Any) -> float:
    return 0.0


def scored(*scores: float) -> Any:
    """Give one score after the other."""
    left = iter(scores)
    return lambda _model: next(left)


def matrices(model: Any) -> dict[str, Any]:
    return {name: mx.array(a) for name, a in tree_flatten(model.trainable_parameters())}


def test_training_lowers_the_loss_and_keeps_its_last_state(tiny: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    _, losses, _ = mlx.train(
        lora(tiny),
        ROWS,
        schedule=Schedule(lr=3e-3, warmup=2, steps=25, checkpoint=10),
        checkpoints=Checkpoints(tmp_path / "states", key="k"),
        score=unscored,
        report=seen.append,
    )
    assert losses[-1] < 0.8 * losses[0]
    assert sorted(path.name for path in (tmp_path / "states").iterdir()) == ["25", "key"]
    assert [at.step for at in seen] == list(range(1, 26))
    assert seen[-1].seconds_left == 0


@pytest.mark.parametrize("killed_at", [1, 5, 6, 11])
def test_a_killed_run_goes_on_to_the_same_bytes(tiny: Path, tmp_path: Path, killed_at: int) -> None:
    schedule = Schedule(lr=3e-3, warmup=2, steps=12, checkpoint=5, batch_size=2)

    def falling(model: Any) -> float:
        return float(mx.sum(model.layers[0].self_attn.q_proj.lora_b).item())

    def run(name: str, model: Any, report: Any) -> State:
        states = Checkpoints(tmp_path / name, key="k")
        return mlx.train(
            model, ROWS, schedule=schedule, checkpoints=states, score=falling, report=report
        )

    def kill(at: Progress) -> None:
        if at.step == killed_at:
            raise Stopped

    whole, resumed = lora(tiny), lora(tiny)
    course = run("whole", whole, lambda _at: None)
    with pytest.raises(Stopped):
        run("killed", lora(tiny), kill)
    steps: list[int] = []
    assert run("killed", resumed, lambda at: steps.append(at.step)) == course
    assert steps[0] == (killed_at - 1) // 5 * 5 + 1  # a state is kept after its step was told
    expected = dict(tree_flatten(whole.trainable_parameters()))
    for name, array in tree_flatten(resumed.trainable_parameters()):
        assert mx.array_equal(array, expected[name]).item(), name


def test_states_of_another_run_are_never_resumed(tiny: Path, tmp_path: Path) -> None:
    for key in ("one", "other"):
        steps: list[int] = []
        mlx.train(
            lora(tiny),
            ROWS,
            schedule=Schedule(steps=3, checkpoint=1),
            checkpoints=Checkpoints(tmp_path, key=key),
            score=unscored,
            report=lambda at: steps.append(at.step),  # noqa: B023
        )
        assert steps == [1, 2, 3]


def test_a_loss_that_is_no_number_stops_with_the_step(tiny: Path, tmp_path: Path) -> None:
    model = lora(tiny)
    broken = model.model.embed_tokens.weight
    model.model.embed_tokens.weight = mx.full(broken.shape, float("nan"))
    states = Checkpoints(tmp_path, key="k")
    schedule = Schedule(steps=5, checkpoint=1)
    with pytest.raises(NanLossError, match="step 1") as stopped:
        mlx.train(
            model,
            ROWS,
            schedule=schedule,
            checkpoints=states,
            score=unscored,
            report=lambda _at: None,
        )
    assert stopped.value.step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_an_adapter_is_read_back_as_it_was_saved(tiny: Path, tmp_path: Path, model: Any) -> None:
    spec = LoraSpec(rank=4, scale=2.0)
    mlx.save_adapter(model, tmp_path / "adapter", spec)
    again = load_adapters(mlx.load(tiny), str(tmp_path / "adapter"))
    assert sorted(p.name for p in (tmp_path / "adapter").iterdir()) == [mlx.CONFIG, mlx.WEIGHTS]
    ids = mx.array([[1, 5, 6, 7]])
    assert mx.allclose(again(ids), model(ids)).item()


def test_the_agent_loads_the_halved_adapter(tiny: Path, tmp_path: Path, model: Any) -> None:
    from punie.agent.models.embedded.loading import load

    mlx.save_adapter(model, tmp_path / "full", LoraSpec(rank=4, scale=2.0))
    mlx.halve(tmp_path / "full", tmp_path / "half")
    ids = mx.array([[1, 5, 6, 7]])
    served = load(tiny, adapter=tmp_path / "half").model(ids)
    assert mx.allclose(served, model(ids), rtol=1e-2, atol=1e-2).item()
    assert not mx.allclose(served, load(tiny).model(ids), rtol=1e-2, atol=1e-2).item()


@pytest.mark.parametrize(
    ("scores", "best"), [((0.1, 0.9, 0.5), 1), ((0.1, 0.5, 0.5), 2), ((0.9, 0.2, 0.8), 0)]
)
def test_a_run_ends_with_the_weights_that_scored_best_the_later_of_equals(
    tiny: Path, tmp_path: Path, scores: tuple[float, ...], best: int
) -> None:
    model, states = lora(tiny), list[dict[str, Any]]()
    given = scored(*scores)

    def score(trained: Any) -> float:
        states.append(matrices(trained))
        return given(trained)

    course = mlx.train(
        model,
        ROWS,
        schedule=Schedule(lr=3e-3, warmup=1, steps=5, checkpoint=2),
        checkpoints=Checkpoints(tmp_path, key="k"),
        score=score,
        report=lambda _at: None,
    )
    assert course.scores == pytest.approx(scores)
    ended = matrices(model)
    equal = [all(mx.array_equal(ended[n], s[n]).item() for n in ended) for s in states]
    assert equal == [n == best for n in range(3)]


def greedy(model: Any, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(model(mx.array([ids]))[0, -1].argmax().item()))
    return ids


def test_the_score_is_the_share_that_greedy_generation_would_say(model: Any) -> None:
    prompts = [[1, 5, 6, 7], [1, 5, 6, 8, 40, 41], [1, 5, 6, 9, 9]]
    said = [greedy(model, prompt, 3) for prompt in prompts]

    def case(ids: list[int], start: int, kind: str = "a") -> Tokens:
        weights = tuple(float(at >= start) for at in range(len(ids)))
        return Tokens(ids=tuple(ids), weights=weights, kind=kind)

    right = [case(ids, len(prompt)) for prompt, ids in zip(prompts, said, strict=True)]
    assert loss.share_right(model, right) == 1.0
    last_is_wrong = [*said[0][:-1], (said[0][-1] + 1) % 64]
    wrong = case(last_is_wrong, len(prompts[0]))
    begins_a_call = case(said[1][: len(prompts[1]) + 1], len(prompts[1]), DIRECT)
    answers = case([*prompts[2], (said[2][len(prompts[2])] + 1) % 64], len(prompts[2]), DIRECT)
    assert loss.share_right(model, [wrong]) == 0.0
    assert loss.share_right(model, [begins_a_call]) == 0.0
    assert loss.share_right(model, [answers]) == 1.0
    assert loss.share_right(model, [*right, wrong, begins_a_call, answers]) == pytest.approx(4 / 6)
