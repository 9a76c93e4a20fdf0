"""The wire types are those of the official schema: names, required fields, values, shapes."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

from punie.acp.methods import METHODS
from punie.acp.schema import v1

# Names that stand inside a `oneOf` of the schema, and the definition that holds them.
INSIDE = {
    "UserMessageChunk": "ContentChunk",
    "AgentMessageChunk": "ContentChunk",
    "AgentThoughtChunk": "ContentChunk",
    "ToolCallPatch": "ToolCallUpdate",
    "CancelledPermissionOutcome": None,
    "SessionConfigSelect": None,
    "SessionConfigBoolean": None,
}
UNIONS = {
    "ContentBlock": v1.ContentBlock,
    "SessionUpdate": v1.SessionUpdate,
    "ToolCallContent": v1.ToolCallContent,
    "RequestPermissionOutcome": v1.RequestPermissionOutcome,
    "SessionConfigOption": v1.SessionConfigOption,
}
ENUMS = {
    "Role": v1.Role,
    "ToolKind": v1.ToolKind,
    "ToolCallStatus": v1.ToolCallStatus,
    "PermissionOptionKind": v1.PermissionOptionKind,
    "StopReason": v1.StopReason,
    "PlanEntryPriority": v1.PlanEntryPriority,
    "PlanEntryStatus": v1.PlanEntryStatus,
}
UNTYPED = {"AuthMethodTerminal", "McpServerHttp", "McpServerSse"}  # `type` stands in the union
LEFT_OUT = {"elicitation/create", "elicitation/complete"}  # stable, but not in this version
UNUSED = {
    "McpServerStdio": {"type", "url", "headers"},
    "McpServerHttp": {"command", "args", "env"},
    "McpServerSse": {"command", "args", "env"},
    "AuthMethodAgent": {"type", "args", "env"},
    "TextResourceContents": {"blob"},
    "BlobResourceContents": {"text"},
    "SessionConfigSelectOption": {"group", "options"},
    "SessionConfigSelectGroup": {"value", "description"},
    "SetSessionConfigOptionRequest": {"value", "type"},  # stand in the branches of its `anyOf`
}


def union_of(cls: type[Struct]) -> str | None:
    return next((name for name, union in UNIONS.items() if cls in typing.get_args(union)), None)


def definition(cls: type[Struct], schema: dict[str, Any]) -> dict[str, Any]:
    name = INSIDE.get(cls.__name__, cls.__name__)
    if name is None:
        pytest.skip("has no definition of its own; its union is tested")
    return schema[name]


def test_a_type_has_the_fields_of_the_schema(
    wire_type: type[Struct], schema: dict[str, Any]
) -> None:
    official = definition(wire_type, schema)
    unused = UNUSED.get(wire_type.__name__, set[str]())
    names = {field.encode_name for field in fields(wire_type) if field.name not in unused}
    if wire_type.__name__ in UNTYPED:
        names.discard("type")
    if "_meta" not in official.get("properties", {}):
        names.discard("_meta")
    assert names == set(official.get("properties", {}))


def test_a_type_requires_what_the_schema_requires(
    wire_type: type[Struct], schema: dict[str, Any]
) -> None:
    official = definition(wire_type, schema)
    required = {field.encode_name for field in fields(wire_type) if field.required}
    # Its value has a type of its own in each branch of the union.
    required -= {"value"} if wire_type is v1.SetSessionConfigOptionRequest else set()
    assert required == set(official.get("required", ()))


@pytest.mark.parametrize("name", ENUMS)
def test_a_set_of_values_is_that_of_the_schema(name: str, schema: dict[str, Any]) -> None:
    values = {one["const"] for one in schema[name]["oneOf"]}
    assert set(typing.get_args(ENUMS[name])) == values


@pytest.mark.parametrize("name", UNIONS)
def test_a_union_has_the_discriminator_and_the_tags_of_the_schema(
    name: str, schema: dict[str, Any]
) -> None:
    tag_field = schema[name]["discriminator"]["propertyName"]
    official = {one["properties"][tag_field]["const"] for one in schema[name]["oneOf"]}
    variants = [cls for cls in typing.get_args(UNIONS[name]) if cls is not v1.UnknownUpdate]
    assert {cls.__struct_config__.tag_field for cls in variants} == {tag_field}
    assert {cls.__struct_config__.tag for cls in variants} == official


def test_every_stable_method_is_in_the_table(schema: dict[str, Any]) -> None:
    official = {one["x-method"]: one["x-side"] for one in schema.values() if "x-method" in one}
    ours = {method.name: method.served_by for method in METHODS}
    ours["$/cancel_request"] = "protocol"  # pyright: ignore[reportArgumentType]
    assert ours == {name: side for name, side in official.items() if name not in LEFT_OUT}


def test_a_method_has_the_types_that_the_schema_gives_it(schema: dict[str, Any]) -> None:
    for method in METHODS:
        names = {name for name, one in schema.items() if one.get("x-method") == method.name}
        types = {method.params.__name__} | ({method.result.__name__} if method.result else set())
        assert types == names


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],  # to shrink objects this deep takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_what_is_sent_is_valid_and_reads_back_the_same(
    wire_type: type[Struct],
    schema: dict[str, Any],
    wire_objects: Callable[[type[Struct]], st.SearchStrategy[Any]],
    data: st.DataObject,
) -> None:
    value = data.draw(wire_objects(wire_type))
    sent = msgspec.json.encode(value)
    name = union_of(wire_type) or INSIDE.get(wire_type.__name__, wire_type.__name__)
    validator = jsonschema.Draft202012Validator({"$defs": schema, "$ref": f"#/$defs/{name}"})
    validator.validate(msgspec.json.decode(sent))
    read = msgspec.json.decode(sent, type=wire_type)
    assert msgspec.json.decode(msgspec.json.encode(read)) == msgspec.json.decode(sent)


def test_an_unknown_key_is_ignored() -> None:
    read = msgspec.json.decode(b'{"sessionId":"s","later":1}', type=v1.CancelNotification)
    assert read == v1.CancelNotification(session_id="s")


def test_null_is_the_same_as_not_there() -> None:
    read = msgspec.json.decode(
        b'{"toolCallId":"t","title":null,"content":null}', type=v1.ToolCallPatch
    )
    assert read == v1.ToolCallPatch(tool_call_id="t")
