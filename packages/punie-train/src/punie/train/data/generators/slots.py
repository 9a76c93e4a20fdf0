"""What stands in the slots of wordings: paths and names as they occur in real projects.

Made from the trees of installed packages and from parts combined at random, because a path that a
model has never seen must be copied as well. Nothing here says what is asked about them.
"""

from __future__ import annotations

import random
from typing import Literal, TypeAlias

from punie.train.data.generators import wordings

Shape: TypeAlias = Literal["file", "code", "test", "dir", "testdir", "name", "phrase"]

_VOCABULARY = wordings.load("vocabulary").sections


def _words(section: str) -> tuple[str, ...]:
    return tuple(word for line in _VOCABULARY[section] for word in line.split())


TOP, PARTS, WORDS, VERBS = (_words(name) for name in ("top", "parts", "words", "verbs"))
OTHER_FILES = _words("files")
_MESSAGES = _VOCABULARY["messages"]
_TESTS = ("tests", "test", "spec", "testing", "qa")
_TEST_GROUPS = (
    "unit",
    "integration",
    "e2e",
    "functional",
    "regression",
    "smoke",
    "api",
    "cli",
    "slow",
    "contract",
)
_ENDINGS = (
    "md",
    "rst",
    "txt",
    "toml",
    "yaml",
    "yml",
    "json",
    "ini",
    "cfg",
    "csv",
    "sql",
    "html",
    "css",
    "js",
    "ts",
    "sh",
    "xml",
    "log",
    "pyi",
)


def path(shape: Shape, rng: random.Random, real: tuple[str, ...] = ()) -> str:
    """Make a path.

    Args:
        shape: `file` any file, `code` Python, `test` a test file, `dir` and `testdir` folders.
        rng: Decides.
        real: Paths of real projects to take from, a third of the time.

    Returns:
        A relative path without a trailing slash.
    """
    if real and rng.random() < 0.33 and (fitting := [p for p in real if _fits(p, shape)]):
        return rng.choice(fitting)
    return _MAKERS[shape](rng)


def name(rng: random.Random) -> str:
    """Make a name as it occurs in code: function, class, constant, attribute, setting."""
    w, w2, v = rng.choice(WORDS), rng.choice(WORDS), rng.choice(VERBS)
    forms = (
        f"{v}_{w}",
        f"{v}_{w}_{w2}",
        f"{w}_{w2}",
        f"_{v}_{w}",
        f"__{w}__",
        f"{w.title()}{w2.title()}",
        f"{w.title()}{rng.choice(['Error', 'Manager', 'Factory', 'Mixin', 'Config', 'Client'])}",
        f"{w.title()}{w2.title()}{rng.choice(['Service', 'View', 'Handler', 'Base', 'V2', ''])}",
        f"{w.upper()}_{w2.upper()}",
        f"{v.upper()}_{w.upper()}_{rng.choice(['URL', 'TIMEOUT', 'LIMIT', 'KEY', 'DIR', 'SIZE'])}",
        f"{w.title()}.{v}",
        f"{w}.{v}_{w2}",
        f"{w.title()}{w2.title()}.{w.upper()}",
        f"{w}-{w2}",
        f"@{w}.{v}",
        f"{v}{w.title()}",
        f"{w}_{rng.randrange(2, 99)}",
        f"{w}.{w2}.{v}",
        f"{w}",
        f"TODO({rng.choice(['max', 'lena', 'ops', 'sam', 'kim'])})",
    )
    return rng.choice(forms)


def phrase(rng: random.Random) -> str:
    """Make a piece of text that somebody might look for: a message, a line of code."""
    w, w2 = rng.choice(WORDS), rng.choice(WORDS)
    return rng.choice(_MESSAGES).format(v=rng.choice(VERBS), w=w, w2=w2, W=w.title(), W2=w2.title())


def quoted(text: str, rng: random.Random, *, often: float) -> str:
    """Put quotes or backticks around a text, some of the time."""
    if rng.random() >= often:
        return text
    mark = rng.choice("``'\"")
    return text if mark in text else f"{mark}{text}{mark}"


def _fits(path: str, shape: Shape) -> bool:
    last = path.rsplit("/", 1)[-1]
    tests = last.startswith("test_") or "/test" in f"/{path}"
    match shape:
        case "test":
            return path.endswith(".py") and tests
        case "code":
            return path.endswith(".py")
        case "dir":
            return "." not in last
        case "testdir":
            return "." not in last and tests
        case _:
            return "." in last


def _stem(rng: random.Random) -> str:
    w, w2 = rng.choice(WORDS), rng.choice(WORDS)
    forms = (
        w,
        w,
        f"{w}_{w2}",
        f"{w}_{w2}",
        f"{w}{w2}",
        f"{w}-{w2}",
        f"_{w}",
        f"{w}s",
        f"{w}_v{rng.randrange(2, 5)}",
    )
    more = (
        f"{w}{rng.randrange(1, 13)}",
        f"{w}_{rng.randrange(1, 2030)}",
        f"{rng.choice(VERBS)}_{w}",
    )
    return rng.choice(forms + more)


def _folder(rng: random.Random) -> str:
    depth = rng.choice((1, 1, 2, 2, 2, 3, 3, 4))
    parts = [rng.choice(TOP) if rng.random() < 0.75 else rng.choice(PARTS)]
    while len(parts) < depth:
        part = rng.choice(PARTS) if rng.random() < 0.75 else _stem(rng)
        if rng.random() < 0.05:
            part += rng.choice((".v2", "-2", "_old", ".d", "3", "_2024", "-core"))
        parts.append(part)
    return "/".join(parts)


def _code(rng: random.Random) -> str:
    special = ("__init__", "__main__", "conftest", "settings", "models", "main", "cli", "utils")
    stem = rng.choice(special) if rng.random() < 0.12 else _stem(rng)
    return f"{stem}.py" if rng.random() < 0.14 else f"{_folder(rng)}/{stem}.py"


def _file(rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.2:
        return rng.choice(OTHER_FILES)
    if chance < 0.6:
        return _code(rng)
    if chance < 0.68:
        return _test(rng)
    stem = rng.choice((_stem(rng), f"{rng.randrange(1, 60):04d}-{_stem(rng)}"))
    last = f"{stem}.{rng.choice(_ENDINGS)}"
    return last if rng.random() < 0.15 else f"{_folder(rng)}/{last}"


def _testdir(rng: random.Random) -> str:
    top = rng.choice(_TESTS) if rng.random() < 0.3 else "tests"
    forms = (
        top,
        f"{top}/{rng.choice(_TEST_GROUPS)}",
        f"{top}/{rng.choice(PARTS)}",
        f"{top}/{rng.choice(_TEST_GROUPS)}/{rng.choice(PARTS)}",
        f"{_folder(rng)}/{top}",
        f"{top}/{rng.choice(_TEST_GROUPS)}/{_stem(rng)}",
    )
    return rng.choice(forms)


def _test(rng: random.Random) -> str:
    stem = f"{_stem(rng)}_test" if rng.random() < 0.1 else f"test_{_stem(rng)}"
    found = f"{stem}.py" if rng.random() < 0.12 else f"{_testdir(rng)}/{stem}.py"
    if rng.random() < 0.06:
        found += f"::test_{rng.choice(VERBS)}_{rng.choice(WORDS)}"
    return found


_MAKERS = {
    "file": _file,
    "code": _code,
    "test": _test,
    "dir": _folder,
    "testdir": _testdir,
    "name": name,
    "phrase": phrase,
}
