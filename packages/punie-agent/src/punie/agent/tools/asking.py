"""Asking the person: `ask_user`, by which a model asks what no other tool can tell.

How a question reaches a person is not known here: a call brings that along. A question permits
nothing, whatever is answered.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from punie.agent.tools.base import Call
from punie.agent.tools.paths import plural
from punie.agent.tools.results import Result

MOST = 20
"""Choices of a question; nobody reads more."""
_GO_ON = "go on without the answer, and say what you assume"


class AskUser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `ask_user`."""

    question: str
    choices: str = ""
    """One per line; none leaves the answer to the person."""

    def as_text(self) -> str:
        """Write it as an agent says it."""
        return "\n".join([self.question.strip(), *(f"- {one}" for one in choices_of(self.choices))])


class AskResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """What the person said, if anything; `ok` when there is an answer."""

    question: str = ""
    outcome: Literal["answered", "declined", "cancelled", "unanswerable", "later"] = "unanswerable"
    """`later`: the person reads the question as text, and their next prompt is the answer."""
    answer: str = ""

    def headline(self) -> str:
        """Such as `the person answered: the second one`."""
        if self.error:
            return self.error
        match self.outcome:
            case "answered":
                first = self.answer.partition("\n")[0]
                return f"the person answered: {first}"
            case "later":
                return "the person was asked: their next prompt is the answer"
            case "declined":
                return f"the person does not want to answer: {_GO_ON}"
            case _:
                return f"the question was not answered: {_GO_ON}"

    def details(self) -> str:
        """The rest of a long answer."""
        return self.answer.partition("\n")[2]


async def ask_user(call: Call, args: AskUser) -> AskResult:
    """Put a question to the person and wait for as long as that takes."""
    question = args.question.strip()
    choices = choices_of(args.choices)
    if not question:
        return AskResult(ok=False, error="the question is empty")
    if len(choices) > MOST:
        return AskResult(
            ok=False, error=f"there are {plural(len(choices), 'choice')}: {MOST} at most"
        )
    if call.ask is None:
        return AskResult(ok=False, question=question, error=NOBODY)
    said = await call.ask(question, choices)
    return AskResult(
        ok=said.outcome == "answered",
        error=NOBODY if said.outcome == "unanswerable" else "",
        question=question,
        outcome=said.outcome,
        answer=said.text,
    )


NOBODY = f"nobody is there to answer: {_GO_ON}"


def choices_of(text: str) -> tuple[str, ...]:
    """Read choices, one per line; marks of a list are left out, and so is what stands twice."""
    lines = (
        line.strip().removeprefix("- ").removeprefix("* ").strip() for line in text.split("\n")
    )
    return tuple(dict.fromkeys(line for line in lines if line))
