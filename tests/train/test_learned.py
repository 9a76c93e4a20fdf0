"""It learns from its user: real sessions leave traces, traces train an adapter, the same agent is measured again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from punie.agent.config import Permissions
from punie.agent.permissions.gate import Standing
from punie.agent.permissions.rules import parse_rules
from punie.agent.sessions.journal import Journal
from punie.agent.sessions.manager import Sessions
from punie.agent.testing import Answers, Call, Recorder, brain_opener
from punie.agent.testing.tiny_model import make_tiny_model
from punie.agent.workspaces.local import LocalWorkspace
from punie.train import pipeline
from punie.train.data.dataset import Mix
from punie.train.data.example import Example
from punie.train.data.generators.harvest import Plan
from punie.train.data.traces import Traces
from punie.train.errors import GateError
from punie.train.evals.paired import PairedReport
from punie.train.phases import load_phase
from punie.train.phases.spec import Evaluation, Gates, Phase, Replaces, Schedule
from punie.train.stages.base import Work
from punie.train.stages.promote import promote

NAMES = ("alpha", "beta", "gamma", "delta", "kappa", "sigma", "omega", "theta")
WORDS = ("polish {}", "please polish {} for me", "Could you polish {}?", "polish {} now")


def silent(_text: str) -> None:
    """Say nothing."""


class Picky(Answers):
    """A person who lets nobody run tests, and allows the rest."""

    def __init__(self) -> None:
        super().__init__("allow_once")

    async def __call__(self, ask: Any) -> Any:
        """Answer by the tool."""
        self._kind = "reject_once" if ask.tool == "run_tests" else "allow_once"
        return await super().__call__(ask)


async def work_with_the_agent(folder: Path, traces: Path) -> None:
    """Say "polish" in some sessions: the model runs tests, is refused, and reads the file."""
    project = folder / "project"
    (project / "src").mkdir(parents=True)
    journal = Journal(folder / "state")
    sessions = Sessions(journal)
    for number, name in enumerate(NAMES):
        path = f"src/{name}.py"
        (project / path).write_text(f'"""About {name}."""\n\n{name} = {number}\n')
        script = [
            [Call("run_tests", {"path": path}, "a")],
            [Call("read_file", {"path": path}, "b")],
            [f"{path}, 3 lines. It says: About {name}."],
        ]
        session = sessions.open(
            f"s{number}",
            workspace=LocalWorkspace(project),
            mode="ask",
            open_brain=brain_opener(script),
            standing=Standing(rules=parse_rules(Permissions(ask=("run_tests",)))),
            traces=traces,
        )
        session.attach(Recorder(), asker=Picky())
        await session.prompt(WORDS[number % len(WORDS)].format(path))
    await sessions.aclose()
    await journal.aclose()


def learned(traces: Path, **changes: Any) -> Phase:
    """Take the shipped phase, with less of everything."""
    phase = load_phase("learned")
    tools = phase.data.mix.calls
    data = msgspec.structs.replace(
        phase.data,
        mix=Mix(calls=dict.fromkeys(tools, 3), reports={"lint": 2}, direct=12, follow_ups=0.0),
        harvest=Plan(built=1, packages=(), each=1),
        traces=Traces(folder=str(traces), weight=3.0),
    )
    gates = Gates(tool_or_answer=0.0, exact=0.0)
    return msgspec.structs.replace(phase, data=data, gates=gates, **changes)


def examples(folder: Path) -> list[Example]:
    lines = (folder / "examples.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Example) for line in lines]


def test_the_shipped_phase_goes_on_from_the_shipped_adapter_and_compares_with_it() -> None:
    phase = load_phase("learned")
    assert (phase.base, phase.start, phase.fuse) == ("embedded", "shipped", True)
    assert phase.data.traces is not None
    assert phase.replaces is not None
    assert phase.replaces.model == "embedded"
    assert {"misbehaving", "misbehaving-replies"} <= set(phase.replaces.suites)


async def test_on_random_weights_every_stage_runs_from_the_session_to_the_promoted_folder(
    tmp_path: Path,
) -> None:
    await work_with_the_agent(tmp_path, tmp_path / "traces")
    before = make_tiny_model(tmp_path / "before")
    (before / "punie.toml").write_text('spec = "mlx:x"\nname = "before"\nmax_tokens = 8\n')
    phase = learned(
        tmp_path / "traces",
        base="random",
        start="",
        max_tokens=4096,
        schedule=Schedule(steps=2, warmup=1, checkpoint=2, batch_tokens=4000, batch_size=4),
        evaluation=Evaluation(suite="embedded-dev", cases=2),
        replaces=Replaces(model=f"mlx:{before}", suites=("misbehaving-replies",)),
    )
    folder = tmp_path / "run"
    done: list[str] = []
    await _in_thread(lambda: pipeline.run(phase, folder, say=silent, done=done.append))
    assert [line.split(":")[0] for line in done][-3:] == ["fuse", "evaluate", "compare"]
    of_traces = [one for one in examples(folder) if one.traced]
    assert len(of_traces) == 2 * len(NAMES)
    assert not [m for one in of_traces for m in one.messages if m.call == "run_tests"]
    card = (folder / "data.md").read_text()
    assert "8 turns were read" in card
    assert "| call after a refusal | 16 |" in card
    report = msgspec.json.decode((folder / "paired.json").read_bytes(), type=PairedReport)
    assert report.worse == []
    assert report.before.fingerprint != report.after.fingerprint
    promote(Work(phase, folder, silent), tmp_path / "promoted")
    assert (tmp_path / "promoted/punie.toml").is_file()
    again: list[str] = []
    await _in_thread(lambda: pipeline.run(phase, folder, say=silent, done=again.append))
    assert {line.split(": ")[1] for line in again} == {"unchanged"}


async def test_a_training_that_spoils_the_model_is_refused(tmp_path: Path) -> None:
    """The model before reads the corpus as the shipped one does; the one after has no template."""
    await work_with_the_agent(tmp_path, tmp_path / "traces")
    before = make_tiny_model(tmp_path / "before")
    phase = learned(
        tmp_path / "traces",
        base="random",
        start="",
        replaces=Replaces(model=f"mlx:{before}", suites=("misbehaving-replies",)),
    )
    folder = tmp_path / "run"
    after = make_tiny_model(folder / "fused", template="{{ raise_exception('lost') }}")
    assert after.is_dir()
    work = Work(phase, folder, silent)
    from punie.train.stages import paired

    await _in_thread(lambda: paired.compare(work))
    with pytest.raises(GateError, match=r"worse than mlx:.* on misbehaving-replies"):
        paired.check(work)


async def _in_thread(act: Any) -> None:
    """Run what has an event loop of its own."""
    import asyncio

    await asyncio.to_thread(act)


def test_traces_are_part_of_what_makes_the_data_stale(tmp_path: Path) -> None:
    phase = learned(tmp_path / "traces")
    (tmp_path / "traces").mkdir()
    (tmp_path / "recorded.jsonl").write_text("")
    stage = pipeline.stage_named("generate")
    before = stage.inputs(Work(phase, tmp_path, silent))
    (tmp_path / "traces/s.jsonl").write_text(json.dumps({"type": "Example"}))
    after = stage.inputs(Work(phase, tmp_path, silent))
    assert [key for key in after if after[key] != before[key]] == ["traces"]
