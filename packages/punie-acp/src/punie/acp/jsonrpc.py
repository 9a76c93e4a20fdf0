"""JSON-RPC 2.0 frames: one decode for any message that comes, typed frames for what goes out.

Parameters and results stay raw here; `punie.acp.methods` knows their types. A frame that is not a
message becomes a `Malformed` with the answer it deserves, never an exception.
https://www.jsonrpc.org/specification
"""

from __future__ import annotations

import re
from typing import Any, Protocol, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from punie.acp.errors import ErrorCode, RequestError

RequestId: TypeAlias = int | str | None

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What bytes from a stranger can make msgspec raise."""

_MIN_ID, _MAX_ID = -(2**63), 2**63 - 1
_EMPTY_OBJECT = b"{}"
_SAFE_REASON = re.compile(
    r"Expected |Object missing required field |Object contains unknown field "
)
_PATH = re.compile(r"^(?P<reason>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


class ErrorObject(Struct, frozen=True, kw_only=True):
    """The `error` of a response."""

    code: int
    message: str
    data: Any = UNSET


class Envelope(Struct, frozen=True):
    """Any message, as received: a request, a notification or a response."""

    method: str | UnsetType = UNSET
    id: RequestId | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class Malformed(Struct, frozen=True):
    """A frame that is no message."""

    id: RequestId
    """What the answer carries; `None` unless an id could be read."""
    error: RequestError


class _Request(Struct, frozen=True):
    id: RequestId
    method: str
    params: Any
    jsonrpc: str = "2.0"


class _Notification(Struct, frozen=True):
    method: str
    params: Any
    jsonrpc: str = "2.0"


class _Result(Struct, frozen=True):
    id: RequestId
    result: Any
    jsonrpc: str = "2.0"


class _Error(Struct, frozen=True):
    id: RequestId
    error: ErrorObject
    jsonrpc: str = "2.0"


_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(Envelope)
_errors = msgspec.json.Decoder(ErrorObject)


def encode_request(request_id: RequestId, method: str, params: Any) -> bytes:
    """Write a request."""
    return _encoder.encode(_Request(request_id, method, params))


def encode_notification(method: str, params: Any) -> bytes:
    """Write a notification."""
    return _encoder.encode(_Notification(method, params))


def encode_result(request_id: RequestId, result: Any) -> bytes:
    """Write the answer to a request."""
    return _encoder.encode(_Result(request_id, result))


def encode_error(request_id: RequestId, error: RequestError) -> bytes:
    """Write the error that answers a request."""
    data = UNSET if error.data is None else error.data
    body = ErrorObject(code=error.code, message=error.message, data=data)
    return _encoder.encode(_Error(request_id, body))


def decode_frame(frame: bytes) -> Envelope | Malformed:
    """Read one frame.

    Args:
        frame: One JSON text, without its line end.

    Returns:
        The message, or what is wrong with it.
    """
    try:
        if not frame.isascii():
            frame.decode()  # msgspec does not look into what it skips
        envelope = _envelopes.decode(frame)
    except DECODE_ERRORS:
        return _explain(frame)
    if isinstance(envelope.id, int) and not _MIN_ID <= envelope.id <= _MAX_ID:
        return Malformed(None, RequestError.invalid_request("the id is out of range"))
    if envelope.method is UNSET and envelope.result is UNSET and envelope.error is UNSET:
        known = None if envelope.id is UNSET else envelope.id
        return Malformed(known, RequestError.invalid_request("no method, result or error"))
    return envelope


def _explain(frame: bytes) -> Malformed:
    """Tell malformed JSON from JSON that is no message; the slow path, once per bad frame."""
    try:
        value: object = msgspec.json.decode(frame)
    except DECODE_ERRORS:
        return Malformed(None, RequestError(ErrorCode.PARSE_ERROR, "Parse error"))
    if isinstance(value, list):
        return Malformed(None, RequestError.invalid_request("batches are not supported"))
    if not isinstance(value, dict):
        return Malformed(None, RequestError.invalid_request("not an object"))
    reason = RequestError.invalid_request("not a JSON-RPC message")
    return Malformed(_readable_id(value.get("id")), reason)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _readable_id(value: object) -> RequestId:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and _MIN_ID <= value <= _MAX_ID:
        return value
    return None


class Decoder(Protocol):
    """Reads one type from JSON, as `msgspec.json.Decoder` does."""

    def decode(self, data: bytes, /) -> Any:
        """Read one value; raises what msgspec raises."""
        ...


def decode_params(decoder: Decoder, params: Raw | UnsetType) -> Any:
    """Read parameters with a method's own type; none at all count as an empty object.

    Raises:
        RequestError: They do not fit. It names the place and never repeats the value.
    """
    raw = bytes(params) if isinstance(params, Raw) else _EMPTY_OBJECT
    try:
        return decoder.decode(_EMPTY_OBJECT if raw == b"null" else raw)
    except msgspec.ValidationError as error:
        reason, path = describe(error)
        raise RequestError.invalid_params(reason, path=path) from None
    except DECODE_ERRORS:
        raise RequestError(ErrorCode.PARSE_ERROR, "Parse error") from None


def describe(error: Exception) -> tuple[str, str]:
    """Split an error of reading into a reason that holds no value, and a JSON path."""
    match = _PATH.match(str(error))
    reason, path = (match["reason"], match["path"]) if match else ("", None)
    return (reason if _SAFE_REASON.match(reason) else "invalid value"), path or "$"


def decode_error(error: Raw) -> RequestError:
    """Read the error of a response, however odd the peer made it."""
    try:
        body = _errors.decode(error)
    except DECODE_ERRORS:
        return RequestError(ErrorCode.INTERNAL_ERROR, "the peer sent an error that cannot be read")
    return RequestError(body.code, body.message, None if body.data is UNSET else body.data)
