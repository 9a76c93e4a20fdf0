"""Read and write wire types the way the specification asks for.

A message that fits its type costs one decode. One that does not is looked at again: a malformed
optional field counts as not there, a list loses the items that cannot be read, and a variant of
an open union that this version does not know becomes the union's `Unknown...` type. What is still
wrong then is refused. Which field does what stands in `Wire.on_error`.

`write` sends an unknown variant on as it came.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
# What is read is JSON of any shape.

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from punie.acp.schema._base import UNKNOWN_TAG


class Reader:
    """Reads one wire type from JSON; built once, used for every message.

    Args:
        of: A wire type, or a union of them.
        strict: Whether `"1"` is refused where `1` is asked for.
    """

    def __init__(self, of: Any, *, strict: bool = True) -> None:
        self._of = of
        self._strict = strict
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(of, strict=strict)

    def decode(self, data: bytes | msgspec.Raw) -> Any:
        """Read one value.

        Raises:
            msgspec.ValidationError: It does not fit, even with what may be left out left out.
            msgspec.DecodeError: It is no JSON.
        """
        try:
            return self._decoder.decode(data)
        except msgspec.ValidationError as error:
            return self._decode_again(data, error)

    def _decode_again(self, data: bytes | msgspec.Raw, error: msgspec.ValidationError) -> Any:
        try:
            value = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise error from None  # only the part that the type asks for could be read
        from punie.acp.schema._repair import repair

        repaired = repair(value, self._of, self._strict)
        return msgspec.convert(repaired, self._of, strict=self._strict)


def write(value: Any) -> bytes:
    """Encode an object; unknown variants inside it go out as they came."""
    return msgspec.json.encode(plain(value) if _holds_unknown(value) else value)


def plain(value: Any) -> Any:
    """Turn an object into plain JSON values; unknown variants become what they came as."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if not isinstance(value, Struct):
        return value
    if value.__struct_config__.tag == UNKNOWN_TAG:
        return getattr(value, "body")  # noqa: B009 - each union has its own type
    encoded = msgspec.to_builtins(value)
    names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    sent = {told: plain(getattr(value, name)) for told, name in names if told in encoded}
    return encoded | sent


def _holds_unknown(value: Any) -> bool:
    """Whether there is anything that does not go out as it is; nearly always there is not."""
    if isinstance(value, Struct):
        if value.__struct_config__.tag == UNKNOWN_TAG:
            return True
        return any(_holds_unknown(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, list):
        return any(map(_holds_unknown, value))
    return isinstance(value, dict) and any(map(_holds_unknown, value.values()))
