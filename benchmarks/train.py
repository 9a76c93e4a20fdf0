"""Training speed beside `mlx_lm.lora`: same model, examples, batch size, steps and BLAS, in one run.

    uv run python benchmarks/train.py [--steps 12] [--batch 4] [--without-blas] [--json]

Both train LoRA rank 8 on all projections of all layers of the embedded model, in float32, on
examples of `punie.train.data` that end with one tool call or answer, so that `--mask-prompt` of
mlx-lm trains the same tokens as ours. Each runs in a process of its own. Reported: examples per second
over the steps after the first two, the loss on held-out examples after the last step (by the plain
computation, for both), and the most memory of the process.

`--without-blas` also runs mlx-lm as its wheel comes, on a few steps: minutes each.
"""

# mlx_lm ships no types that strict mode accepts.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateImportUsage=false

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec

from punie.agent.models.embedded.blas import preload_fast_blas
from punie.train.data import dataset
from punie.train.data.example import Example, to_chat
from punie.train.data.render import Renderer, Weights
from punie.train.phases.spec import LoraSpec, Schedule
from punie.train.stages import bases

FASTER = 2.0
FASTER_THAN_WHEEL = 8.0
SAME_LOSS = 0.05
"""Difference of held-out losses, relative, up to which they count as equal."""
HELD_OUT = 24
"""Examples."""
WARM_UP = 2
"""Steps that are not timed."""
LR = 1e-4
FLAT = Weights(call=1.0, answer=1.0, report=1.0, first=1.0)
"""Every trained token counts alike, as in mlx-lm."""
CALLS = ("read_file", "search", "run_tests", "lint", "typecheck", "git_status")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one trainer did."""

    examples_per_second: float
    loss: float
    """On the held-out examples, mean over trained tokens."""
    memory: int
    """Bytes at the peak."""


class Work(NamedTuple):
    """The folder that both trainers read, and how they train."""

    folder: Path
    steps: int
    batch: int

    @property
    def schedule(self) -> Schedule:
        """Ours; a constant rate is not offered, so the warm-up is as short as can be."""
        return Schedule(
            lr=LR, warmup=1, steps=self.steps, batch_size=self.batch, batch_tokens=10**6,
            checkpoint=10**6, clip=1e9,
        )  # fmt: skip


def make_examples(count: int) -> list[Example]:
    """Make examples without tool results, deterministically."""
    each = -(-count * 2 // 3 // len(CALLS))
    mix = dataset.Mix(calls=dict.fromkeys(CALLS, each), reports={}, direct=each * 3, follow_ups=0)
    made = dataset.generate(mix, seed=11, recorded=[], suites=[]).examples
    random.Random(11).shuffle(made)
    return made[:count]


def prepare(work: Work) -> None:
    """Write model and data as mlx-lm reads them; ours reads the same files."""
    preload_fast_blas()
    from mlx_lm.utils import load_model, save_config, save_model  # noqa: TID251

    phase = _phase()
    base = bases.base_folder(phase, work.folder)
    target = work.folder / "model"
    model, config = load_model(base)
    import mlx.core as mx  # noqa: TID251

    model.set_dtype(mx.float32)
    save_model(target, model)
    save_config(config, config_path=target / "config.json")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((base / name).read_bytes())
    examples = make_examples(work.steps * work.batch + HELD_OUT)
    _write(work.folder / "valid.jsonl", examples[:HELD_OUT])
    _write(work.folder / "train.jsonl", examples[HELD_OUT:])


def _phase() -> Any:
    from punie.train.phases import load_phase

    return load_phase("embedded")


def _write(path: Path, examples: Sequence[Example]) -> None:
    how = bases.serving(_phase())
    tools = bases.tool_specs(how.tools)
    system = {"role": "system", "content": how.instructions}
    lines = [
        {"messages": [system, *(to_chat(m) for m in one.messages)], "tools": tools,
         "example": msgspec.to_builtins(one)}
        for one in examples
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _tokens(work: Work, name: str) -> list[Any]:
    from punie.train.backends.tokenizer import load_tokenizer

    how = bases.serving(_phase())
    renderer = Renderer(
        load_tokenizer(work.folder / "model"),
        instructions=how.instructions,
        tools=bases.tool_specs(how.tools),
        weights=FLAT,
    )
    lines = (work.folder / name).read_text(encoding="utf-8").splitlines()
    examples = [msgspec.convert(json.loads(line)["example"], Example) for line in lines]
    return [renderer.tokens(example) for example in examples]


def ours(work: Work) -> None:
    """Train with punie-train and print the speed (in a process of its own)."""
    preload_fast_blas()
    from punie.train.backends import mlx
    from punie.train.backends.checkpoints import Checkpoints

    mlx.keep_memory()
    rows = _tokens(work, "train.jsonl")
    model = mlx.load(work.folder / "model")
    spec = LoraSpec()
    mlx.add_lora(model, spec, seed=0)
    times: list[tuple[float, int]] = []
    mlx.train(
        model, rows, schedule=work.schedule,
        checkpoints=Checkpoints(work.folder / "states", key="benchmark"),
        score=lambda _model: 0.0,
        report=lambda at: times.append((time.monotonic(), at.examples)),
    )  # fmt: skip
    mlx.save_adapter(model, work.folder / "ours", spec)
    (start, before), (end, after) = times[WARM_UP - 1], times[-1]
    print(json.dumps({"examples_per_second": (after - before) / (end - start)}))


def held_out_loss(work: Work, adapter: str) -> None:
    """Print the loss of an adapter by the plain computation (in a process of its own)."""
    preload_fast_blas()
    from mlx_lm.utils import load_adapters  # noqa: TID251

    from punie.train.backends import loss, mlx

    model = mlx.load(work.folder / "model")
    load_adapters(model, str(work.folder / adapter))
    model.eval()
    rows = _tokens(work, "valid.jsonl")
    parts = [rows[i : i + 4] for i in range(0, len(rows), 4)]
    trained = [sum(sum(row.weights) for row in part) for part in parts]
    losses = [float(loss.plain_loss(model, part).item()) for part in parts]
    total = sum(loss * count for loss, count in zip(losses, trained, strict=True))
    print(json.dumps({"loss": total / sum(trained)}))


def stock(work: Work) -> None:
    """Train with mlx-lm and print the speed (in a process of its own)."""
    from mlx_lm import lora  # noqa: TID251
    from mlx_lm.tuner.callbacks import TrainingCallback  # noqa: TID251

    # Not punie's, which loads a fast BLAS.
    from mlx_lm.utils import load_tokenizer  # noqa: TID251

    from punie.train.backends import mlx

    rates: list[float] = []

    class Rates(TrainingCallback):
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            rates.append(train_info["iterations_per_second"])

    spec, schedule = LoraSpec(), work.schedule
    args = SimpleNamespace(**{
        **lora.CONFIG_DEFAULTS,
        "train": True, "model": str(work.folder / "model"), "data": str(work.folder),
        "mask_prompt": True, "num_layers": -1, "batch_size": work.batch, "iters": work.steps,
        "lr_schedule": {"name": "cosine_decay", "warmup": 1, "warmup_init": LR / 100,
                        "arguments": [LR, schedule.steps - 1, LR / 20]},
        "lora_parameters": {"rank": spec.rank, "scale": spec.scale, "dropout": 0.0,
                            "keys": list(spec.keys)},
        "steps_per_report": 1, "val_batches": 0, "steps_per_eval": 10**6, "save_every": 10**6,
        "adapter_path": str(work.folder / "stock"),
    })  # fmt: skip
    tokenizer: Any = load_tokenizer(work.folder / "model")
    model = mlx.load(work.folder / "model")
    train_set, valid_set, _ = lora.load_dataset(args, tokenizer)
    lora.train_model(args, model, train_set, valid_set, Rates())
    timed = rates[WARM_UP:]
    print(json.dumps({"examples_per_second": work.batch * len(timed) / sum(1 / r for r in timed)}))


def run(work: Work, name: str, *, blas: bool = True) -> Run:
    """Run one trainer and score what it made."""
    library = preload_fast_blas() if blas else None
    environ = {**os.environ, **({"LD_PRELOAD": str(library)} if library else {})}
    printed, memory = _child(_command(work, name), environ)
    speed = json.loads(printed.splitlines()[-1])["examples_per_second"]
    scored, _ = _child(_command(work, f"loss:{name}"))
    loss = json.loads(scored.splitlines()[-1])["loss"]
    return Run(examples_per_second=speed, loss=loss, memory=memory)


def _command(work: Work, only: str) -> list[str]:
    sizes = ["--steps", str(work.steps), "--batch", str(work.batch)]
    return [sys.executable, __file__, *sizes, "--folder", str(work.folder), "--only", only]


def _child(command: Sequence[str], environ: dict[str, str] | None = None) -> tuple[str, int]:
    """Run a process to its end; its output and the most memory that it held, bytes."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{printed[-3000:]}")
    unit = 1024 if sys.platform == "linux" else 1
    return printed, usage.ru_maxrss * unit


def show(name: str, one: Run) -> None:
    """Print one trainer."""
    print(f"{name:<28} {one.examples_per_second:7.3f} examples/s   loss {one.loss:.4f}   "
          f"{one.memory / 1e6:6.0f} MB")  # fmt: skip


def target(name: str, value: float, limit: float, *, at_least: bool) -> bool:
    """Print a ratio beside its target."""
    met = value >= limit if at_least else value <= limit
    print(
        f"{name:<44} {value:6.2f}   {'>=' if at_least else '<='} {limit:<5} {'ok' if met else 'MISSED'}"
    )
    return met


def main() -> None:
    """Run both, print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--without-blas", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        work = Work(chosen.folder, chosen.steps, chosen.batch)
        name, _, adapter = chosen.only.partition(":")
        {"prepare": prepare, "ours": ours, "stock": stock}.get(
            name, partial(held_out_loss, adapter=adapter)
        )(work)
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        _compare(Work(Path(folder), chosen.steps, chosen.batch), chosen)


def _compare(work: Work, chosen: argparse.Namespace) -> None:
    _child(_command(work, "prepare"))
    runs = {"punie-train": run(work, "ours"), "mlx_lm.lora": run(work, "stock")}
    if chosen.without_blas:
        short = work._replace(steps=WARM_UP + 1)
        runs["mlx_lm.lora, no fast BLAS"] = run(short, "stock", blas=False)
    if chosen.json:
        print(msgspec.json.encode(runs).decode())
        return
    for name, one in runs.items():
        show(name, one)
    own, stock = runs["punie-train"], runs["mlx_lm.lora"]
    checks = [
        target("examples per second, ratio", own.examples_per_second / stock.examples_per_second, FASTER, at_least=True),
        target("held-out loss, ratio", own.loss / stock.loss, 1 + SAME_LOSS, at_least=False),
        target("memory, ratio", own.memory / stock.memory, 1.0, at_least=False),
    ]  # fmt: skip
    if chosen.without_blas:
        wheel = runs["mlx_lm.lora, no fast BLAS"]
        speed = own.examples_per_second / wheel.examples_per_second
        checks.append(
            target(
                "examples per second over the wheel, ratio", speed, FASTER_THAN_WHEEL, at_least=True
            )
        )
    raise SystemExit(0 if all(checks) else 1)


if __name__ == "__main__":
    main()
