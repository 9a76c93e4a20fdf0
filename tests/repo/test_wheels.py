"""What is in the wheels: the marker for types, the package data, and nothing of the namespace."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

DATA = {".jinja", ".toml", ".json", ".jsonl", ".safetensors", ".typed"}
"""Files beside the modules that the packages read at run time."""


@pytest.fixture(scope="module")
def wheels(root: Path, uv: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names of the files in each wheel, by distribution."""
    out = tmp_path_factory.mktemp("wheels")
    run = subprocess.run(
        [uv, "build", "--all-packages", "--wheel", "--quiet", "--out-dir", str(out)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return {
        path.name.partition("-")[0].replace("_", "-"): files_in(path) for path in out.glob("*.whl")
    }


def files_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@pytest.mark.network
def test_there_are_six_wheels(wheels: dict[str, set[str]]) -> None:
    assert sorted(wheels) == [
        "punie",
        "punie-acp",
        "punie-agent",
        "punie-cli",
        "punie-http",
        "punie-train",
    ]


@pytest.mark.network
@pytest.mark.parametrize("package", ["acp", "agent", "cli", "http", "train"])
def test_a_wheel_holds_every_module_and_data_file_of_its_package(
    root: Path, wheels: dict[str, set[str]], package: str
) -> None:
    source = root / "packages" / f"punie-{package}" / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.suffix in {".py", *DATA} and "__pycache__" not in path.parts
    }
    assert f"punie/{package}/py.typed" in expected
    assert expected - wheels[f"punie-{package}"] == set()


@pytest.mark.network
def test_no_wheel_owns_the_namespace(wheels: dict[str, set[str]]) -> None:
    assert [name for name, files in wheels.items() if "punie/__init__.py" in files] == []


@pytest.mark.network
def test_the_meta_wheel_holds_one_module(wheels: dict[str, set[str]]) -> None:
    files = {name for name in wheels["punie"] if ".dist-info/" not in name}
    assert files == {"punie/__main__.py"}


@pytest.mark.network
def test_every_wheel_carries_its_licence(wheels: dict[str, set[str]]) -> None:
    without = [
        name
        for name, files in wheels.items()
        if not any(file.endswith(".dist-info/licenses/LICENSE") for file in files)
    ]
    assert without == []
