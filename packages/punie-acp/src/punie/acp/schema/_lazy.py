"""Names of a package that are looked up when they are first used, so that a start loads little."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any


def lazily(package: str, homes: str, names: Collection[str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package.

    Args:
        package: Its dotted name.
        homes: Its modules that define the names, in the order in which they are searched.
        names: What the package exports.
    """

    def look_up(name: str) -> Any:
        for home in homes.split() if name in names else ():
            module = vars(import_module(f"{package}.{home}"))
            if name in module:
                setattr(sys.modules[package], name, module[name])
                return module[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return look_up
