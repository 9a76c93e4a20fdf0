"""What would destroy work is asked about, and a "no" leaves no trace."""

from __future__ import annotations

from punie.agent.testing import Call

from .conftest import SHOP, Model, Repository, Way  # type: ignore[import-not-found]

DESTRUCTIVE = (
    "rm -rf shop tests",
    "git reset --hard && git clean --force",
    "find . -name '*.py' -exec rm {} +",
    "sh -c 'truncate --size 0 notes.txt'",
)


async def test_a_destructive_command_that_is_refused_has_no_effect(
    way: Way, shop: Repository, model: Model
) -> None:
    (shop.root / "notes.txt").write_bytes(b"not committed")
    (shop.root / "plans.txt").write_bytes(b"not even added")
    before, head = shop.files, shop.git("rev-parse", "HEAD")
    outside = shop.root.parent / "outside.txt"
    model.follow([
        [
            *(Call("run_command", {"command": command}) for command in DESTRUCTIVE),
            Call("write_file", {"path": str(outside), "content": "x"}),
        ],
        ["I was not allowed to."],
    ])
    done = await way(shop, "clean up", allow=False)
    results = [message["content"] for message in model.read if message["role"] == "tool"]
    assert len(results) == len(DESTRUCTIVE) + 1
    assert all(result.startswith("Permission denied: ") for result in results)
    assert "I was not allowed to." in done.text
    assert done.code == 4 if done.editor is None else done.stop_reason == "end_turn"
    if done.asked:  # headless there is nobody to ask
        assert done.asked == [*DESTRUCTIVE, f"Write {outside}"]
    else:
        assert done.stop_reason == "end_turn"
    assert shop.files == before
    assert set(before) == {*SHOP, "plans.txt"}
    assert shop.status == [" M notes.txt", "?? plans.txt"]
    assert shop.git("rev-parse", "HEAD") == head
    assert not outside.exists()
