"""A grid of runs: what is varied, what is shared, what the table tells."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from punie.train import sweep
from punie.train.errors import PhaseError
from punie.train.phases import load_phase

SMOKE = load_phase("smoke")
QUICK = replace(SMOKE, gguf=False, schedule=replace(SMOKE.schedule, steps=4))
OVER = ["schedule.seed=1,2", "quantize.bits=8,4", "evaluation.cases=2"]


def silent(_text: str) -> None:
    pass


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("quantize.bits=7", "bits"),
        ("quantize.nonsense=1", "nonsense"),
        ("name.bits=4", "`name` is no table"),
        ("quantize.bits", "KEY=VALUE"),
        ("quantize.bits=4,,8", "KEY=VALUE"),
    ],
)
def test_a_key_or_value_that_does_not_fit_is_named(over: str, message: str) -> None:
    with pytest.raises(PhaseError, match=message):
        sweep.grid(SMOKE, [over])


def test_a_table_that_the_phase_lacks_can_be_set() -> None:
    (point,) = sweep.grid(load_phase("embedded"), ["fuse=true", "quantize.bits=mixed_3_6"])
    assert point.phase.quantize is not None
    assert (point.phase.fuse, point.phase.quantize.bits) == (True, "mixed_3_6")


def test_the_base_without_an_adapter_is_a_point_of_a_grid(tmp_path: Path) -> None:
    over = ["adapter=none", "evaluation.cases=1", "evaluation.grammar=true,false", "gguf=false"]
    told: list[str] = []
    made = sweep.run(SMOKE, over, tmp_path, say=silent, done=told.append)
    assert made.count("| none |") == 2
    assert not [line for line in told if line.startswith(("harvest", "generate", "validate"))]
    assert sum(line.startswith("quantize: done") for line in told) == 1
    assert sum(line.startswith("evaluate: done") for line in told) == 2


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], str]:
    """Two roundings of one training and one of another: folder, what was told, table."""
    folder = tmp_path_factory.mktemp("sweep")
    told: list[str] = []
    made = sweep.run(QUICK, OVER, folder, say=silent, done=told.append)
    return folder, told, made


def test_what_has_the_same_inputs_is_done_once(swept: tuple[Path, list[str], str]) -> None:
    _, told, _ = swept
    done = [line.partition(":")[0] for line in told if ": done" in line]
    assert {name: done.count(name) for name in dict.fromkeys(done)} == {
        "harvest": 1,
        "generate": 1,
        "validate": 1,
        "train": 2,
        "fuse": 2,
        "quantize": 4,
        "evaluate": 4,
    }


def test_the_table_has_a_row_for_each_run_and_the_spread_over_seeds(
    swept: tuple[Path, list[str], str],
) -> None:
    folder, _, made = swept
    assert (folder / sweep.TABLE).read_text() == made
    rows = [line.split(" | ") for line in made.splitlines() if line.startswith("| ")]
    assert rows[0][:4] == ["| schedule.seed", "quantize.bits", "evaluation.cases", "n"]
    assert [(row[0], row[1]) for row in rows[2:6]] == [
        ("| 1", "8"), ("| 1", "4"), ("| 2", "8"), ("| 2", "4"),
    ]  # fmt: skip
    assert float(rows[2][-1].rstrip(" |")) < float(rows[3][-1].rstrip(" |"))  # KL: 8 bits, 4 bits
    assert [row[:3] for row in rows[8:]] == [["| 8", "2", "2"], ["| 4", "2", "2"]]


def test_a_second_sweep_does_nothing(swept: tuple[Path, list[str], str]) -> None:
    folder, _, made = swept
    told: list[str] = []
    assert sweep.run(QUICK, OVER, folder, say=silent, done=told.append) == made
    assert {line.partition(": ")[2] for line in told if ": " in line} == {"unchanged"}
