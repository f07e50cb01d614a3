"""Make the streams' schemas and the sandbox's contract from the vendor's document.

    python -m tools.schemas [--check] [--document PATH]

`--check` writes nothing and exits 1 where a committed file differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airbyte_cdk.sources.utils.casing import camel_to_snake

from source_incident.streams import STREAMS
from source_incident.streams.base import ChildStream, IncidentStream
from tools import jsonfile
from tools.document import PINNED_VERSION, ROOT, Document, fetch, load, reference_name
from tools.facts import facts

SCHEMAS = ROOT / "source_incident" / "schemas"
CONTRACT = ROOT / "sandbox" / "contract.json"

Schema = dict[str, Any]

KEPT_COLUMNS: Mapping[str, Mapping[str, Schema]] = {
    # incident.io's own tap has the column, from the deprecated /v1 list; /v2 has no such field
    "incident_roles": {"required": {"type": ["null", "boolean"]}},
}
"""Columns that the document has no more but readers of incident.io's own tap's tables have."""


class SchemaError(Exception):
    """The document has something that a stream's schema cannot be made from."""


def stream_schema(document: Document, stream: type[IncidentStream]) -> Schema:
    """The JSON Schema (draft-07) of what `stream` emits: types and nullability, nothing more.

    Enumerations, patterns and lengths are left out, since the vendor may widen them any day; what
    the document does not require can be null. Credentials are gone, the columns that the
    connector adds are there, and a key is never null.
    """
    name = stream_name(stream)
    body = document.body(stream.endpoint)
    record = _convert(document, _record(document, stream, body), where=name)
    columns: dict[str, Schema] = record["properties"]
    for path in stream.credentials:
        _remove(record, path, name)
    for key in _parent_keys(stream):
        columns.setdefault(key, {"type": "string"})
    if stream.record_list_field is not None:
        columns[stream.record_list_field] = {"type": "string"}
    if stream.position_field is not None:
        columns[stream.position_field] = {"type": "integer"}
    for column, path in stream.extra_fields.items():
        columns[column] = _at(record, path, name)
    for column, path in stream.body_fields.items():
        columns[column] = _nullable(_at(_convert(document, body, where=name), path, name))
    for column, nested in stream.nested.items():
        items = stream_schema(document, _stream(nested))
        del items["$schema"]
        columns[column] = {"type": ["null", "array"], "items": items}
    for column, kept in KEPT_COLUMNS.get(name, {}).items():
        columns.setdefault(column, kept)
    for key in key_of(stream):
        columns[key] = columns[key] | {"type": _without_null(columns[key])}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **record}


def stream_name(stream: type[IncidentStream]) -> str:
    """The name that a stream's schema file has."""
    return camel_to_snake(stream.__name__)


def key_of(stream: type[IncidentStream]) -> list[str]:
    """The fields of a stream's key."""
    key: Any = stream.primary_key  # the CDK declares a property, the streams a list
    return [str(field) for field in key]


def files(document: Document) -> dict[Path, str]:
    """Every generated file: its path and what it should hold."""
    made = {
        SCHEMAS / f"{stream_name(stream)}.json": jsonfile.dumps(stream_schema(document, stream)) for stream in STREAMS
    }
    made[CONTRACT] = jsonfile.dumps(facts(document))
    return made


def differences(made: Mapping[Path, str]) -> list[str]:
    """What is wrong with the committed files, a line each; empty where nothing is."""
    found = [
        f"{path.relative_to(ROOT)} is {'stale' if path.exists() else 'missing'}"
        for path, content in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    orphans = set(SCHEMAS.glob("*.json")) - made.keys()
    return found + [f"{path.relative_to(ROOT)} belongs to no stream" for path in sorted(orphans)]


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    parser.add_argument("--document", type=Path, help="an openapi.json instead of the pinned one")
    options = parser.parse_args(arguments)
    document = load(options.document, PINNED_VERSION) if options.document else fetch()
    made = files(document)
    if options.check:
        stale = differences(made)
        print("\n".join(stale) or f"{len(made)} files are fresh")
        return 1 if stale else 0
    for path in set(SCHEMAS.glob("*.json")) - made.keys():
        path.unlink()
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    print(f"{len(made)} files written from version {document.version}")
    return 0


def _stream(name: str) -> type[IncidentStream]:
    return next(stream for stream in STREAMS if stream_name(stream) == name)


def _parent_keys(stream: type[IncidentStream]) -> list[str]:
    """The ids that a record gets from the parents above it."""
    keys = []
    while issubclass(stream, ChildStream):
        keys.append(stream.parent_key)
        stream = stream.parent
    return keys


def _record(document: Document, stream: type[IncidentStream], body: Mapping[str, Any]) -> Mapping[str, Any]:
    if stream.records_key is None:
        return body
    found = document.resolve(body["properties"][stream.records_key])
    if getattr(stream, "single_record", False):
        return found
    for name in stream.record_lists[:1]:
        found = document.resolve(found["properties"][name])
    return document.resolve(found["items"])


def _convert(
    document: Document,
    schema: Mapping[str, Any],
    *,
    where: str,
    nullable: bool = False,
    inside: tuple[str, ...] = (),
) -> Schema:
    if "$ref" in schema:
        name = reference_name(schema)
        if name in inside:
            # Stream schemas have no $ref, so what contains itself is cut where it begins again
            return {"type": _types("object", nullable), "additionalProperties": True}
        inside = (*inside, name)
        schema = document.resolve(schema)
    match schema.get("type"):
        case "object":
            return _object(document, schema, where, nullable, inside)
        case "array":
            items = _convert(document, schema["items"], where=f"{where}[]", inside=inside)
            return {"type": _types("array", nullable), "items": items}
        case "string" | "integer" | "number" | "boolean" as kind:
            format_ = {"format": "date-time"} if schema.get("format") == "date-time" else {}
            return {"type": _types(kind, nullable), **format_}
        case other:
            # Targets make a column of one type: somebody has to decide which
            raise SchemaError(f"{where}: the document has no type that fits ({other})")


def _object(
    document: Document,
    schema: Mapping[str, Any],
    where: str,
    nullable: bool,
    inside: tuple[str, ...],
) -> Schema:
    required = schema.get("required", [])
    result: Schema = {"type": _types("object", nullable), "additionalProperties": True}
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        result["additionalProperties"] = _convert(document, values, where=f"{where}.*", nullable=True, inside=inside)
    if "properties" in schema:
        result["properties"] = {
            name: _convert(
                document,
                value,
                where=f"{where}.{name}",
                nullable=name not in required,
                inside=inside,
            )
            for name, value in schema["properties"].items()
        }
    return result


def _types(kind: str, nullable: bool) -> str | list[str]:
    return ["null", kind] if nullable else kind


def _without_null(schema: Schema) -> str:
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return next(kind for kind in kinds if kind != "null")


def _nullable(schema: Schema) -> Schema:
    return schema | {"type": ["null", _without_null(schema)]}


def _at(schema: Schema, path: str, where: str) -> Schema:
    for name in path.split("."):
        while "items" in schema:
            schema = schema["items"]
        if name not in schema.get("properties", {}):
            raise SchemaError(f"{where}: the document has no {path} any more")
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
