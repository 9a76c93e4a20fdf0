"""Fine-tunes as data: `NAME.toml` in this package, and in packages below `punie.phases`."""

from __future__ import annotations

from importlib import metadata, resources

import msgspec

from punie.train.errors import PhaseError
from punie.train.phases.spec import Phase

GROUP = "punie.phases"


def load_phase(name: str) -> Phase:
    """Read a phase by its name.

    Raises:
        PhaseError: There is no such phase, or its file has a mistake; the message names the key.
    """
    files = _files()
    if name not in files:
        raise PhaseError(f"there is no phase {name!r}; known are {', '.join(sorted(files))}")
    return parse_phase(files[name], source=f"{name}.toml")


def parse_phase(text: bytes, *, source: str) -> Phase:
    """Read a phase from TOML.

    Raises:
        PhaseError: It has a mistake; the message names the key.
    """
    try:
        return msgspec.toml.decode(text, type=Phase)
    except msgspec.DecodeError as error:
        raise PhaseError(f"{source}: {error}") from error


def phase_names() -> list[str]:
    """Name the phases that can be run."""
    return sorted(_files())


def _files() -> dict[str, bytes]:
    """Read all phase files; one broken plugin does not hide the others."""
    found: dict[str, bytes] = {}
    for package in dict.fromkeys([
        __name__,
        *(e.value for e in metadata.entry_points(group=GROUP)),
    ]):
        try:
            folder = resources.files(package)
        except ModuleNotFoundError:
            continue
        for file in folder.iterdir():
            if file.name.endswith(".toml"):
                found.setdefault(file.name.removesuffix(".toml"), file.read_bytes())
    return found
