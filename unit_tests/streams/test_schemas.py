"""The schemas of the streams: rules for all of them, and incident.io's own tap as a reference."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airbyte_cdk.sources.utils.casing import camel_to_snake

from source_incident.streams import STREAMS
from source_incident.streams.kinds import ChildStream, CursorStream

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "source_incident" / "schemas"
GO_TAP = ROOT.parent / "shared" / "reference" / "singer-tap"

Schema = Mapping[str, Any]
Declaration = Any  # a concrete class of IncidentStream

NAMES = [camel_to_snake(stream.__name__) for stream in STREAMS]
BY_NAME = dict(zip(NAMES, STREAMS, strict=True))

# Columns of incident.io's own tap whose declared type differs from the values of the API
GO_TAP_WRONG_TYPES = {
    # Documented and sent as a list of ids.
    ("alert_sources", "jira_options.project_ids[]"),
    # Documented and sent as a string, so that no digit is lost: "123.456".
    ("incidents", "custom_field_entries[].values[].value_numeric"),
}

every_stream = pytest.mark.parametrize("stream", STREAMS, ids=NAMES)
needs_go_tap = pytest.mark.skipif(
    not GO_TAP.exists(), reason="the catalog and records of incident.io's own tap are not here"
)


def schema_of(stream: Declaration) -> dict[str, Any]:
    path = SCHEMAS / f"{camel_to_snake(stream.__name__)}.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def subschemas(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, value in schema.get("properties", {}).items():
        yield from subschemas(value, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from subschemas(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from subschemas(schema["additionalProperties"], f"{path}.*")


def types(schema: Schema) -> set[str]:
    declared = schema["type"]
    return {declared} if isinstance(declared, str) else set(declared)


def test_each_stream_has_a_schema_and_there_are_no_others() -> None:
    assert sorted(path.stem for path in SCHEMAS.glob("*.json")) == sorted(NAMES)
    assert len(NAMES) == len(set(NAMES))


@every_stream
def test_a_schema_is_valid_draft_7(stream: Declaration) -> None:
    schema = schema_of(stream)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)


@every_stream
def test_a_schema_declares_types_and_nothing_that_the_vendor_may_widen(stream: Declaration) -> None:
    schema = schema_of(stream)
    schema.pop("$schema")
    keywords = {keyword for _, subschema in subschemas(schema) for keyword in subschema}
    assert keywords <= {"type", "format", "properties", "items", "additionalProperties"}
    assert {subschema["format"] for _, subschema in subschemas(schema) if "format" in subschema} <= {"date-time"}


@every_stream
def test_every_value_has_one_type_besides_null(stream: Declaration) -> None:
    schema = schema_of(stream)
    assert types(schema) == {"object"}
    several = [path for path, found in subschemas(schema) if len(types(found) - {"null"}) != 1]
    assert not several, "targets make a column of one type"


@every_stream
def test_an_object_accepts_fields_that_do_not_exist_yet(stream: Declaration) -> None:
    for path, found in subschemas(schema_of(stream)):
        if "object" in types(found):
            assert found["additionalProperties"] is not False, path


@every_stream
def test_a_key_field_is_a_column_that_is_never_null(stream: Declaration) -> None:
    columns = schema_of(stream)["properties"]
    key: Any = stream.primary_key
    assert key
    for field in key:
        assert types(columns[field]) in ({"string"}, {"integer"}), field


@every_stream
def test_fields_that_the_connector_adds_are_columns(stream: Declaration) -> None:
    columns = schema_of(stream)["properties"]
    added = [
        *stream.extra_fields,
        *stream.body_fields,
        *stream.nested,
        *stream.detail_columns,
        stream.record_list_field,
        stream.position_field,
    ]
    ancestor: Any = stream
    while issubclass(ancestor, ChildStream):
        added.append(ancestor.parent_key)
        ancestor = ancestor.parent
    assert {column for column in added if column} <= columns.keys()


@every_stream
def test_credentials_are_not_columns(stream: Declaration) -> None:
    paths = {path.replace("[]", "") for path, _ in subschemas(schema_of(stream))}
    assert not paths & set(stream.credentials)


def test_the_known_credentials_are_declared() -> None:
    assert {"secret_token", "alert_events_url"} <= set(BY_NAME["alert_sources"].credentials)


@every_stream
def test_every_column_but_the_keys_can_be_null(stream: Declaration) -> None:
    """One null would stop a target that validates, at every sync."""
    key: Any = stream.primary_key
    for path, found in subschemas(schema_of(stream)):
        *parents, name = path.split(".")
        if path and not path.endswith("[]") and (parents or name not in key) and not _is_nested_key(stream, path):
            assert "null" in types(found), path


def _is_nested_key(stream: Declaration, path: str) -> bool:
    """Whether a path is that of a key inside a column that has another stream's records."""
    column, _, name = path.partition("[].")
    return column in stream.nested and name in BY_NAME[stream.nested[column]].primary_key


@every_stream
def test_only_records_have_a_column_for_undeclared_fields(stream: Declaration) -> None:
    found = [path for path, _ in subschemas(schema_of(stream)) if path.split(".")[-1] == "_undeclared"]
    assert found == ["_undeclared"]


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if issubclass(stream, CursorStream)])
def test_a_cursor_is_a_column(stream: type[CursorStream]) -> None:
    assert types(schema_of(stream)["properties"][str(stream.cursor_field)]) == {"null", "string"}


def differences(old: Schema, new: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """The differences that break a reader of `old`, as path and problem."""
    old_types, new_types = types(old) - {"null"}, types(new) - {"null"}
    if old_types != new_types:
        yield path, f"{sorted(old_types)} became {sorted(new_types)}"
    elif old.get("format") != new.get("format"):
        yield path, f"format {old.get('format')} became {new.get('format')}"
    for name, column in old.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        if name not in new.get("properties", {}):
            yield below, "is missing"
        else:
            yield from differences(column, new["properties"][name], below)
    if "items" in old and "items" in new:
        yield from differences(old["items"], new["items"], f"{path}[]")


@needs_go_tap
def test_has_every_column_of_the_go_tap() -> None:
    catalog = json.loads((GO_TAP / "discover.json").read_text(encoding="utf-8"))
    assert len(catalog["streams"]) == 16
    found = [
        (entry["stream"], path, problem)
        for entry in catalog["streams"]
        for path, problem in differences(entry["schema"], schema_of(BY_NAME[entry["stream"]]))
    ]
    unexplained = [row for row in found if row[:2] not in GO_TAP_WRONG_TYPES]
    assert not unexplained
    assert {row[:2] for row in found} == GO_TAP_WRONG_TYPES, "an exception is no longer needed"


@needs_go_tap
@pytest.mark.parametrize("name", [path.stem for path in sorted((GO_TAP / "sync").glob("*.json"))])
def test_records_of_a_real_account_are_valid(name: str) -> None:
    records = json.loads((GO_TAP / "sync" / f"{name}.json").read_text(encoding="utf-8"))
    assert records
    validator = jsonschema.Draft7Validator(
        schema_of(BY_NAME[name]), format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER
    )
    problems = [
        f"{index}: {error.json_path}: {error.message}"
        for index, record in enumerate(records)
        for error in validator.iter_errors(record)
    ]
    assert not problems
