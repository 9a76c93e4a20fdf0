"""What a turn did to a repository is taken back, and the taking back too."""

from __future__ import annotations

import pytest

from punie.agent.testing import Call

from .conftest import Editor, Model, Repository, Sit, Way  # type: ignore[import-not-found]

SCRIPT = [
    [
        Call("edit_file", {"path": "shop/prices.py", "old": " - 1\n", "new": "\n"}),
        Call("write_file", {"path": "docs/new/page.md", "content": "# Prices\n"}),
        Call("rename_symbol", {"symbol": "shop.report.report", "new_name": "bill"}),
        Call("run_command", {"command": "rm notes.txt; printf '\\377\\0' > blob; chmod +x blob"}),
    ],
    ["Done."],
]
CHANGED = [
    " D notes.txt",
    " M shop/prices.py",
    " M shop/report.py",
    " M tests/test_shop.py",
    "?? blob",
    "?? docs/new/page.md",
]


@pytest.mark.parametrize("way", ["headless", "terminal"], indirect=True)
async def test_a_turn_of_the_terminal_is_undone_in_the_editor_and_that_too(
    way: Way, shop: Repository, model: Model, sit: Sit
) -> None:
    before = shop.files
    model.follow(SCRIPT)
    await way(shop, "do much")
    after = shop.files
    assert (shop.status, after["blob"]) == (CHANGED, b"\xff\x00")
    async with sit(shop, Editor(), load=True) as seat:
        await seat.ask("/undo")
        assert (shop.status, shop.files) == ([], before)
        assert not (shop.root / "docs").exists()
        await seat.ask("/undo")
        assert (shop.status, shop.files) == (CHANGED, after)
        assert (shop.root / "blob").stat().st_mode & 0o111
    assert shop.tested() == (2, 0)


async def test_an_undo_goes_through_the_editors_files_and_keeps_what_it_does_not_know_of(
    shop: Repository, model: Model, sit: Sit
) -> None:
    before = shop.files
    model.follow(SCRIPT)
    editor = Editor()
    async with sit(shop, editor, inside=True) as seat:
        await seat.ask("do much")
        after = shop.files
        (shop.root / "mine.txt").write_bytes(b"written meanwhile by the person")
        editor.saved.clear()
        await seat.ask("/undo")
        assert shop.files == before | {"mine.txt": b"written meanwhile by the person"}
        assert {str(shop.root / name[3:]) for name in CHANGED[1:4]} <= set(editor.saved)
        await seat.ask("/undo")
        assert shop.files == after | {"mine.txt": b"written meanwhile by the person"}
    assert shop.status == [*CHANGED, "?? mine.txt"]
