"""The suite `misbehaving-replies`: what becomes of malformed replies when this model gives them.

The corpus is that of `punie.agent.testing.misbehaving`. Nothing is generated: the model's own tokenizer,
template and tags decide how a reply is read, and a trained folder can spoil them. What training does to
the weights is the matter of `misbehaving`, whose cases have such replies in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from punie.agent.errors import ModelUnavailableError
from punie.agent.testing import misbehaving
from punie.train.errors import CaseError
from punie.train.evals.executed import Verdict
from punie.train.evals.run import Subject, Told

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


async def replies(subject: Subject, told: Told) -> list[Verdict]:
    """Let a model in this process say each line of the corpus that is text.

    Args:
        subject: The model.
        told: Called after each line.

    Raises:
        CaseError: The model is on a server: what it says cannot be put into its mouth.
    """
    from punie.agent.models.embedded.model import EmbeddedModel

    if not isinstance(subject.model, EmbeddedModel):
        raise CaseError(f"misbehaving-replies needs a model in this process, not {subject.spec}")
    engine: Any = misbehaving.SpeakingEngine(subject.model.engine)
    model = EmbeddedModel(engine, subject.model.spec)
    corpus = misbehaving.lines("as_text", "cut", "no_call")
    lines = [line for line in corpus if "content" in line]
    verdicts: list[Verdict] = []
    for number, line in enumerate(lines, 1):
        engine.line = line
        passed = misbehaving.runnable(await _reply(model)) == misbehaving.intended(line)
        verdicts.append(Verdict(id=f"{number:03} {misbehaving.label(line)}", passed=passed))
        told(number, len(lines))
    return verdicts


async def _reply(model: Any) -> ModelResponse:
    from pydantic_ai import ModelRequest
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import ModelRequestParameters

    from punie.agent.tools.catalog import CATALOG
    from punie.agent.turns.build import definition

    tools = [definition(tool) for tool in CATALOG.values()]
    try:
        return await model.request(
            [ModelRequest.user_text_prompt("go")],
            None,
            ModelRequestParameters(function_tools=tools),
        )
    except ModelUnavailableError:
        raise
    except Exception:  # noqa: BLE001 - a reply that cannot be read is a failed case, not the end
        return ModelResponse([])
