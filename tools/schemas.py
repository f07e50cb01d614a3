"""Generate the streams' schemas and the mock API's contract from the vendor's OpenAPI document.

    python -m tools.schemas [--check] [--document PATH]

`--check` writes nothing and exits 1 if a committed file is not current.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from source_incident.projection import UNDECLARED as UNDECLARED_COLUMN
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream, stream_name
from source_incident.streams.kinds import ChildStream
from tools import generated, json_format
from tools.generated import ROOT
from tools.openapi import PINNED_VERSION, Document, fetch, load, reference_name
from tools.sandbox_contract import contract

SCHEMAS = ROOT / "source_incident" / "schemas"
CONTRACT = ROOT / "sandbox" / "contract.json"

Schema = dict[str, Any]

KEPT_COLUMNS: Mapping[str, Mapping[str, Schema]] = {
    # incident.io's own tap emits this column from the deprecated /v1 endpoint; /v2 has no such field
    "incident_roles": {"required": {"type": ["null", "boolean"]}},
}
"""Columns that are not in the document but in the tables of users who migrate from incident.io's own tap."""


UNDECLARED: Schema = {"type": ["null", "object"], "additionalProperties": True}
"""The schema of the column for fields that the connector does not declare yet."""


class SchemaError(Exception):
    """A stream's schema can't be generated from the document."""


def stream_schema(document: Document, stream: type[IncidentStream]) -> Schema:
    """The JSON Schema (draft-07) of the records that `stream` emits.

    It has types and nullability only. Enumerations, patterns and lengths are left out, because the vendor can
    widen them at any time. Every field is nullable, even if the document requires it, because one null would stop
    a target that validates; fields of the primary key are not. Credentials are removed, and the columns that the
    connector adds are included.

    Raises:
        SchemaError: a field has no type, or a declared path is not in the document.
    """
    name = stream_name(stream)
    if stream.csv_column is None:
        body = document.body(stream.endpoint)
        record = _convert(document, _record(document, stream, body), where=name)
    else:
        # The document has no columns of it.
        cells = {stream.csv_column: {"type": ["null", "object"], "additionalProperties": True}}
        body, record = {}, {"type": "object", "additionalProperties": True, "properties": cells}
    columns: dict[str, Schema] = record["properties"]
    if stream.detail_endpoint:
        detail = _convert(document, document.body(stream.detail_endpoint), where=name)
        columns |= {column: _at(detail, path, name) for column, path in stream.detail_columns.items()}
    for path in stream.credential_urls:
        _at(record, path, name)
    for path in stream.credentials:
        _remove(record, path, name)
    for key in _parent_keys(stream):
        columns.setdefault(key, {"type": ["null", "string"]})
    if stream.month_parameters is not None:
        columns["month"] = {"type": ["null", "string"]}
    if stream.record_list_field is not None:
        columns[stream.record_list_field] = {"type": ["null", "string"]}
    if stream.position_field is not None:
        columns[stream.position_field] = {"type": ["null", "integer"]}
    for column, path in stream.extra_fields.items():
        columns[column] = _at(record, path, name)
    for column, path in stream.body_fields.items():
        columns[column] = _at(_convert(document, body, where=name), path, name)
    for column, nested in stream.nested.items():
        items = stream_schema(document, _stream(nested))
        del items["$schema"], items["properties"][UNDECLARED_COLUMN]
        columns[column] = {"type": ["null", "array"], "items": items}
    for column, kept in KEPT_COLUMNS.get(name, {}).items():
        columns.setdefault(column, kept)
    columns[UNDECLARED_COLUMN] = UNDECLARED
    for key in key_of(stream):
        columns[key] = columns[key] | {"type": _without_null(columns[key])}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **record}


def key_of(stream: type[IncidentStream]) -> list[str]:
    """The fields of a stream's primary key."""
    key: Any = stream.primary_key  # the CDK declares a property, the streams a list
    return [str(field) for field in key]


def files(document: Document) -> dict[Path, str]:
    """The text of every generated file, by path."""
    schemas = {
        SCHEMAS / f"{stream_name(stream)}.json": json_format.dumps(stream_schema(document, stream))
        for stream in STREAMS
    }
    return {**schemas, CONTRACT: json_format.dumps(contract(document))}


def obsolete(files: Mapping[Path, str]) -> list[Path]:
    """The committed schemas that belong to no stream."""
    return sorted(set(SCHEMAS.glob("*.json")) - files.keys())


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.schemas", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help=generated.CHECK_HELP)
    parser.add_argument("--document", type=Path, help="an openapi.json file instead of the pinned version")
    options = parser.parse_args(arguments)
    document = load(options.document, PINNED_VERSION) if options.document else fetch()
    contents = files(document)
    return generated.update(contents, obsolete=obsolete(contents), check=options.check)


def _stream(name: str) -> type[IncidentStream]:
    return next(stream for stream in STREAMS if stream_name(stream) == name)


def _parent_keys(stream: type[IncidentStream]) -> list[str]:
    """The fields with parent ids that a record gets, one per ancestor."""
    keys = []
    while issubclass(stream, ChildStream):
        keys.append(stream.parent_key)
        stream = stream.parent
    return keys


def _record(document: Document, stream: type[IncidentStream], body: Mapping[str, Any]) -> Mapping[str, Any]:
    if stream.records_key is None:
        return body
    schema = document.resolve(body["properties"][stream.records_key])
    if stream.single_record:
        return schema
    for name in stream.record_lists[:1]:
        schema = document.resolve(schema["properties"][name])
    return document.resolve(schema["items"])


def _convert(
    document: Document,
    schema: Mapping[str, Any],
    *,
    where: str,
    nullable: bool = False,
    ancestors: tuple[str, ...] = (),
) -> Schema:
    if "$ref" in schema:
        name = reference_name(schema)
        if name in ancestors:
            # Stream schemas have no $ref: a recursive schema ends at the first repetition
            return {"type": _types("object", nullable), "additionalProperties": True}
        ancestors = (*ancestors, name)
        schema = document.resolve(schema)
    match schema.get("type"):
        case "object":
            return _object(document, schema, where, nullable, ancestors)
        case "array":
            items = _convert(document, schema["items"], where=f"{where}[]", ancestors=ancestors)
            return {"type": _types("array", nullable), "items": items}
        case "string" | "integer" | "number" | "boolean" as kind:
            format_ = {"format": "date-time"} if schema.get("format") == "date-time" else {}
            return {"type": _types(kind, nullable), **format_}
        case other:
            # Targets need one type per column; guessing one could lose data
            raise SchemaError(f"{where}: unsupported type in the document ({other})")


def _object(
    document: Document,
    schema: Mapping[str, Any],
    where: str,
    nullable: bool,
    ancestors: tuple[str, ...],
) -> Schema:
    result: Schema = {"type": _types("object", nullable), "additionalProperties": True}
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        result["additionalProperties"] = _convert(
            document, values, where=f"{where}.*", nullable=True, ancestors=ancestors
        )
    if "properties" in schema:
        result["properties"] = {
            name: _convert(
                document,
                value,
                where=f"{where}.{name}",
                nullable=True,
                ancestors=ancestors,
            )
            for name, value in schema["properties"].items()
        }
    return result


def _types(kind: str, nullable: bool) -> str | list[str]:
    return ["null", kind] if nullable else kind


def _without_null(schema: Schema) -> str:
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return next(kind for kind in kinds if kind != "null")


def _at(schema: Schema, path: str, where: str) -> Schema:
    for name in path.split("."):
        while "items" in schema:
            schema = schema["items"]
        if name not in schema.get("properties", {}):
            raise SchemaError(f"{where}: the document has no {path}")
        schema = schema["properties"][name]
    return dict(schema)


def _remove(record: Schema, path: str, where: str) -> None:
    _at(record, path, where)
    *parents, last = path.split(".")
    schema = record
    for name in parents:
        while "items" in schema:
            schema = schema["items"]
        schema = schema["properties"][name]
    while "items" in schema:
        schema = schema["items"]
    del schema["properties"][last]


if __name__ == "__main__":
    sys.exit(main())
