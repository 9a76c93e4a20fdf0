"""How people write: capitals, punctuation, politeness, typos, sentences before and after.

Works on text whose slots are still open, so that no path is ever misspelled.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from punie.train.data.generators import slots, wordings

_SLOT = re.compile(r"(\{\w+\})")
_SPACE = re.compile(r"\s+")


def dress(text: str, rng: random.Random, *, context: float = 0.26) -> str:
    """Give a frame a register.

    Args:
        text: A frame with open slots.
        rng: Decides.
        context: How often a sentence stands before or after.

    Returns:
        Text with the same slots, and `{other}` filled where a context names another path.
    """
    around = wordings.load("contexts")
    if rng.random() < 0.16:
        text = f"{around.expand('lead', rng)} {text}"
    if rng.random() < 0.1 and not text.endswith("?"):
        text = text.rstrip(".") + rng.choice((", ", " ", " - ")) + around.expand("tail", rng)
    if rng.random() < 0.07:
        text = re.sub(r"\b(the|a|an) ", "", text)
    text = _punctuated(text, rng)
    if rng.random() < context:
        text = _with_context(text, rng)
    if rng.random() < 0.22:
        text = _outside_slots(text, str.lower)
    elif rng.random() < 0.62:
        text = _sentence_case(text)
    if rng.random() < 0.1:
        text = _misspelled(text, rng)
    return _SPACE.sub(" ", text).strip()


def context_sentence(rng: random.Random) -> str:
    """Write a sentence that mentions something and asks for nothing."""
    section = rng.choice(("before", "before", "after"))
    return fill_context(wordings.load("contexts").expand(section, rng), rng)


def fill_context(text: str, rng: random.Random) -> str:
    """Fill the slots of a context: another path, a name."""
    shape: slots.Shape = rng.choice(("code", "test", "file", "dir"))
    other = slots.quoted(slots.path(shape, rng), rng, often=0.2)
    return text.replace("{other}", other).replace("{name}", slots.name(rng))


def _with_context(text: str, rng: random.Random) -> str:
    around = wordings.load("contexts")
    before = rng.random() < 0.7
    extra = fill_context(around.expand("before" if before else "after", rng), rng)
    extra = extra[:1].upper() + extra[1:] if rng.random() < 0.6 else extra
    if rng.random() < 0.15:
        extra = extra.rstrip(".") + rng.choice((",", " -", ";", " and", " so"))
    if before:
        return f"{extra} {text}"
    if text[-1] not in ".?!":
        text += rng.choice((".", ".", ",", " -"))
    return f"{text} {extra}"


def _punctuated(text: str, rng: random.Random) -> str:
    if text[-1] in ".?!":
        return text[:-1] if rng.random() < 0.3 else text
    chance = rng.random()
    if chance < 0.35:
        return text + "."
    return text + rng.choice(("!", "...", "??")) if chance > 0.95 else text


def _outside_slots(text: str, change: Callable[[str], str]) -> str:
    parts = _SLOT.split(text)
    return "".join(part if _SLOT.fullmatch(part) else change(part) for part in parts)


def _sentence_case(text: str) -> str:
    text = re.sub(r"(?<=[.?!] )([a-z])", lambda found: found[1].upper(), text)
    return text[:1].upper() + text[1:] if not text.startswith("{") else text


def _misspelled(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    plain = [i for i, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    for i in rng.sample(plain, min(len(plain), rng.choice((1, 1, 2)))):
        words[i] = _typo(words[i], rng)
    return " ".join(words)


def _typo(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    return word[:at] + word[at] + word[at:]
