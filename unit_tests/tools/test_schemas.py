"""Generating a stream's schema from the vendor's document."""

from typing import Any

import pytest

from source_incident.streams.kinds import ChildStream, FullTableStream
from tools.generated import stale_files
from tools.openapi import Document
from tools.schemas import SchemaError, files, obsolete, stream_schema


class Parents(FullTableStream):
    endpoint = "/v1/parents"
    records_key = "parents"
    primary_key = ["id"]


class Children(ChildStream):
    endpoint = "/v1/parents/{parent_id}/children"
    records_key = "children"
    primary_key = ["id", "parent_id"]
    parent = Parents
    parent_key = "parent_id"
    position_field = "position"
    credentials = {"doors.key": "a secret"}
    extra_fields = {"first": "owner.name"}
    body_fields = {"counted_at": "metadata.counted_at"}


def make_document(record: dict[str, Any], **schemas: Any) -> Document:
    children = {"type": "array", "items": record}
    metadata = {"type": "object", "properties": {"counted_at": {"type": "string"}}}
    body = {"type": "object", "properties": {"children": children, "metadata": metadata}}
    responses = {"200": {"content": {"application/json": {"schema": body}}}}
    return Document(
        "test",
        {
            "paths": {"/v1/parents/{id}/children": {"get": {"responses": responses}}},
            "components": {"schemas": schemas},
        },
    )


DOORS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"key": {"type": "string"}, "at": {"type": "string"}},
    },
}


OWNER = {"type": "object", "properties": {"name": {"type": "string"}}}


def columns(properties: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    record = {
        "type": "object",
        "required": ["name"],
        "properties": {"id": {"type": "string"}, "doors": DOORS, "owner": OWNER, **properties},
    }
    found: dict[str, Any] = stream_schema(make_document(record, **schemas), Children)["properties"]
    return found


def test_every_field_is_nullable_even_if_required() -> None:
    owner = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    found = columns({"name": {"type": "string"}, "size": {"type": "integer", "format": "int64"}, "owner": owner})
    assert found["name"] == {"type": ["null", "string"]}
    assert found["size"] == {"type": ["null", "integer"]}
    assert found["owner"]["type"] == ["null", "object"]
    assert found["owner"]["properties"]["name"] == {"type": ["null", "string"]}


def test_has_a_column_for_undeclared_fields() -> None:
    assert columns({})["_undeclared"] == {"type": ["null", "object"], "additionalProperties": True}


def test_key_fields_are_not_nullable_even_if_optional() -> None:
    assert columns({})["id"] == {"type": "string"}


def test_includes_the_columns_that_the_connector_adds() -> None:
    found = columns({})
    assert found["parent_id"] == {"type": "string"}
    assert found["position"] == {"type": ["null", "integer"]}
    assert found["first"] == {"type": ["null", "string"]}
    assert found["counted_at"] == {"type": ["null", "string"]}


def test_removes_a_credential_inside_a_list() -> None:
    assert columns({})["doors"]["items"]["properties"] == {"at": {"type": ["null", "string"]}}


def test_rejects_a_credential_that_is_not_in_the_document() -> None:
    with pytest.raises(SchemaError, match=r"doors\.key"):
        columns({"doors": {"type": "string"}})


def test_leaves_out_enumerations_patterns_lengths_and_prose() -> None:
    found = columns(
        {
            "name": {
                "type": "string",
                "enum": ["a"],
                "pattern": "^a$",
                "maxLength": 1,
                "description": "A name",
                "example": "a",
            }
        }
    )
    assert found["name"] == {"type": ["null", "string"]}


def test_recursive_schema_ends_at_the_first_repetition() -> None:
    node = {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Node"}}}
    found = columns({"tree": {"$ref": "#/components/schemas/Node"}}, Node=node)
    assert found["tree"] == {
        "type": ["null", "object"],
        "additionalProperties": True,
        "properties": {"child": {"type": ["null", "object"], "additionalProperties": True}},
    }


def test_map_keeps_the_type_of_its_values() -> None:
    found = columns({"tags": {"type": "object", "additionalProperties": {"type": "string"}}})
    assert found["tags"]["additionalProperties"] == {"type": ["null", "string"]}


def test_rejects_a_value_without_a_type() -> None:
    with pytest.raises(SchemaError, match=r"children\.anything"):
        columns({"anything": {"description": "free form"}})


def test_committed_files_are_current(document: Document) -> None:
    generated = files(document)
    assert stale_files(generated) == [], "run: make schemas"
    assert obsolete(generated) == [], "run: make schemas"
