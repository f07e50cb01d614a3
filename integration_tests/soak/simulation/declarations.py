"""What the simulation knows of each stream: its declaration and its schema."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from airbyte_cdk.models import AirbyteCatalog, AirbyteStream

from source_incident.connector import Connector
from source_incident.singer.catalog import singer_catalog
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream, CursorStream

SETTINGS = {"api_key": "simulation", "endpoint": "https://simulation.invalid"}
# Columns that the simulation fills itself, or that the engine treats in a special way.
SPECIAL_COLUMNS = {
    "id", "created_at", "updated_at", "mode", "incident_status", "user", "user_id", "incident_id", "incident", "list",
    "involvement", "position", "data_synced_at", "version", "type", "cidr", "fingerprint", "start_at", "end_at",
    "entry_id", "rotation_id", "category", "merged_into_incident_id", "secret_token", "alert_events_url", "images",
    "parent_id", "actions", "updates", "attachments", "_undeclared",
}  # fmt: skip


@dataclass
class Declaration:
    """A stream.

    Attributes:
        stream: its class.
        discovered: as discover describes it.
        pattern: matches its paths; the groups are ids of parents.
        value_column: the column that holds the records' changing value.
        spare_columns: columns that records get later.
    """

    name: str
    stream: type[IncidentStream]
    discovered: AirbyteStream
    pattern: re.Pattern[str]
    value_column: str
    spare_columns: list[str]
    parent: Declaration | None = None
    children: list[Declaration] = field(default_factory=list)
    nested: dict[str, Declaration] = field(default_factory=dict)

    @property
    def schema(self) -> dict[str, Any]:
        return self.discovered.json_schema

    @property
    def key(self) -> list[str]:
        return [path[0] for path in self.discovered.source_defined_primary_key or []]

    @property
    def is_incremental(self) -> bool:
        return bool(self.discovered.source_defined_cursor)

    @property
    def cursor_field(self) -> str | None:
        return self.stream.cursor_field if issubclass(self.stream, CursorStream) else None

    @property
    def root(self) -> Declaration:
        return self.parent.root if self.parent else self

    @property
    def parent_key(self) -> str:
        assert issubclass(self.stream, ChildStream)
        return self.stream.parent_key

    def related(self) -> set[str]:
        """The streams that a read of this one needs."""
        names = {self.name, *(nested.name for nested in self.nested.values())}
        return names | (self.parent.related() if self.parent else set())


@cache
def discovered() -> AirbyteCatalog:
    return Connector().discover(SETTINGS)


@cache
def declarations() -> dict[str, Declaration]:
    """Every stream by name."""
    streams = {stream.name: stream for stream in discovered().streams}
    by_class: dict[type[IncidentStream], Declaration] = {}
    for name, stream in zip(streams, STREAMS, strict=True):
        properties = streams[name].json_schema["properties"]
        parents = {key for key in properties if key.endswith("_id")}
        special = SPECIAL_COLUMNS | parents | stream.detail_columns.keys()
        columns = [column for column in properties if column not in special]
        required = stream.required_fields[0] if stream.required_fields else None
        by_class[stream] = Declaration(
            name,
            stream,
            streams[name],
            re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(stream.endpoint)) + "$"),
            required or _value_column(properties, columns),
            [column for column in columns if _is_text(properties[column])],
        )
    by_name = {declaration.name: declaration for declaration in by_class.values()}
    for stream, declaration in by_class.items():
        declaration.spare_columns = [name for name in declaration.spare_columns if name != declaration.value_column]
        declaration.nested = {column: by_name[name] for column, name in stream.nested.items()}
        if issubclass(stream, ChildStream):
            declaration.parent = by_class[stream.parent]
            declaration.parent.children.append(declaration)
    return by_name


@cache
def singer_entries() -> dict[str, dict[str, Any]]:
    """The entries of the Singer catalog by name."""
    source = Connector()
    catalog = singer_catalog(discovered(), source.deselected_by_default())
    return {entry["stream"]: entry for entry in catalog["streams"]}


@cache
def cursors() -> dict[str, str]:
    """The key of the bookmark by stream."""
    return Connector().bookmark_keys(SETTINGS)


def _value_column(properties: dict[str, Any], columns: list[str]) -> str:
    texts = [column for column in columns if _is_text(properties[column])]
    # Where the schema has no text, any column serves: values pass as they are.
    others = [column for column in ("incident", "user", "end_at") if column in properties]
    return [*texts, *columns, *others][0]


def _is_text(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    return (kinds == "string" or (isinstance(kinds, list) and "string" in kinds)) and "format" not in schema
