"""From a model's name to a model: which name holds, and how it is opened.

`resolve_name` decides by precedence, `open_model` opens. Both are cheap to import; the model stacks
are loaded by the function that needs them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import msgspec

from punie.agent import config
from punie.agent.errors import ConfigError, ModelUnavailableError
from punie.agent.events import Progress
from punie.agent.models import served, servers
from punie.agent.models.cache import OnProgress, ignore_progress, models_folder
from punie.agent.models.spec import ModelSpec

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from punie.agent.models.embedded.engine import Engine

FORMS = (
    "local, local:NAME, local:http://HOST:PORT/v1/NAME, embedded, mlx:PATH, test, "
    "or a Pydantic AI id such as openai:gpt-5"
)

PREFIXES = "prefixes"
"""Folder in the models' cache: what was computed of system prompts."""
SPEC_FILE = "punie.toml"
"""In a model's folder: its spec."""
EMBEDDED_INSTALL = "uv pip install 'punie-agent[embedded]'"
_CLOUD_EXTRAS = {"openai", "anthropic"}
"""Extras of punie-agent that bring a provider's SDK."""


THOUGHT_LEVELS = ("low", "medium", "high")
"""Of cloud models that reason."""


class Resolved(NamedTuple):
    """The model that settings lead to."""

    name: str
    source: str
    """Where the name comes from, for people."""


class OpenedModel(NamedTuple):
    """A model that can be used."""

    spec: ModelSpec
    model: Model


def resolve_name(flag: str | None, cwd: Path, environ: Mapping[str, str]) -> Resolved:
    """Find the model's name: option, environment, project, person, IDE, local server, embedded.

    Blocks for at most a second, when it has to look for local servers.

    Args:
        flag: What `--model` said.
        cwd: The project's folder.
        environ: Environment variables.

    Raises:
        ConfigError: A settings file cannot be used.
    """
    for written in named(flag, cwd, environ):
        return written
    if answering := servers.look():
        return Resolved("local", f"the server at {answering[0].url}")
    return Resolved("embedded", "nothing else is configured")


def named(flag: str | None, cwd: Path, environ: Mapping[str, str]) -> Iterator[Resolved]:
    """Find every model that is named somewhere, the one that holds first.

    Args:
        flag: What `--model` said.
        cwd: The project's folder.
        environ: Environment variables.

    Raises:
        ConfigError: A settings file cannot be used.
    """
    where = config.locations(environ)
    if flag:
        yield Resolved(flag, "--model")
    if name := environ.get("PUNIE_MODEL"):
        yield Resolved(name, "PUNIE_MODEL")
    if name := config.project_model(cwd, environ):
        yield Resolved(name, "[tool.punie] in pyproject.toml")
    if name := config.load_user(environ).model:
        yield Resolved(name, str(where.config_file))
    if name := _jetbrains_model(where.jetbrains_file):
        yield Resolved(name, str(where.jetbrains_file))


async def open_model(name: str, *, on_progress: OnProgress = ignore_progress) -> OpenedModel:
    """Open a model by its name.

    For a model in this process the weights are fetched and converted before this returns; loading
    goes on in the background and the first request waits for it.

    Args:
        name: One of `FORMS`.
        on_progress: Told `download`, `convert`, `load` and `prefill`, in the event loop.

    Returns:
        The model, and what is known about it.

    Raises:
        ModelUnavailableError: There is no such model, or it does not answer.
    """
    if name == "test":
        from punie.agent.models.scripted import ScriptedModel

        return OpenedModel(ModelSpec(spec=name, images=True), ScriptedModel())
    if name == "embedded":
        return await _open_embedded(on_progress)
    kind, _, rest = name.partition(":")
    if kind == "mlx" and rest:
        return await _open_mlx(name, Path(rest), on_progress)
    if kind == "local":
        return await asyncio.to_thread(_open_local, name, rest, on_progress)
    check_name(name)
    return _open_by_id(name, kind)


def check_name(name: str) -> None:
    """Refuse a name that no model can have; whether there is one shows when it is opened.

    Raises:
        ModelUnavailableError: It has none of the `FORMS`.
    """
    kind, colon, rest = name.partition(":")
    if name not in {"test", "embedded", "local"} and not (kind and colon and rest):
        raise ModelUnavailableError(f"unknown model {name!r}; known forms: {FORMS}")


def open_engine(
    *, on_progress: OnProgress = ignore_progress, adapter: Path | None = None
) -> Engine:
    """Make the engine of the embedded model, for programs without an event loop.

    Args:
        on_progress: Told on the engine's thread.
        adapter: What is put on top of the weights; the shipped one by default.

    Raises:
        ModelUnavailableError: MLX is not installed or does not exist for this platform.
    """
    check_mlx()
    from punie.agent.models.embedded.convert import ensure_embedded_model
    from punie.agent.models.embedded.engine import Engine
    from punie.agent.models.embedded.spec import shipped_adapter

    return Engine(
        lambda told, cancelled: ensure_embedded_model(on_progress=told, cancelled=cancelled),
        adapter=adapter or shipped_adapter(),
        prefixes=models_folder() / PREFIXES,
        on_progress=on_progress,
    )


def check_mlx() -> None:
    """Refuse in one sentence when no model can run in this process.

    Raises:
        ModelUnavailableError: MLX is not installed or does not exist for this platform.
    """
    arm_mac = sys.platform == "darwin" and platform.machine() == "arm64"
    if not arm_mac and sys.platform != "linux":
        raise ModelUnavailableError(
            f"no model runs in this process on {platform.system()} {platform.machine()}: MLX needs "
            "Apple silicon or Linux. Use a model server: --model local"
        )
    missing = [m for m in ("mlx", "mlx_lm", "llguidance") if importlib.util.find_spec(m) is None]
    if missing:
        raise ModelUnavailableError(
            f"the embedded model needs {', '.join(missing)}: {EMBEDDED_INSTALL}"
        )


async def _open_embedded(on_progress: OnProgress) -> OpenedModel:
    from punie.agent.models.embedded.spec import embedded_spec

    engine = open_engine(on_progress=_in_loop(on_progress))
    return await _wrap(engine, embedded_spec(), on_progress, copying=True)


async def _open_mlx(name: str, folder: Path, on_progress: OnProgress) -> OpenedModel:
    check_mlx()
    from punie.agent.models.embedded.engine import Engine

    folder, spec, adapter = await asyncio.to_thread(_read_folder, name, folder)
    engine = Engine(
        folder,
        adapter=adapter,
        prefixes=models_folder() / PREFIXES,
        on_progress=_in_loop(on_progress),
    )
    return await _wrap(engine, spec, on_progress, copying=bool(spec.calls_per_turn))


async def _wrap(
    engine: Engine, spec: ModelSpec, on_progress: OnProgress, *, copying: bool
) -> OpenedModel:
    from punie.agent.models.embedded.model import EmbeddedModel

    try:
        await engine.prepared()
    except BaseException:
        await asyncio.to_thread(engine.close)
        raise
    model = EmbeddedModel(engine, spec, copying=copying, on_progress=on_progress)
    return OpenedModel(spec, model)


def _read_folder(name: str, folder: Path) -> tuple[Path, ModelSpec, Path | None]:
    """Read the spec that training left in a model's folder, if any, and find its adapter."""
    folder = folder.expanduser()
    if not (folder / "config.json").is_file():
        raise ModelUnavailableError(f"{folder} is no MLX model folder: it has no config.json")
    adapter = folder / "adapter"
    spec = _described(name, folder) or ModelSpec(spec=name, name=folder.name)
    if spec.adapter:
        adapter = folder / spec.adapter
    has_adapter = bool(spec.adapter) or adapter.is_dir()
    return folder, spec, adapter if has_adapter else None


def _described(name: str, folder: Path) -> ModelSpec | None:
    """Read how a model wants to be asked, as training left it in the model's folder."""
    path = folder / SPEC_FILE
    if not path.is_file():
        return None
    try:
        spec = msgspec.toml.decode(path.read_bytes(), type=ModelSpec)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    return msgspec.structs.replace(spec, spec=name)


def _open_local(name: str, rest: str, on_progress: OnProgress) -> OpenedModel:
    from punie.agent.models.http import ChatModel

    url, model_name = _local_address(rest)
    spec = ModelSpec(spec=name, name=model_name)
    # A server that was started with a folder or file of this machine names it by its whole path.
    if (path := Path(model_name)).is_absolute():
        spec = _described(name, path.parent if path.suffix == ".gguf" else path) or spec
    told = served.ask_about(url, model_name)
    if told.window:
        spec = msgspec.structs.replace(spec, context_window=told.window)
    if told.images:
        spec = msgspec.structs.replace(spec, images=True)
    return OpenedModel(spec, ChatModel(model_name, url, spec=spec, on_progress=on_progress))


def _local_address(rest: str) -> tuple[str, str]:
    """Find server and model of `local`, `local:NAME` or `local:http://HOST:PORT/v1/NAME`."""
    if rest.startswith(("http://", "https://")):
        url, found, model_name = rest.partition("/v1")
        url, model_name = url.rstrip("/") + "/v1", model_name.strip("/") if found else ""
        answering = servers.look([url], timeout=5)
        if not answering:
            no_server([url])
    else:
        answering, model_name = servers.look(), rest
        if not answering:
            no_server([known.url for known in servers.KNOWN])
    for server in answering:
        if model_name in server.models:
            return server.url, model_name
    if model_name:
        # Some servers list nothing, or not what they could load: then they are asked for it.
        return answering[0].url, model_name
    for server in answering:
        if server.models:
            return server.url, server.models[0]
    raise ModelUnavailableError(
        f"the server at {answering[0].url} lists no model; load one in it, or name it: local:NAME"
    )


def no_server(urls: list[str]) -> NoReturn:
    """Say which URLs did not answer and how a server is started.

    Raises:
        ModelUnavailableError: Always.
    """
    tried = ", ".join(urls)
    how = servers.how_to_start(urls[0] if len(urls) == 1 else "")
    raise ModelUnavailableError(f"no model server answers at {tried}; {how}")


def _open_by_id(name: str, kind: str) -> OpenedModel:
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    try:
        model = infer_model(name)
    except ImportError as error:
        extra = "anthropic" if kind == "anthropic" else "openai"
        package = "punie-agent" if kind.partition("-")[0] in _CLOUD_EXTRAS else "pydantic-ai-slim"
        wanted = extra if package == "punie-agent" else kind.partition("-")[0]
        raise ModelUnavailableError(
            f"{name} needs a package that is not installed: uv pip install '{package}[{wanted}]'"
        ) from error
    except (UserError, ValueError) as error:
        why = str(error).splitlines()[0].rstrip(".")
        raise ModelUnavailableError(
            f"{name} cannot be used: {why}; known forms: {FORMS}"
        ) from error
    # Reasoning models of some providers refuse a temperature, and windows differ.
    always = bool(model.profile.get("thinking_always_enabled"))
    thinks = always or bool(model.profile.get("supports_thinking"))
    spec = ModelSpec(
        spec=name,
        context_window=0,
        max_tokens=0,
        temperature=None,
        images=bool(model.profile.get("supports_image_input", True)),
        thought_levels=(() if always else ("off",)) + THOUGHT_LEVELS if thinks else (),
        thought_by="provider",
    )
    return OpenedModel(spec, model)


def _jetbrains_model(path: Path) -> str:
    """Read the top-level `model` of the file in which JetBrains IDEs list their agents."""

    class _File(msgspec.Struct):
        model: str = ""

    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).model
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _in_loop(on_progress: OnProgress) -> OnProgress:
    """Carry progress from the engine's thread into the running event loop."""
    loop = asyncio.get_running_loop()

    def tell(progress: Progress) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(on_progress, progress)

    return tell
