"""Fine-tunes as data: `NAME.toml` in this package, in packages below `punie.phases`, or a file of one's own."""

from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path

import msgspec

from punie.train.errors import PhaseError
from punie.train.phases.spec import Phase

GROUP = "punie.phases"
_SUFFIX = ".toml"


def load_phase(name: str) -> Phase:
    """Read a phase.

    Args:
        name: Of a phase that is installed, or the path of a file that ends in `.toml`.

    Raises:
        PhaseError: There is no such phase, or its file has a mistake; the message names the key.
    """
    if name.endswith(_SUFFIX):
        return _own(Path(name))
    files = _files()
    if name not in files:
        raise PhaseError(
            f"there is no phase {name!r}; known are {', '.join(sorted(files))}, "
            f"and a file of your own by its path, such as ./{name}{_SUFFIX}"
        )
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


def _own(path: Path) -> Phase:
    try:
        return parse_phase(path.read_bytes(), source=str(path))
    except OSError as error:
        raise PhaseError(f"cannot read the phase {path}: {error.strerror}") from error


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
            if file.name.endswith(_SUFFIX):
                found.setdefault(file.name.removesuffix(_SUFFIX), file.read_bytes())
    return found
