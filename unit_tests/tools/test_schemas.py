"""How a stream's schema is made from a document."""

from typing import Any

import pytest

from source_incident.streams.base import ChildStream, FullTableStream
from tools.document import Document
from tools.schemas import SchemaError, stream_schema


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
    credentials = {"doors.key": "it opens doors"}
    extra_fields = {"first": "owner.name"}
    body_fields = {"counted_at": "metadata.counted_at"}


def document(record: dict[str, Any], **schemas: Any) -> Document:
    children = {"type": "array", "items": record}
    metadata = {"type": "object", "properties": {"counted_at": {"type": "string"}}}
    body = {"type": "object", "properties": {"children": children, "metadata": metadata}}
    answer = {"200": {"content": {"application/json": {"schema": body}}}}
    return Document(
        "test",
        {
            "paths": {"/v1/parents/{id}/children": {"get": {"responses": answer}}},
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
    found: dict[str, Any] = stream_schema(document(record, **schemas), Children)["properties"]
    return found


def test_what_is_not_required_can_be_null() -> None:
    found = columns({"name": {"type": "string"}, "size": {"type": "integer", "format": "int64"}})
    assert found["name"] == {"type": "string"}
    assert found["size"] == {"type": ["null", "integer"]}


def test_a_key_is_never_null_though_the_document_does_not_require_it() -> None:
    assert columns({})["id"] == {"type": "string"}


def test_what_the_connector_adds_is_a_column() -> None:
    found = columns({})
    assert found["parent_id"] == {"type": "string"}
    assert found["position"] == {"type": "integer"}
    assert found["first"] == {"type": ["null", "string"]}
    assert found["counted_at"] == {"type": ["null", "string"]}


def test_a_credential_is_cut_out_inside_a_list() -> None:
    assert columns({})["doors"]["items"]["properties"] == {"at": {"type": ["null", "string"]}}


def test_a_credential_that_the_document_has_no_more_is_noticed() -> None:
    with pytest.raises(SchemaError, match=r"doors\.key"):
        columns({"doors": {"type": "string"}})


def test_enumerations_patterns_lengths_and_prose_are_left_out() -> None:
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
    assert found["name"] == {"type": "string"}


def test_what_contains_itself_is_cut_where_it_begins_again() -> None:
    node = {"type": "object", "properties": {"below": {"$ref": "#/components/schemas/Node"}}}
    found = columns({"tree": {"$ref": "#/components/schemas/Node"}}, Node=node)
    assert found["tree"] == {
        "type": ["null", "object"],
        "additionalProperties": True,
        "properties": {"below": {"type": ["null", "object"], "additionalProperties": True}},
    }


def test_a_map_keeps_the_type_of_its_values() -> None:
    found = columns({"tags": {"type": "object", "additionalProperties": {"type": "string"}}})
    assert found["tags"]["additionalProperties"] == {"type": ["null", "string"]}


def test_a_value_without_a_type_has_to_be_decided_on() -> None:
    with pytest.raises(SchemaError, match=r"children\.anything"):
        columns({"anything": {"description": "free form"}})
