"""Gives one package a new version, everywhere its version is named: `bump.py punie-acp 0.2.0`.

Its own `version`, the ranges of the siblings that need it, the meta package's pin, the changelog's
section. The meta package itself (`punie`) has only its own version. Locking is left to uv.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def bump(package: str, version: str) -> list[Path]:
    """Write the version.

    Args:
        package: `punie` or one of its members.
        version: Three numbers with dots.

    Returns:
        The files that changed.
    """
    major, minor, _ = (int(part) for part in version.split("."))
    name = re.escape(package)
    edits = [
        (rf'^name = "{name}"\nversion = ".*"$', f'name = "{package}"\nversion = "{version}"'),
        (
            rf'"({name}(?:\[[\w,]+\])?)>=[\d.,<]+"',
            rf'"\g<1>>={major}.{minor},<{major}.{minor + 1}"',
        ),
        (rf'"({name}(?:\[[\w,]+\])?)==[\d.]+"', rf'"\g<1>=={version}"'),
        (rf'^name = "{name} [\d.]+"$', f'name = "{package} {version}"'),
    ]
    changed: list[Path] = []
    for path in [ROOT / "pyproject.toml", *sorted(ROOT.glob("packages/*/pyproject.toml"))]:
        before = after = path.read_text(encoding="utf-8")
        for pattern, new in edits:
            after = re.sub(pattern, new, after, flags=re.MULTILINE)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path.relative_to(ROOT))
    return changed


def main() -> None:
    """Bump what the command line names."""
    if len(sys.argv) != 3 or not re.fullmatch(r"\d+\.\d+\.\d+", sys.argv[2]):
        raise SystemExit("usage: bump.py PACKAGE X.Y.Z")
    changed = bump(sys.argv[1], sys.argv[2])
    if not changed:
        raise SystemExit(f"no package {sys.argv[1]}, or it has that version already")
    for path in changed:
        print(path)


if __name__ == "__main__":
    main()
