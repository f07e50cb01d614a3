"""Compare the streams with the vendor's OpenAPI document.

    python -m tools.contract [--newest | --document PATH]

Prints one line per difference and exits 1 if there is any: endpoints that no stream reads, removed or deprecated
endpoints, columns that differ from the document, unknown query parameters, page sizes over the maximum, and values
that a filter would have to name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream, stream_name
from source_incident.streams.kinds import ChildStream, IncrementalStream
from tools.openapi import PINNED_VERSION, Document, DocumentError, fetch, load
from tools.sandbox_contract import parameters
from tools.schemas import KEPT_COLUMNS, SCHEMAS, SchemaError, stream_schema

UNREAD: Mapping[str, str] = {
    "/v1/identity": "the owner of the key; `check` reads it",
    "/v1/openapiV3.json": "the document itself",
    "/v2/alert_routes": "older version of /v3/alert_routes, not deprecated yet",
    "/v2/heartbeat/{}/ping": "has a side effect: it is a heartbeat's ping",
}
"""Endpoints that no stream reads, with the reason. A placeholder is `{}`."""


def findings(document: Document) -> list[str]:
    """The differences between the streams and `document`, one line each."""
    found = list(_unread(document))
    for stream in STREAMS:
        found += [f"{stream_name(stream)}: {finding}" for finding in _stream(document, stream)]
    return found


def query_parameters(stream: type[IncidentStream]) -> dict[str, list[str]]:
    """The query parameters that `stream` can send, each with its constant values (none for computed values)."""
    query: dict[str, Any] = {**stream.query, **stream.open_parent_query}
    if stream.page_size is not None:
        query |= {"page_size": [], stream.after_parameter: []}
    if issubclass(stream, IncrementalStream):
        query[f"{stream.cursor_field}[gte]"] = []
        if stream.partition_field:
            query |= {f"{stream.partition_field}[{operator}]": [] for operator in ("gte", "lte", "date_range")}
    if issubclass(stream, ChildStream) and f"{{{stream.parent_key}}}" not in stream.endpoint:
        query[stream.parent_parameter or stream.parent_key] = []
        if stream.group_key:
            query[stream.group_key] = []
    for child in _children_of(stream):
        query |= child.parent_query
    names = [stream.mode_parameter, stream.from_parameter]
    names += [*(stream.window_parameters or ()), *(stream.month_parameters or ())]
    query |= {name: [] for name in names if name}
    return {
        name: [str(value) for value in (values if isinstance(values, list) else [values])]
        for name, values in query.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the differences and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.contract", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--newest", action="store_true", help="the newest published version instead of the pinned one")
    source.add_argument("--document", type=Path, help="an openapi.json file instead of the pinned version")
    options = parser.parse_args(arguments)
    if options.document:
        document = load(options.document)
    else:
        document = fetch(None if options.newest else PINNED_VERSION)
    found = findings(document)
    print(f"{len(STREAMS)} streams, version {document.version} (pinned: {PINNED_VERSION}): {len(found)} differences")
    for finding in found:
        print(f"  {finding}")
    return 1 if found else 0


def _children_of(stream: type[IncidentStream]) -> Iterator[type[ChildStream]]:
    streams: tuple[type[IncidentStream], ...] = STREAMS
    for child in streams:
        if issubclass(child, ChildStream) and child.parent is stream:
            yield child


def _unread(document: Document) -> Iterator[str]:
    read = {document.path_of(stream.endpoint) for stream in STREAMS}
    paths = set(document.operations)
    for path in sorted(paths - read - {document.path_of(path) for path in UNREAD}):
        if document.operations[path].get("deprecated") or path.rpartition("/")[0] in paths:
            continue  # one record of a list, by its id
        yield f"{path}: no stream reads it, and it is not in UNREAD"
    for path in UNREAD:
        if document.path_of(path) is None:
            yield f"{path}: in UNREAD, but not in the document"


def _stream(document: Document, stream: type[IncidentStream]) -> Iterator[str]:
    path = document.path_of(stream.endpoint)
    if path is None:
        yield f"{stream.endpoint} is not in the document"
        return
    if document.operations[path].get("deprecated"):
        yield f"{path} is deprecated"
    yield from _parameters(document, stream, path)
    yield from _details(document, stream)
    yield from _values(document, stream)
    try:
        generated = stream_schema(document, stream)
    except (DocumentError, SchemaError, KeyError) as error:
        yield f"{path}: the schema can't be generated: {error!r}"
        return
    file = SCHEMAS / f"{stream_name(stream)}.json"
    if not file.exists():
        yield "has no schema file"
        return
    yield from _columns(generated, json.loads(file.read_text(encoding="utf-8")), "")
    for column in KEPT_COLUMNS.get(stream_name(stream), {}):
        if column in _document_fields(document, stream):
            yield f"column {column} is in KEPT_COLUMNS, but the document has it"


def _parameters(document: Document, stream: type[IncidentStream], path: str) -> Iterator[str]:
    documented = parameters(document, document.operations[path])
    queried = query_parameters(stream)
    for parameter, values in queried.items():
        name, _, operator = parameter.removesuffix("]").partition("[")
        facts = documented.get(name)
        if facts is None:
            yield f"sends {parameter}, which {path} does not have"
            continue
        if operator and operator not in facts.get("operators", [operator]):
            yield f"sends {parameter}, but {name} has no such operator"
        if wrong := sorted(set(values) - set(map(str, facts.get("enum", values)))):
            yield f"sends {parameter} {', '.join(wrong)}, which is not in the document"
        if name == "page_size" and (stream.page_size or 0) > facts.get("maximum", sys.maxsize):
            yield f"page_size is {stream.page_size}; the maximum is {facts['maximum']}"
    names = {parameter.partition("[")[0] for parameter in queried}
    for name, facts in documented.items():
        if facts["required"] and facts["in"] == "query" and name not in names:
            yield f"does not send {name}, which {path} requires"


def _details(document: Document, stream: type[IncidentStream]) -> Iterator[str]:
    """The fields that only the answer of `detail_endpoint` has, and that are no columns."""
    if stream.detail_endpoint is None:
        return
    path = document.path_of(stream.detail_endpoint)
    if path is None:
        yield f"{stream.detail_endpoint} is not in the document"
        return
    if document.operations[path].get("deprecated"):
        yield f"{path} is deprecated"
    listed, declared = _document_fields(document, stream), set(stream.detail_columns.values())
    for name, schema in document.body(path)["properties"].items():
        if not any(column.startswith(f"{name}.") for column in declared):
            fields = [] if name in declared else [name]
        else:
            fields = [f"{name}.{field}" for field in document.resolve(schema)["properties"] if field not in listed]
        for field in fields:
            if field not in declared:
                yield f"{field} is only in {path}, and is not in detail_columns"


def _values(document: Document, stream: type[IncidentStream]) -> Iterator[str]:
    for field, known in stream.known_values.items():
        values = document.resolve(_document_fields(document, stream).get(field, {})).get("enum", [])
        for value in sorted(set(values) - known):
            yield f"{field} can be {value}, which the streams that filter by it do not ask for"


def _document_fields(document: Document, stream: type[IncidentStream]) -> Mapping[str, Any]:
    """The fields of the stream's records in the document, without those that the connector adds."""
    body = document.body(stream.endpoint)
    found = body if stream.records_key is None else document.resolve(_at(body, stream.records_key))
    properties: Mapping[str, Any] = document.resolve(found.get("items", found)).get("properties", {})
    return properties


def _at(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema["properties"][name]
    return found


def _columns(generated: Mapping[str, Any], committed: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in ("type", "format"):
        if generated.get(keyword) != committed.get(keyword):
            where = path or "the record"
            yield f"{where}: {keyword} is {generated.get(keyword)}, was {committed.get(keyword)}"
    new, old = generated.get("properties", {}), committed.get("properties", {})
    for name in sorted(new.keys() | old.keys()):
        field = f"{path}.{name}".lstrip(".")
        if name not in old:
            yield f"{field}: missing in the schema file"
        elif name not in new:
            yield f"{field}: not in the document"
        else:
            yield from _columns(new[name], old[name], field)
    for keyword, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        values = generated.get(keyword), committed.get(keyword)
        if all(isinstance(value, Mapping) for value in values):
            yield from _columns(generated[keyword], committed[keyword], f"{path}{suffix}")
        elif values[0] != values[1]:
            yield f"{path}: {keyword} is {values[0]}, was {values[1]}"


if __name__ == "__main__":
    sys.exit(main())
