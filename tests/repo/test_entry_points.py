"""What the distributions declare exists."""

from __future__ import annotations

from importlib.metadata import EntryPoint, distribution

import pytest

DISTRIBUTIONS = ("punie", "punie-acp", "punie-agent", "punie-cli", "punie-http", "punie-train")


def declared() -> list[EntryPoint]:
    return [entry for name in DISTRIBUTIONS for entry in distribution(name).entry_points]


@pytest.mark.parametrize("entry", declared(), ids=lambda entry: f"{entry.group}:{entry.name}")
def test_an_entry_point_imports(entry: EntryPoint) -> None:
    assert entry.load() is not None


def test_the_meta_distribution_owns_both_scripts() -> None:
    scripts = distribution("punie").entry_points.select(group="console_scripts")
    assert {script.name: script.value for script in scripts} == {
        "punie": "punie.cli.main:main",
        "punie-train": "punie.train.cli:main",
    }
