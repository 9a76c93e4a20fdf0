"""Decode steps of tool calls under the grammar, with and without jumping over forced tokens.

    uv run python benchmarks/decode.py [-n 10] [--json]

The real embedded model with its shipped adapter must answer each prompt below with a call. A step is one forward pass for the answer. Plain constrained
decoding takes one for each token; with jump-forward, tokens that the grammar leaves no choice about
share the pass of the token before them. Both are run and counted, and must say the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, NamedTuple

from punie.agent.models import registry
from punie.agent.models.embedded import decoding
from punie.agent.models.embedded.engine import Engine, Finished
from punie.agent.models.embedded.grammar import Copied, reply_grammar
from punie.agent.models.embedded.spec import embedded_spec
from punie.agent.prompts.chat_template import render
from punie.agent.tools.catalog import select

PROMPTS = (
    "Run the tests in tests/acp",
    "please lint src/app.py",
    "search for def main",
    "Read README.md",
    "What has changed in the repository?",
    "Check the types of src/punie/agent",
    "run tests/test_prices.py::test_total",
    "find 'timeout = 5' in the code",
    "show me docs/models.md",
    "lint the project",
)


class Counted(NamedTuple):
    """One prompt: forward passes with and without jump-forward, and what was said."""

    prompt: str
    text: str
    jumped: int
    plain: int


def main() -> None:
    """Count, and print the table or JSON."""
    parser = argparse.ArgumentParser(description="Decode steps of tool calls.")
    parser.add_argument("-n", type=int, default=len(PROMPTS), help="prompts (default: all)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counted = count(PROMPTS[: options.n])
    jumped, plain = sum(c.jumped for c in counted), sum(c.plain for c in counted)
    if options.json:
        rows = [c._asdict() for c in counted]
        json.dump(
            {"share": jumped / plain, "steps": jumped, "plain": plain, "rows": rows}, sys.stdout
        )
        return
    for row in counted:
        print(f"{row.jumped:4} of {row.plain:4}  {row.prompt}")
    print(
        f"{jumped:4} of {plain:4}  {100 * jumped / plain:.0f} % of the steps, n = {len(counted)} calls"
    )


def count(prompts: tuple[str, ...]) -> list[Counted]:
    """Let the model make one call for each prompt, in both ways."""
    engine = registry.open_engine()
    try:
        jumped = [_call(engine, prompt) for prompt in prompts]
        guide: Any = vars(decoding)["_Guide"]
        forced, guide.forced = guide.forced, _nothing
        try:
            plain = [_call(engine, prompt) for prompt in prompts]
        finally:
            guide.forced = forced
    finally:
        engine.close()
    for quick, slow in zip(jumped, plain, strict=True):
        if quick.text != slow.text:
            raise SystemExit(f"jump-forward changed what was said: {quick.text!r}, {slow.text!r}")
    return [
        Counted(prompt, quick.text, quick.steps, slow.steps)
        for prompt, quick, slow in zip(prompts, jumped, plain, strict=True)
    ]


def _nothing(_guide: object) -> list[int]:
    """Force no token."""
    return []


def _call(engine: Engine, prompt: str) -> Finished:
    spec = embedded_spec()
    chosen = select(spec.tools)
    tools = [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": t.schema},
        }
        for t in chosen
    ]
    messages = [
        {"role": "system", "content": spec.instructions},
        {"role": "user", "content": prompt},
    ]
    copied = {t.name: Copied(paths=t.path_arguments, quotes=t.copied_arguments) for t in chosen}
    grammar = reply_grammar(messages, tools, copied=copied, allow_text=False)
    tokens = render(engine.load_now().tokenizer, messages, tools)
    return engine.generate(tokens, grammar=grammar, max_tokens=spec.max_tokens)


if __name__ == "__main__":
    main()
