"""What a client implements, and how an agent's messages find it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Raw, UnsetType

from punie.acp import jsonrpc
from punie.acp.connection import Incoming
from punie.acp.errors import RequestError
from punie.acp.methods import BY_NAME, Method, is_extension
from punie.acp.methods import decoder as decoder_of
from punie.acp.schema import v1


class Client(Protocol):
    """What a client must implement. It answers with `RequestError` to refuse.

    Methods of `fs/*`, `terminal/*` and `elicitation/*` are served when the class has them, else they
    get -32601: `read_text_file`, `write_text_file`, `create_terminal`, `terminal_output`,
    `wait_for_terminal_exit`, `kill_terminal`, `release_terminal`, `create_elicitation`. Each takes
    the method's parameters and returns its result, as `punie.acp.methods` lists them. The
    notification `complete_elicitation` is ignored without one.

    `async def ext_method(method: str, params: dict[str, Any]) -> Any` serves the requests whose
    names begin with `_` (it raises `RequestError.method_not_found` for those it does not know), and
    `async def ext_notification(method: str, params: dict[str, Any]) -> None` sees such
    notifications; without it they are ignored.
    """

    async def session_update(self, params: v1.SessionNotification) -> None:
        """See what happens. Requests made here on the same connection must not be awaited long."""
        ...

    async def request_permission(
        self, params: v1.RequestPermissionRequest
    ) -> v1.RequestPermissionResponse:
        """Let a person decide."""
        ...


class ClientDispatcher:
    """Routes what an agent asks to the client's methods.

    Args:
        client: Has the methods of the table that are served.
        methods: By name; those of version 1 unless told otherwise.
    """

    def __init__(self, client: object, methods: Mapping[str, Method] = BY_NAME) -> None:
        self._client = client
        self._methods = methods
        self._handlers: dict[str, Any] = {}

    def request(self, method: str, params: Raw | UnsetType) -> Incoming:
        """Prepare a request (see `punie.acp.connection.Dispatcher`)."""
        if is_extension(method):
            return self._extension(method, params)
        known = self._methods.get(method)
        if known is None or known.served_by != "client" or known.kind != "request":
            raise RequestError.method_not_found(method)
        handler = self._handler(known.attribute)
        if handler is None:
            raise RequestError.method_not_found(method)
        decoded = jsonrpc.decode_params(decoder_of(known.params), params)
        return Incoming(lambda: handler(decoded))

    def _extension(self, method: str, params: Raw | UnsetType) -> Incoming:
        handler = self._handler("ext_method")
        if handler is None:
            raise RequestError.method_not_found(method)
        decoded = jsonrpc.decode_params(decoder_of(dict[str, Any]), params)
        return Incoming(lambda: handler(method, decoded))

    def notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        """Prepare a notification; `None` when the client does not listen to it."""
        if is_extension(method):
            return self._extension_notification(method, params)
        known = self._methods.get(method)
        if known is None or known.served_by != "client" or known.kind != "notification":
            return None
        handler = self._handler(known.attribute)
        if handler is None:
            return None
        decoded = jsonrpc.decode_params(decoder_of(known.params), params)
        return Incoming(lambda: handler(decoded), ordered=known.ordered)

    def _extension_notification(self, method: str, params: Raw | UnsetType) -> Incoming | None:
        handler = self._handler("ext_notification")
        if handler is None:
            return None
        decoded = jsonrpc.decode_params(decoder_of(dict[str, Any]), params)
        return Incoming(lambda: handler(method, decoded), ordered=True)

    def _handler(self, attribute: str) -> Any:
        """The client's method, looked up once; `None` when there is none."""
        if attribute not in self._handlers:
            self._handlers[attribute] = getattr(self._client, attribute, None)
        return self._handlers[attribute]
