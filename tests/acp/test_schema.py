"""The wire types are those of the official schemas: names, required fields, values, shapes.

Each test runs for every edition: version 1, its unstable part, and version 2.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from punie.acp.methods import TABLE, Method
from punie.acp.schema import v1
from punie.acp.schema._base import UNKNOWN_TAG, Wire
from punie.acp.schema.reading import Reader, plain

CHUNK = ("ContentChunk",)
SCOPE = ("CreateElicitationRequest", "ElicitationSessionScope", "ElicitationRequestScope")
PATH = ("DiffChange", "DiffPathChange")
PATHS = ("DiffChange", "DiffPathPairChange")
# Types whose properties stand in other definitions, or in several.
PARTS: dict[str, tuple[str, ...]] = {
    "UserMessageChunk": CHUNK,
    "AgentMessageChunk": CHUNK,
    "AgentThoughtChunk": CHUNK,
    "ToolCallPatch": ("ToolCallUpdate",),
    "SessionConfigSelect": ("SessionConfigOption", "SessionConfigSelect"),
    "SessionConfigBoolean": ("SessionConfigOption", "SessionConfigBoolean"),
    "ElicitationFormMode": ("ElicitationFormMode", *SCOPE),
    "ElicitationUrlMode": ("ElicitationUrlMode", *SCOPE),
    "CreateElicitationResponse": ("CreateElicitationResponse", "ElicitationAcceptAction"),
    "IdleStateUpdate": ("IdleStateUpdate", "ErrorStopReason"),
    "DiffAdd": PATH,
    "DiffDelete": PATH,
    "DiffModify": PATH,
    "DiffMove": PATHS,
    "DiffCopy": PATHS,
    "CancelledPermissionOutcome": (),
}
# Properties that stand in the branches of a union, where no definition of their own lists them.
IN_BRANCHES: dict[str, set[str]] = {
    "AuthMethodTerminal": {"type"},
    "McpServerHttp": {"type"},
    "McpServerSse": {"type"},
    "McpServerAcp": {"type"},
    "StringMultiSelectItems": {"type"},
    "SetSessionConfigOptionRequest": {"type", "value"},
    "ElicitationFormMode": {"mode"},
    "ElicitationUrlMode": {"mode"},
    "CreateElicitationResponse": {"action"},
    "RunningStateUpdate": {"state"},
    "IdleStateUpdate": {"state"},
    "RequiresActionStateUpdate": {"state"},
    "UnknownStateUpdate": {"state"},
    "MessageMcpResponse": {"result", "error"},
}
ONE_OF_BOTH = {"sessionId", "requestId"}  # of an elicitation


def properties(cls: type[Struct], schema: dict[str, Any]) -> dict[str, Any]:
    """The properties that the schema gives a type, by their names on the wire."""
    found: dict[str, Any] = {}
    for part in PARTS.get(cls.__name__, (cls.__name__,)):
        if part in schema:
            found |= schema[part].get("properties", {})
    return found


def required(cls: type[Struct], schema: dict[str, Any]) -> set[str]:
    parts = PARTS.get(cls.__name__, (cls.__name__,))
    return {name for part in parts if part in schema for name in schema[part].get("required", ())}


def compared(cls: type[Struct], unused: set[str]) -> list[FieldInfo]:
    """The fields that a definition of the schema has, too."""
    in_branches = IN_BRANCHES.get(cls.__name__, set())
    return [
        field
        for field in fields(cls)
        if field.name not in unused and field.encode_name not in in_branches
    ]


def test_a_type_has_the_fields_of_the_schema(
    edition: Any,
    wire_type: type[Struct],
    schema: dict[str, Any],
    unused: Callable[[type[Struct]], set[str]],
) -> None:
    names = {field.encode_name for field in compared(wire_type, unused(wire_type))}
    official = properties(wire_type, schema)
    if "_meta" not in official:
        names.discard("_meta")
    assert names == set(official)


def test_a_type_requires_what_the_schema_requires(
    edition: Any,
    wire_type: type[Struct],
    schema: dict[str, Any],
    unused: Callable[[type[Struct]], set[str]],
) -> None:
    ours = {field.encode_name for field in compared(wire_type, unused(wire_type)) if field.required}
    official = required(wire_type, schema)
    if "mode" in IN_BRANCHES.get(wire_type.__name__, ()):
        official -= ONE_OF_BOTH
    assert ours == official


def test_a_malformed_field_does_what_the_schema_says(
    edition: Any,
    wire_type: type[Struct],
    schema: dict[str, Any],
    unused: Callable[[type[Struct]], set[str]],
) -> None:
    on_error = getattr(wire_type, "on_error", {})
    official = properties(wire_type, schema)
    for field in compared(wire_type, unused(wire_type)):
        if field.encode_name in official and issubclass(wire_type, Wire):
            rule = "raise" if field.required else "default"
            expected = marked(official[field.encode_name])
            assert (field.name, on_error.get(field.name, rule)) == (field.name, expected)


def marked(definition: Any) -> str:
    """What the schema's markers say of a malformed value."""
    if definition is True:
        return "raise"
    error = definition.get("x-deserialize-default-on-error")
    skip = definition.get("x-deserialize-skip-invalid-items")
    if error:
        return "whole" if "array" in str(definition.get("type")) and not skip else "default"
    if skip:
        return "items"
    return "null" if definition.get("x-deserialize-default-on-null") else "raise"


def test_each_field_that_differs_from_the_rule_is_a_field(
    edition: Any, wire_type: type[Struct]
) -> None:
    names = {field.name for field in fields(wire_type)}
    assert set(getattr(wire_type, "on_error", {})) <= names


def branches(definition: dict[str, Any]) -> list[dict[str, Any]]:
    return definition.get("oneOf") or definition.get("anyOf") or []


def consts(definition: dict[str, Any]) -> set[str]:
    return {one["const"] for one in branches(definition) if isinstance(one.get("const"), str)}


def test_a_set_of_values_is_that_of_the_schema(edition: Any, schema: dict[str, Any]) -> None:
    official = {name for name, one in schema.items() if consts(one)}
    for name in official - {"ElicitationSchemaType"}:
        if not hasattr(edition.module, name):
            assert edition.name == "v1-unstable", name  # the stable ones are v1's
            continue
        alias = getattr(edition.module, name)
        literals = [one for one in typing.get_args(alias) if typing.get_origin(one)] or [alias]
        assert set(typing.get_args(literals[0])) == consts(schema[name]), name
        is_open = any("const" not in one for one in branches(schema[name]))
        assert (str in typing.get_args(alias)) == is_open, name


def discriminated(definition: dict[str, Any]) -> tuple[str, set[str], bool] | None:
    """A union's discriminator, its tags, and whether there may be others."""
    objects = [one for one in branches(definition) if one.get("properties")]
    tags = [
        (name, one["const"])
        for branch in objects
        for name, one in branch["properties"].items()
        if name in branch.get("required", ()) and "const" in one
    ]
    if not tags:
        return None
    tag_field = tags[0][0]
    is_open = any("const" not in one["properties"].get(tag_field, {}) for one in objects)
    return tag_field, {tag for _, tag in tags}, is_open


def test_a_union_has_the_discriminator_and_the_tags_of_the_schema(
    edition: Any, schema: dict[str, Any]
) -> None:
    checked = 0
    for name, definition in schema.items():
        official = discriminated(definition)
        alias = getattr(edition.module, name, None)
        if official is None or alias is None or not typing.get_args(alias):
            continue
        variants = typing.get_args(alias)
        tags = {one.__struct_config__.tag for one in variants}
        assert {one.__struct_config__.tag_field for one in variants} == {official[0]}, name
        assert tags - {UNKNOWN_TAG} == official[1], name
        if name != "SessionUpdate":  # a closed one, but what may be added is kept here
            assert (UNKNOWN_TAG in tags) == official[2], name
        checked += 1
    assert checked >= {"v1": 6, "v1-unstable": 2, "v2": 14}[edition.name]


def test_every_definition_of_an_object_has_a_type(
    edition: Any, schema: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    inner = {part for parts in PARTS.values() for part in parts}
    left_out = ("Proxy", "Agent", "Client")  # chains of proxies; JSON-RPC's own messages
    jsonrpc = {f"{side}{kind}" for side in left_out for kind in KINDS} | {"Error", "ExtResponse"}
    known = schemas["v1"] if edition.name == "v1-unstable" else {}
    for name, definition in schema.items():
        if definition.get("type") != "object" or name in inner | jsonrpc or "Proxy" in name:
            continue
        assert hasattr(edition.module, name) or known.get(name), name


KINDS = ("Request", "Response", "Notification")


def methods_of(edition: Any) -> list[Method]:
    version, stability = {
        "v1": (1, "stable"),
        "v1-unstable": (1, "unstable"),
        "v2": (2, "draft"),
    }[edition.name]
    return [one for one in TABLE.values() if (one.version, one.stability) == (version, stability)]


def test_every_method_is_in_the_table_with_its_side(
    edition: Any, schema: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    stable = schemas["v1"] if edition.name == "v1-unstable" else {}
    official = {
        (one["x-method"], one["x-side"])
        for name, one in schema.items()
        if one.get("x-side") not in (None, "proxy") and "x-method" not in stable.get(name, {})
    }
    sides = {"both": "protocol"}
    ours = {(one.name, sides.get(one.served_by, one.served_by)) for one in methods_of(edition)}
    assert ours == official


def test_a_method_has_the_types_that_the_schema_gives_it(
    edition: Any, schema: dict[str, Any]
) -> None:
    for name in {method.name for method in methods_of(edition)}:
        types: set[str] = set()
        for method in methods_of(edition):
            if method.name == name:
                types |= {method.params_type, *filter(None, [method.result_type])}
                assert method.params is getattr(edition.module, method.params_type)
        assert types == {key for key, one in schema.items() if one.get("x-method") == name}


def validator(name: str, schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$defs": schema, "$ref": f"#/$defs/{name}"})


def valid_as(
    wire_type: type[Struct],
    edition: Any,
    schema: dict[str, Any],
    received_as: dict[type[Struct], tuple[type[Struct], ...]],
) -> str:
    """The definition that an object is valid as: its union's, since that holds its tag."""
    for name in edition.module.__all__:
        alias = getattr(edition.module, name)
        if wire_type in typing.get_args(alias) and name in schema:
            return name
    for received, variants in received_as.items():
        if wire_type in variants and wire_type.__struct_config__.tag_field is None:
            return received.__name__ if received.__name__ in schema else wire_type.__name__
        if wire_type in variants and received.__name__ == "StateUpdate":
            return "SessionUpdate"
    return PARTS.get(wire_type.__name__, (wire_type.__name__,))[0]


@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.generate],  # to shrink objects this deep takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_what_is_sent_is_valid_and_reads_back_the_same(
    edition: Any,
    wire_type: type[Struct],
    schema: dict[str, Any],
    wire_objects: Callable[[type[Struct]], st.SearchStrategy[Any]],
    received_as: dict[type[Struct], tuple[type[Struct], ...]],
    data: st.DataObject,
) -> None:
    value = data.draw(wire_objects(wire_type))
    sent = plain(value)
    name = valid_as(wire_type, edition, schema, received_as)
    validator(name, schema).validate(sent)  # pyright: ignore[reportUnknownMemberType]
    read = Reader(wire_type).decode(msgspec.json.encode(sent))
    assert plain(read) == sent


def test_an_unknown_key_is_ignored() -> None:
    read = msgspec.json.decode(b'{"sessionId":"s","later":1}', type=v1.CancelNotification)
    assert read == v1.CancelNotification(session_id="s")


def test_null_is_the_same_as_not_there() -> None:
    read = msgspec.json.decode(
        b'{"toolCallId":"t","title":null,"content":null}', type=v1.ToolCallPatch
    )
    assert read == v1.ToolCallPatch(tool_call_id="t")
