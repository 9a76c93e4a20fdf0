"""A model behind an OpenAI-compatible server, streamed over httpx2, with the quirks mended.

Covers mlx_lm.server, LM Studio, Ollama, vLLM and llama.cpp. Cloud services with their own SDK go
through Pydantic AI's models instead.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self, cast

import httpx2
from pydantic_ai import ModelProfile
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings

from punie.agent.errors import ModelUnavailableError
from punie.agent.events import Progress
from punie.agent.models import history, servers
from punie.agent.models.cache import OnProgress, ignore_progress
from punie.agent.models.spec import ModelSpec
from punie.agent.models.sse import ChatStream, error_text
from punie.agent.models.streaming import whole
from punie.agent.models.tls import context_for

PROVIDER = "local"
CONNECT_TIMEOUT = 5.0
"""Seconds until a server that does not take the connection counts as down."""
READ_TIMEOUT = 600.0
"""Seconds between two pieces of an answer; a long prompt on a small machine takes minutes."""


RETRY_AFTER = (0.2, 1.0)
"""Seconds after which a server that stumbled is asked again."""
LOADING = 300.0
"""Seconds that a server may take to load its model."""


class _Kept(NamedTuple):
    """Connections of one event loop, and how many have entered to use them."""

    client: httpx2.AsyncClient
    users: int


class ChatModel(Model):
    """Pydantic AI's view of one model of one server."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        spec: ModelSpec | None = None,
        on_progress: OnProgress = ignore_progress,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        """Name the model; nothing is sent yet.

        Args:
            name: The id that requests carry.
            url: The base URL, ending in `/v1`.
            spec: Context window and limits.
            on_progress: Told `prefill`, in tokens, when the server says how far it is.
            read_timeout: Seconds between two pieces of an answer.
        """
        self.spec = spec or ModelSpec(spec=f"local:{url}/{name}", name=name)
        profile = ModelProfile(
            supports_inline_system_prompts=False,
            default_framing_announcement="never",
            supports_json_schema_output=False,
            supports_image_input=self.spec.images,
            context_window=self.spec.context_window,
        )
        super().__init__(profile=profile)
        self._name = name
        self.url = url.rstrip("/")
        self._on_progress = on_progress
        self._timeout = httpx2.Timeout(read_timeout, connect=CONNECT_TIMEOUT)
        self._kept: dict[asyncio.AbstractEventLoop, _Kept] = {}

    @property
    def model_name(self) -> str:
        """The id that requests carry."""
        return self._name

    @property
    def system(self) -> str:
        """The provider's name in traces."""
        return PROVIDER

    @property
    def provider(self) -> None:
        """There is no SDK behind this."""
        return

    @property
    def base_url(self) -> str:
        """The server."""
        return self.url

    async def __aenter__(self) -> Self:
        """Keep connections open until the last one who entered has left: a run enters once."""
        loop = asyncio.get_running_loop()
        kept = self._kept.get(loop)
        client = self._new_client() if kept is None else kept.client
        self._kept[loop] = _Kept(client, 1 if kept is None else kept.users + 1)
        return self

    async def __aexit__(self, *_raised: object) -> None:
        """Close the connections that nobody uses any more."""
        kept = self._kept.pop(asyncio.get_running_loop())
        if kept.users > 1:
            self._kept[asyncio.get_running_loop()] = _Kept(kept.client, kept.users - 1)
        else:
            await kept.client.aclose()

    @property
    def _client(self) -> httpx2.AsyncClient:
        return self._kept[asyncio.get_running_loop()].client

    def _new_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            timeout=self._timeout, trust_env=False, verify=context_for(self.url)
        )

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer in one piece."""
        return await whole(self.request_stream(messages, model_settings, model_request_parameters))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Answer as a stream; leaving it closes the connection, which stops the server.

        Raises:
            ModelUnavailableError: Nobody answers at the URL.
            ModelHTTPError: The server refused the request.
        """
        settings, params = self.prepare_request(model_settings, model_request_parameters)
        body = self._body(messages, cast("Mapping[str, Any]", settings or {}), params)
        async with self:
            mended: list[str] = []
            stream = ChatStream(
                model_request_parameters=params,
                _model_name=self._name,
                _url=self.url,
                _response=await self._sent(self._client, body, mended),
                _tools=history.tool_specs(params),
                _on_progress=self._on_progress,
                _mended=mended,
            )
            try:
                yield stream
            finally:
                await stream.finish()

    async def _sent(
        self, client: httpx2.AsyncClient, body: dict[str, Any], mended: list[str]
    ) -> httpx2.Response:
        """Send a request, again when the server stumbled or is still loading the model."""
        endpoint = f"{self.url}/chat/completions"
        waits = iter(RETRY_AFTER)
        began = time.monotonic()
        while True:
            try:
                request = client.build_request("POST", endpoint, json=body)
                response = await client.send(request, stream=True)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                raise self._down(error) from error
            except httpx2.TransportError as error:
                if (wait := next(waits, None)) is None:
                    why = str(error) or type(error).__name__
                    raise ModelAPIError(self._name, f"{self.url} broke off: {why}") from error
                mended.append("the server broke off before it answered: asked again")
                await asyncio.sleep(wait)
                continue
            if response.status_code == 200:
                return response
            try:
                text = (await response.aread()).decode(errors="replace")
            finally:
                await response.aclose()
            status = response.status_code
            if status == 503 and "loading" in text.lower() and time.monotonic() - began < LOADING:
                self._on_progress(Progress(what="load", done=0, total=0))
                await asyncio.sleep(1.0)
            elif status >= 500 and (wait := next(waits, None)) is not None:
                mended.append(f"the server answered {status}: asked again")
                await asyncio.sleep(wait)
            else:
                raise ModelHTTPError(status, self._name, _reason(text, endpoint))

    def _body(
        self,
        messages: Sequence[ModelMessage],
        settings: Mapping[str, Any],
        params: ModelRequestParameters,
    ) -> dict[str, Any]:
        """Write the request: what stays the same first, so that two requests share a long prefix."""
        standing = self._get_instruction_parts(messages, params)
        chat = history.chat_messages(messages, standing, images=self.spec.images)
        body: dict[str, Any] = {
            "model": self._name,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools := history.tool_specs(params):
            body["tools"] = tools
        body["messages"] = history.with_text_arguments(chat)
        for key in ("temperature", "top_p", "seed"):
            if (value := settings.get(key)) is not None:
                body[key] = value
        body |= cast("Mapping[str, Any]", settings.get("extra_body") or {})
        # mlx_lm.server cuts after 512 tokens unless it is told otherwise.
        body["max_tokens"] = settings.get("max_tokens") or self.spec.max_tokens
        if tools and settings.get("tool_choice") in ("none", []):
            body["tool_choice"] = "none"
        return body

    def _down(self, error: Exception) -> ModelUnavailableError:
        return ModelUnavailableError(
            f"no model server answers at {self.url} ({str(error) or type(error).__name__}); "
            f"{servers.how_to_start(self.url)}"
        )


def _reason(text: str, endpoint: str) -> str:
    """Find the server's own words in the body of a refusal."""
    try:
        body: object = json.loads(text)
    except ValueError:
        body = text
    return f"{endpoint}: {error_text(body)}"
