"""Converts a discovered Airbyte catalog into a Singer catalog.

The format is that of the Singer specification's discovery mode: `tap_stream_id`, `stream`, `key_properties`, `schema`,
and `metadata` by breadcrumb. Properties of a stream that Singer has no name for are kept under `airbyte` in the
stream's metadata, so the conversion loses nothing. `selection.py` reads the catalog back.
"""

from collections.abc import Collection
from typing import Any

from airbyte_protocol_dataclasses.models import AirbyteCatalog, AirbyteStream, SyncMode

from source_incident.protocol import to_json

FULL_TABLE, INCREMENTAL = "FULL_TABLE", "INCREMENTAL"


def singer_catalog(catalog: AirbyteCatalog, off_by_default: Collection[str] = ()) -> dict[str, Any]:
    """Convert a catalog.

    Args:
        catalog: the streams that discovery found. The entries share its schemas.
        off_by_default: names of the streams that are read only when the user selects them.
    """
    return {"streams": [_entry(stream, stream.name not in off_by_default) for stream in catalog.streams]}


def key_fields(stream: AirbyteStream) -> list[str]:
    """Return the top-level fields of the stream's primary key."""
    return [path[0] for path in stream.source_defined_primary_key or []]


def is_incremental(stream: AirbyteStream) -> bool:
    """Return whether the stream can be read incrementally."""
    return SyncMode.incremental in (stream.supported_sync_modes or [])


def _entry(stream: AirbyteStream, on_by_default: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "tap_stream_id": stream.name,
        "stream": stream.name,
        "key_properties": key_fields(stream),
        "schema": stream.json_schema,
        "replication_method": INCREMENTAL if is_incremental(stream) else FULL_TABLE,
    }
    if is_incremental(stream) and stream.default_cursor_field:
        entry["replication_key"] = stream.default_cursor_field[0]
    entry["metadata"] = [
        {"breadcrumb": [], "metadata": _stream_metadata(stream, on_by_default)},
        *_column_metadata(stream),
    ]
    return entry


def _stream_metadata(stream: AirbyteStream, on_by_default: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "inclusion": "available",
        "selected-by-default": on_by_default,
        "table-key-properties": key_fields(stream),
    }
    if is_incremental(stream):
        # Empty for a stream whose position is in its state and in no column.
        metadata["valid-replication-keys"] = list(stream.default_cursor_field or [])
    else:
        metadata["forced-replication-method"] = FULL_TABLE
    if stream != _reduced_to_singer(stream):
        properties = to_json(stream)
        del properties["json_schema"]
        metadata["airbyte"] = {"stream": properties}
    return metadata


def _column_metadata(stream: AirbyteStream) -> list[dict[str, Any]]:
    keys = key_fields(stream)
    return [
        {
            "breadcrumb": ["properties", column],
            "metadata": {"inclusion": "automatic" if column in keys else "available", "selected-by-default": True},
        }
        for column in stream.json_schema.get("properties", {})
    ]


def _reduced_to_singer(stream: AirbyteStream) -> AirbyteStream:
    """Return the stream with only those properties that Singer's own metadata has."""
    incremental = is_incremental(stream)
    return AirbyteStream(
        name=stream.name,
        json_schema=stream.json_schema,
        supported_sync_modes=[SyncMode.full_refresh, SyncMode.incremental] if incremental else [SyncMode.full_refresh],
        is_resumable=incremental,
        source_defined_cursor=True if incremental else None,
        default_cursor_field=list(stream.default_cursor_field or []) if incremental else None,
        source_defined_primary_key=[[key] for key in key_fields(stream)] or None,
    )
