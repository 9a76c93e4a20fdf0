"""From the traces of a person's own sessions to examples: what was approved is learnt, what was refused is not.

A trace is what `punie.agent.sessions.traces` writes. A turn that ended by itself becomes an example;
one that was interrupted or failed does not. In it

- a call that ran without an error is learnt, if a person allowed it or nobody had to be asked;
- a refused call is never learnt: where another call followed, that one is learnt in its place; where an
  answer followed that does not speak of the refusal, the answer is; else the answer is learnt with the
  refused call in front of it, only read;
- a failed call is only read, so that what followed it is learnt as the way out of it;
- an edit that the person changed afterwards ends the example with the call that would have made what
  the person made; one that was undone takes the turn out.

Earlier turns of the session stand in front, only read. Nothing here renders or trains.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct, structs

from punie.agent.sessions.redact import REDACTED, Redactor
from punie.agent.tools.base import Tool
from punie.train.data.checks import normalised
from punie.train.data.example import TRACE, Also, Example, Message, example
from punie.train.errors import DataError


class Traces(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which traces a phase learns from, and what counts in them."""

    folder: str = ""
    """Where they are; the folder that the agent writes them to by default."""
    unasked: bool = True
    """Whether a call counts about which no person was asked, because the mode or a rule allowed it."""
    earlier: int = 2
    """Most turns of the session in front of one."""
    weight: float = 1.0
    """How many times as much a turn of a trace counts as one of the mix."""


class Call(Struct, frozen=True, kw_only=True):
    """What became of a call."""

    tool: str
    status: Literal["completed", "failed", "denied", "cancelled"]
    message: int | None = None
    """The message of the turn that made it; absent for a call that code made."""
    decided_by: Literal["person", "nobody", "rules"] = "rules"


class Turn(Struct, frozen=True, kw_only=True, tag="Example"):
    """One line of a trace: a turn."""

    id: str
    messages: tuple[Message, ...]
    provenance: str
    stop_reason: str
    calls: tuple[Call, ...] = ()


class Correction(Struct, frozen=True, kw_only=True, tag="Correction"):
    """One line of a trace: what the person made of an edit of the turn before."""

    of: str
    verdict: Literal["corrected", "undone"]
    message: int | None = None
    arguments: dict[str, Any] | None = None


class Found(NamedTuple):
    """What the traces give."""

    examples: list[Example]
    turns: int
    """Turns that were read."""
    taught: dict[str, int]
    """Examples by what they teach."""
    left_out: dict[str, int]
    """Turns that taught nothing, by why."""


class LeftOutError(Exception):
    """A turn teaches nothing; the message is the reason."""


Line = Turn | Correction
UNDONE = "undone by the person"
_SPEAKS_OF_REFUSAL = re.compile(
    r"permission|den(?:y|ied)|reject|refus|not allow|declin|without your (?:ok|consent)",
    re.IGNORECASE,
)


def read(spec: Traces, folder: Path, *, tools: Sequence[Tool[Any, Any]]) -> Found:
    """Read all traces of a folder, oldest session first.

    Args:
        spec: What counts.
        folder: Where the traces are.
        tools: What the model is offered that will be trained.

    Returns:
        Examples, each with a content of its own; of two turns with the same prompt and history the later
        one counts, since that is what the person wants by now.

    Raises:
        DataError: There is no trace, or a line is none; the message names the line.
    """
    files = sorted(folder.glob("*.jsonl"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    if not files:
        raise DataError(
            f"{folder} holds no traces: write `traces = true` into your config.toml and work with "
            "Punie for a while"
        )
    left_out: Counter[str] = Counter()
    kept: dict[tuple[str, ...], list[tuple[str, Example]]] = {}
    turns = 0
    for file in files:
        before: list[Message] = []
        for turn, corrections in _turns(_lines(file)):
            turns += 1
            earlier = _recent(before, spec.earlier)
            said = (m.content for m in (*earlier, *turn.messages[:1]) if m.role == "user")
            key = tuple(normalised(text) for text in said)
            try:
                kept[key] = list(_examples(turn, corrections, earlier, spec, tools))
            except LeftOutError as reason:
                left_out[str(reason)] += 1
                if str(reason) == UNDONE:
                    kept.pop(key, None)
            before += [structs.replace(message, trained=False) for message in turn.messages]
    unique = {one.id: (what, one) for examples in kept.values() for what, one in examples}
    taught = Counter(what for what, _ in unique.values())
    examples = [one for _, one in unique.values()]
    return Found(examples, turns, dict(sorted(taught.items())), dict(sorted(left_out.items())))


def _lines(file: Path) -> Iterator[Line]:
    """Read a trace; a last line that a killed process left unfinished is skipped.

    Secrets are taken out again: a trace may be older than what is known of their forms.
    """
    redactor = Redactor()
    for number, line in enumerate(file.read_bytes().split(b"\n")[:-1], 1):
        try:
            clean = redactor.value(msgspec.json.decode(line))
            yield msgspec.convert(clean, Turn | Correction)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise DataError(
                f"{file}, line {number}: {error}; delete the line to go on without it"
            ) from error


def _turns(lines: Iterable[Line]) -> Iterator[tuple[Turn, list[Correction]]]:
    """Give each turn with what the person made of it, which stands behind it."""
    turn: Turn | None = None
    corrections: list[Correction] = []
    for line in lines:
        if isinstance(line, Turn):
            if turn is not None:
                yield turn, corrections
            turn, corrections = line, []
        elif turn is not None and line.of == turn.id:
            corrections.append(line)
    if turn is not None:
        yield turn, corrections


def _recent(messages: Sequence[Message], turns: int) -> tuple[Message, ...]:
    """Take the messages of the last turns."""
    asked = [index for index, message in enumerate(messages) if message.role == "user"]
    begin = asked[-turns:][:1] if turns > 0 else []
    return tuple(messages[begin[0] :]) if begin else ()


def _examples(
    turn: Turn,
    corrections: Sequence[Correction],
    earlier: tuple[Message, ...],
    spec: Traces,
    tools: Sequence[Tool[Any, Any]],
) -> Iterator[tuple[str, Example]]:
    """Give what one turn teaches: the decision at its prompt and, with a result, how it went on."""
    what, messages = _judged(turn, corrections, spec)
    _check(messages, tools)
    provenance = turn.provenance if turn.provenance.startswith(TRACE) else f"{TRACE}unknown"
    whole = (*earlier, *messages)
    first = len(earlier) + 2
    if first < len(whole) and whole[first - 1].call and whole[first - 1].trained:
        yield what, example(whole[:first], provenance=provenance)
    yield what, example(whole, provenance=provenance)


def _judged(
    turn: Turn, corrections: Sequence[Correction], spec: Traces
) -> tuple[str, list[Message]]:
    """Mark what of a turn is learnt.

    Raises:
        LeftOutError: Nothing is.
    """
    if turn.stop_reason != "end_turn":
        raise LeftOutError("interrupted or failed")
    if any(one.verdict == "undone" for one in corrections):
        raise LeftOutError(UNDONE)
    verdicts = _verdicts(turn, spec)
    messages = [
        structs.replace(message, trained=verdicts.get(index, "unknown") == "good")
        if message.call
        else message
        for index, message in enumerate(turn.messages)
    ]
    if corrections:
        return "corrected edit", _corrected(messages, corrections)
    refused = [index for index, verdict in verdicts.items() if verdict == "refused"]
    if refused:
        return _without_refused(messages, refused)
    calls = [message for message in messages if message.call]
    if calls and not any(message.trained for message in calls):
        raise LeftOutError("no call of it counts")
    what = "direct answer" if not calls else "approved call"
    return ("recovery" if any(not m.trained for m in calls) else what), messages


def _verdicts(turn: Turn, spec: Traces) -> dict[int, str]:
    """Tell of each message that calls whether all its calls are `good`, one was `refused`, or neither.

    Raises:
        LeftOutError: A call was refused that no message of the turn made.
    """
    worst = ("good", "unasked", "bad", "refused")
    found: dict[int, str] = {}
    for call in turn.calls:
        if call.message is None and call.status == "denied":
            raise LeftOutError("a call that code made was refused")  # which code is not told
        if call.message is None:
            continue
        if call.status == "denied":
            verdict = "refused"
        elif call.status != "completed":
            verdict = "bad"
        else:
            asked = call.decided_by == "person"
            verdict = "good" if asked or spec.unasked else "unasked"
        before = found.get(call.message, "good")
        found[call.message] = max(verdict, before, key=worst.index)
    return found


def _corrected(messages: list[Message], corrections: Sequence[Correction]) -> list[Message]:
    first = min(corrections, key=lambda one: -1 if one.message is None else one.message)
    if first.message is None or first.arguments is None or messages[first.message].also:
        raise LeftOutError("corrected in a way that no call makes")
    call = structs.replace(messages[first.message], arguments=first.arguments, trained=True)
    # What the tool said and what was answered belong to the call as it was.
    return [*messages[: first.message], call]


def _without_refused(messages: list[Message], refused: Sequence[int]) -> tuple[str, list[Message]]:
    later = [index for index, m in enumerate(messages) if m.call and m.trained]
    if any(index > max(refused) for index in later):
        return "call after a refusal", _dropped(messages, refused)
    if _SPEAKS_OF_REFUSAL.search(messages[-1].content):
        return "answer to a refusal", messages
    return "answer instead of a refused call", _dropped(messages, refused)


def _dropped(messages: Sequence[Message], calls: Sequence[int]) -> list[Message]:
    """Take calls out, with their results."""
    out: set[int] = set()
    for index in calls:
        out.add(index)
        end = index + 1
        while end < len(messages) and messages[end].role == "tool":
            out.add(end)
            end += 1
    return [message for index, message in enumerate(messages) if index not in out]


def _check(messages: Sequence[Message], tools: Sequence[Tool[Any, Any]]) -> None:
    """Hold a turn to what this model can learn.

    Raises:
        LeftOutError: It cannot learn this one.
    """
    offered = {tool.name: tool for tool in tools}
    if not messages or messages[0].role != "user" or messages[-1].role != "assistant":
        raise LeftOutError("no whole exchange")
    if not messages[-1].call and not messages[-1].content.strip():
        raise LeftOutError("an empty answer")
    for message in messages:
        if message.role != "assistant" or not message.trained:
            continue
        if REDACTED in message.content:
            raise LeftOutError("a secret stood in what would be learnt")
        calls = [Also(call=message.call, arguments=message.arguments), *message.also]
        for call in calls if message.call else ():
            _check_call(call, offered)


def _check_call(call: Also, offered: dict[str, Tool[Any, Any]]) -> None:
    tool = offered.get(call.call)
    if tool is None:
        raise LeftOutError("calls a tool that this model is not offered")
    schema = tool.schema
    names, needed = set(schema["properties"]), set(schema.get("required", ()))
    if not needed <= set(call.arguments) <= names:
        raise LeftOutError("calls a tool with other arguments than this model is offered")
    try:
        tool.parse(call.arguments)
    except msgspec.ValidationError as error:
        raise LeftOutError("calls a tool with arguments that do not fit") from error
    if any(REDACTED in value for value in call.arguments.values() if isinstance(value, str)):
        raise LeftOutError("a secret stood in what would be learnt")
