"""Imports every module of one installed distribution of Punie; prints what came of it.

    python -I .ci/import_all.py punie-agent            a module may ask for an extra
    python -I .ci/import_all.py punie-agent[embedded]  with the extra nothing may be missing

A module that needs an extra which is not asked for is named and counts as fine; any other failure
exits 1.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from importlib.metadata import requires


def modules_of(package: str) -> list[str]:
    """Every module under a package, by folder listing, so a broken one cannot hide others."""
    found = [package]
    for path in importlib.import_module(package).__path__:
        found += [module.name for module in pkgutil.walk_packages([path], f"{package}.")]
    return found


def optional_modules(distribution: str) -> set[str]:
    """Top-level modules that only an extra of the distribution brings."""
    extras = [line for line in requires(distribution) or [] if "extra ==" in line]
    names = {re.split(r"[^\w.-]", line)[0] for line in extras}
    return {name.replace("-", "_") for name in names}


def main() -> None:
    """Import them all."""
    distribution, _, extra = sys.argv[1].partition("[")
    package = distribution.replace("-", ".", 1)
    allowed: set[str] = set() if extra else optional_modules(distribution)
    names = modules_of(package)
    asking: list[str] = []
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in allowed:
                raise SystemExit(f"{sys.argv[1]}: {name} needs {missing}") from error
            asking.append(f"{name} ({missing})")
    print(f"{sys.argv[1]}: {len(names) - len(asking)} modules import")
    for line in asking:
        print(f"    asks for an extra: {line}")


if __name__ == "__main__":
    main()
