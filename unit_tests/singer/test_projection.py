"""Projection of records onto the selected columns."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.singer.projection import Projection
from unit_tests.singer.catalogs import SCHEMA
from unit_tests.singer.strategies import column_schemas, json_values, names


def project(
    schema: dict[str, Any], record: dict[str, Any], full_schema: dict[str, Any] | None = None
) -> dict[str, Any]:
    return Projection(schema, full_schema or schema, lambda path: None).project([record])[0]


def test_a_record_with_nothing_to_drop_is_not_copied() -> None:
    record = {"id": "1", "lead": {"name": "a", "team": {"id": "t"}}, "notes": [{"text": "t"}], "name": None}
    assert project(SCHEMA, record) is record


@pytest.mark.parametrize("value", [None, "text", 5, [], {}, [None], [1, {"text": "t"}], [[{"text": "t"}]], True])
def test_a_value_of_another_type_than_the_schemas_is_kept(value: Any) -> None:
    record = {"id": "1", "lead": value, "notes": value}
    expected = {"id": "1", "lead": value, "notes": value}
    if value and "text" in str(value) and isinstance(value, list):
        expected["lead"] = json.loads(json.dumps(value).replace('{"text": "t"}', "{}"))
    assert project(SCHEMA, record) == expected


def test_an_object_without_columns_in_an_old_catalog_is_kept() -> None:
    schema = {"properties": {"id": {"type": "string"}, "lead": {"type": ["null", "object"]}}}
    record = {"id": "1", "lead": {"name": "a"}}
    assert project(schema, record, full_schema=SCHEMA) is record


def test_an_object_without_columns_in_the_schema_is_kept() -> None:
    schema = {"properties": {"free": {"type": "object"}, "open": {"type": "object", "properties": {}}}}
    record = {"free": {"a": 1}, "open": {"b": {"c": 2}}}
    assert project(schema, record) is record


def reference_projection(schema: Any, value: Any) -> Any:
    """The expected result, in its simplest form."""
    if isinstance(value, list):
        while isinstance(schema.get("items"), dict) and "properties" not in schema:
            schema = schema["items"]
        return [reference_projection(schema, element) for element in value]
    while isinstance(schema.get("items"), dict):
        schema = schema["items"]
    if isinstance(value, dict) and schema.get("properties"):
        properties = schema["properties"]
        return {key: reference_projection(properties[key], field) for key, field in value.items() if key in properties}
    return value


def values_near(schema: Any) -> st.SearchStrategy[Any]:
    """Values that fit the schema or nearly so: with unknown or missing fields, or of another type."""
    if schema.get("properties"):
        fields = {key: values_near(column_schema) for key, column_schema in schema["properties"].items()}
        return json_values | st.builds(
            lambda known, unknown: {**unknown, **known},
            st.fixed_dictionaries({}, optional=fields),
            st.dictionaries(names, json_values, max_size=2),
        )
    if isinstance(schema.get("items"), dict):
        return json_values | st.lists(values_near(schema["items"]), max_size=3)
    return json_values


@given(st.data())
def test_exactly_the_fields_that_the_schema_lacks_are_dropped(data: st.DataObject) -> None:
    schema = {"properties": data.draw(st.dictionaries(names, column_schemas, min_size=1, max_size=4))}
    record = data.draw(values_near(schema).filter(lambda value: isinstance(value, dict)))
    before = copy.deepcopy(record)
    unknown: list[str] = []
    projection = Projection(schema, schema, unknown.append)
    projected = projection.project([record])[0]
    assert record == before
    assert projected == reference_projection(schema, before)
    assert (projected is record) == (projected == before) == (not unknown)
    assert projection.project([projected])[0] is projected


@pytest.mark.parametrize("allowed", [True, {}])
def test_a_column_whose_schema_allows_anything_is_kept_whole(allowed: Any) -> None:
    schema = {"properties": {"id": {"type": "string"}, "lead": allowed, "notes": {"type": "array", "items": allowed}}}
    record = {"id": "1", "lead": {"name": "a", "team": {"id": "t"}}, "notes": [{"text": "t"}, 5]}
    assert project(schema, record) is record
    assert project(schema, record, full_schema=SCHEMA) is record
    assert project(schema, {**record, "unknown": 1}) == record
