"""`punie-train` as a program: what it prints, how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def punie_train(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = "from punie.train.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    rows = [
        {
            "id": "c1",
            "prompt": "run tests/test_x.py",
            "expect": {"tool": "run_tests", "arguments": {"path": "tests/test_x.py"}},
        },
        {"id": "c2", "prompt": "what is a mock?", "expect": {"tool": None}},
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_phases_are_listed() -> None:
    done = punie_train("phases")
    assert done.returncode == 0
    assert done.stdout.startswith("embedded ")


def test_cases_from_outside_are_scored_as_json(cases: Path) -> None:
    done = punie_train("eval", "--model", "null", "--cases", str(cases), "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["model"] == {"spec": "null", "fingerprint": "control-null"}
    assert report["n"] == 2
    assert report["exact"] == {"value": 0.5, "ci95": [0.0945, 0.9055]}
    assert [failure["id"] for failure in report["failures"]] == ["c1"]


def test_a_bad_line_ends_with_code_2_and_its_number(cases: Path) -> None:
    with cases.open("a", encoding="utf-8") as file:
        file.write("\nnot json\n")
    done = punie_train("eval", "--model", "oracle", "--cases", str(cases))
    assert done.returncode == 2
    assert "line 3" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "nope"), 2, "no phase 'nope'"),
        (("stage", "nope", "embedded"), 2, "no stage 'nope'"),
        (("stage", "promote", "embedded"), 2, "--to"),
        (("stage", "evaluate", "embedded"), 2, "run the stages before it"),
        (("eval", "--suite", "nope"), 2, "no suite nope"),
        (("eval", "--model", "test", "--no-grammar"), 1, "only applies"),
        (("eval", "--model", "no-such-model"), 3, "no-such-model"),
        (("bench", "smoke", "--rounds", "3"), 1, "at least 6"),
        (("bench", "smoke"), 1, "punie-train run smoke"),
        (("sweep", "smoke", "--over", "schedule.nope=1"), 2, "nope"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_a_code(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path
) -> None:
    done = punie_train(*arguments, cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (code, True)
    assert "Traceback" not in done.stderr


def test_help_loads_no_model_stack() -> None:
    program = (
        "import sys\nfrom punie.train.cli import train\n"
        "train.main(['--help'], standalone_mode=False)\n"
        "heavy = {'mlx', 'mlx_lm', 'pydantic', 'pydantic_ai', 'numpy', 'msgspec'}\n"
        "print('LOADED', sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "LOADED []" in done.stdout
