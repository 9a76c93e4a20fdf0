"""Tasks, done in real repositories on every way to Punie; what counts is what is there afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from punie.agent.testing import Call

from .conftest import SHOP, Model, Repository, Way  # type: ignore[import-not-found]

TESTS = Call("run_tests", {})
WRONG = "    return sum(item.price for item in items) - 1\n"
RIGHT = "    return sum(item.price for item in items)\n"
COMMIT = "git commit --quiet --all --message 'Count every cent'"


def edit(path: str, old: str, new: str) -> Call:
    return Call("edit_file", {"path": path, "old": old, "new": new})


def fix(repository: Repository) -> str:
    """Do by hand what the first task is about; gives the text of the module."""
    text = SHOP["shop/prices.py"].replace(WRONG, RIGHT)
    (repository.root / "shop" / "prices.py").write_text(text)
    repository.git("commit", "--quiet", "--all", "--message", "Fix it")
    return text


def changed(**texts: str) -> dict[str, bytes]:
    """The files of the shop, some of them with another text."""
    return {name: text.encode() for name, text in {**SHOP, **texts}.items()}


async def test_a_failing_test_is_fixed_and_committed(
    way: Way, shop: Repository, model: Model
) -> None:
    model.follow([
        [TESTS],
        [Call("read_file", {"path": "shop/prices.py"})],
        [edit("shop/prices.py", WRONG, RIGHT), TESTS],
        [Call("run_command", {"command": COMMIT})],
        ["The total was one too small."],
    ])
    done = await way(shop, "the tests fail, mend it and commit")
    assert "The total was one too small." in done.text
    results = [message["content"] for message in model.read if message["role"] == "tool"]
    assert "2 failed" in results[0].splitlines()[0]
    assert "2 passed" in results[3].splitlines()[0]
    assert shop.files == changed(**{"shop/prices.py": SHOP["shop/prices.py"].replace(WRONG, RIGHT)})
    assert (shop.status, shop.git("log", "-1", "--format=%s")) == ([], "Count every cent\n")
    assert shop.tested() == (2, 0)


async def test_a_symbol_is_renamed_in_all_files_and_nothing_that_only_looks_like_it(
    way: Way, shop: Repository, model: Model
) -> None:
    fixed = fix(shop)
    model.follow([
        [Call("rename_symbol", {"symbol": "shop.prices.total", "new_name": "cents"})],
        [TESTS],
        ["It is called cents now."],
    ])
    await way(shop, "rename total to cents")
    texts = {
        "shop/prices.py": fixed.replace("def total", "def cents"),
        "shop/report.py": SHOP["shop/report.py"]
        .replace("import Item, total", "import Item, cents")
        .replace("{total(items)}", "{cents(items)}"),
        "tests/test_shop.py": SHOP["tests/test_shop.py"]
        .replace("import Item, total", "import Item, cents")
        .replace("assert total(ITEMS)", "assert cents(ITEMS)"),
    }
    assert shop.files == changed(**texts)
    assert shop.status == [f" M {name}" for name in texts]
    assert shop.tested() == (2, 0)


async def test_a_field_is_added_and_its_type_is_checked(
    way: Way, shop: Repository, model: Model
) -> None:
    model.follow([
        [edit("shop/prices.py", "    price: int\n", '    price: int\n    count: str = "1"\n')],
        [edit("shop/prices.py", WRONG, RIGHT.replace(".price", ".price * item.count"))],
        [Call("typecheck", {"path": "shop"})],
        [edit("shop/prices.py", '    count: str = "1"\n', "    count: int = 1\n")],
        [Call("typecheck", {"path": "shop"}), TESTS],
        ["An item has a count now."],
    ])
    await way(shop, "add a count to Item, and check the types")
    results = [message["content"] for message in model.read if message["role"] == "tool"]
    assert "shop/prices.py:12" in results[2]
    assert results[4].startswith("no ")
    text = (
        SHOP["shop/prices.py"]
        .replace("    price: int\n", "    price: int\n    count: int = 1\n")
        .replace(WRONG, "    return sum(item.price * item.count for item in items)\n")
    )
    assert shop.files == changed(**{"shop/prices.py": text})
    assert shop.status == [" M shop/prices.py"]
    assert shop.tested() == (2, 0)


@pytest.mark.network
@pytest.mark.parametrize("way", ["headless", "ide"], indirect=True)
async def test_a_failing_test_of_a_published_package_is_fixed(
    way: Way, published: Callable[[str], Repository], model: Model
) -> None:
    package = published("inflection")
    source = package.root / "inflection" / "__init__.py"
    whole = source.read_text()
    source.write_text(whole.replace("in (11, 12, 13):", "in (11, 12):"))
    package.git("commit", "--quiet", "--all", "--message", "Break it")
    model.follow([
        [TESTS],
        [Call("search", {"query": "(11, 12)"})],
        [edit("inflection/__init__.py", "in (11, 12):", "in (11, 12, 13):"), TESTS],
        ["13 ends like 11 and 12."],
    ])
    await way(package, "mend what the tests find")
    results = [message["content"] for message in model.read if message["role"] == "tool"]
    assert "447 passed, 8 failed" in results[0].splitlines()[0]
    assert "inflection/__init__.py" in results[1]
    assert source.read_text() == whole
    assert package.status == [" M inflection/__init__.py"]
    assert package.tested() == (455, 0)


@pytest.mark.network
@pytest.mark.parametrize("way", ["headless", "ide"], indirect=True)
async def test_a_function_of_a_published_package_is_renamed_with_its_uses(
    way: Way, published: Callable[[str], Repository], model: Model
) -> None:
    package = published("parse")
    before = package.files
    model.follow([
        [Call("rename_symbol", {"symbol": "parse.with_pattern", "new_name": "pattern_of"})],
        [TESTS],
        ["Renamed."],
    ])
    await way(package, "rename with_pattern to pattern_of")
    results = [message["content"] for message in model.read if message["role"] == "tool"]
    assert "parse.py:28" in results[0]  # the docstring speaks of it: told, not touched
    assert results[1].startswith("96 passed, 1 skipped")
    source = before["parse.py"].replace(b"def with_pattern(", b"def pattern_of(")
    after = {"parse.py": source.replace(b'"with_pattern"]', b'"pattern_of"]')} | {
        name: before[name].replace(b"parse.with_pattern", b"parse.pattern_of")
        for name in ("tests/test_bugs.py", "tests/test_parsetype.py")
    }
    assert package.files == before | after
    assert package.status == [f" M {name}" for name in after]
    assert package.tested() == (96, 0)
