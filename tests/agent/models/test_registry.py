"""Which model holds, and what opening one gives or says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_ai import Agent

from punie.agent.errors import ConfigError, ModelUnavailableError
from punie.agent.models import registry, servers
from punie.agent.models.embedded.spec import embedded_spec, shipped_adapter
from punie.agent.testing.fake_server import FakeServer


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A person without settings."""
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home")}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _everything(home: dict[str, str], project: Path) -> dict[str, str]:
    """Every source names another model."""
    _write(project / "pyproject.toml", '[tool.punie]\nmodel = "from-project"\n')
    _write(Path(home["HOME"]) / ".config/punie/config.toml", 'model = "from-person"\n')
    _write(
        Path(home["HOME"]) / ".jetbrains/acp.json",
        json.dumps({"model": "from-ide", "agent_servers": {}}),
    )
    return home | {"PUNIE_MODEL": "from-environment"}


def test_sources_are_asked_in_their_order(home: dict[str, str], tmp_path: Path) -> None:
    project = tmp_path / "project"
    environ = _everything(home, project)
    names = [registry.resolve_name("from-flag", project, environ).name]
    names.append(registry.resolve_name(None, project, environ).name)
    del environ["PUNIE_MODEL"]
    names.append(registry.resolve_name(None, project, environ).name)
    (project / "pyproject.toml").unlink()
    names.append(registry.resolve_name(None, project, environ).name)
    (Path(home["HOME"]) / ".config/punie/config.toml").unlink()
    names.append(registry.resolve_name(None, project, environ).name)
    assert names == ["from-flag", "from-environment", "from-project", "from-person", "from-ide"]


async def test_a_server_that_answers_is_found(server: FakeServer) -> None:
    import asyncio

    found = await asyncio.to_thread(servers.look, ["http://127.0.0.1:9/v1", server.url], timeout=5)
    assert found == [servers.Answering(url=server.url, models=("fake",))]


def test_an_ide_file_that_cannot_be_parsed_is_named(home: dict[str, str], tmp_path: Path) -> None:
    _write(Path(home["HOME"]) / ".jetbrains/acp.json", "{")
    with pytest.raises(ConfigError, match=r"acp\.json"):
        registry.resolve_name(None, tmp_path, home)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "known forms: local, local:NAME"),
        ("nobody:model", "known forms"),
        ("mlx:/does/not/exist", "no MLX model folder"),
        ("local:http://127.0.0.1:9/v1/x", r"http://127\.0\.0\.1:9/v1"),
        ("groq:llama", r"uv pip install 'pydantic-ai-slim\[groq\]'"),
    ],
)
async def test_a_model_that_cannot_be_opened_says_why(name: str, message: str) -> None:
    with pytest.raises(ModelUnavailableError, match=message) as refused:
        await registry.open_model(name)
    assert refused.value.exit_code == 3


@pytest.fixture
def described_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A model folder with the spec that training leaves in it."""
    for path in tiny_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "punie.toml").write_text('spec = "mlx:here"\nname = "mine"\nmax_tokens = 5\n')
    return tmp_path


async def test_an_mlx_folder_is_opened_with_its_own_spec(described_folder: Path) -> None:
    opened = await registry.open_model(f"mlx:{described_folder}")
    result = await Agent(opened.model).run("hello")
    assert (opened.spec.name, result.usage.output_tokens <= 5) == ("mine", True)


async def test_a_served_folder_of_this_machine_is_asked_as_training_left_it(
    described_folder: Path, server: FakeServer
) -> None:
    server.models = (str(described_folder),)
    spec = (await registry.open_model(name := f"local:{server.url}")).spec
    assert (spec.spec, spec.name, spec.max_tokens) == (name, "mine", 5)
    server.models = (f"{described_folder}/model.gguf",)
    assert (await registry.open_model(name)).spec.name == "mine"
    server.models = (described_folder.name,)  # only a whole path says that it is of this machine
    assert (await registry.open_model(name)).spec.name == described_folder.name


def test_the_embedded_spec_offers_six_tools_and_one_call() -> None:
    spec = embedded_spec()
    assert (len(spec.tools), spec.calls_per_turn, len(spec.fingerprint)) == (6, 1, 64)
    assert spec.adapter == (str(shipped_adapter()) if shipped_adapter() else "")


def test_importing_the_registry_loads_no_model_stack() -> None:
    code = (
        "import sys, punie.agent.models.registry, punie.agent.cli.models, punie.agent.cli.doctor\n"
        "heavy = {'pydantic', 'pydantic_ai', 'mlx', 'mlx_lm', 'httpx2', 'transformers', 'numpy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
