"""Catalogs for the adapter's tests, and the inverse conversions that the product does not need."""

import copy
from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    ConfiguredAirbyteStreamSerializer,
    SyncMode,
)
from airbyte_cdk.models.airbyte_protocol_serializers import AirbyteStreamSerializer

from source_incident.singer.catalog import singer_catalog

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": ["null", "string"]},
        "updated_at": {"type": "string", "format": "date-time"},
        "lead": {
            "type": ["null", "object"],
            "properties": {
                "name": {"type": ["null", "string"]},
                "email": {"type": ["null", "string"]},
                "team": {
                    "type": ["null", "object"],
                    "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
                },
            },
        },
        "notes": {
            "type": ["null", "array"],
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "by": {"type": "string"}},
            },
        },
    },
}


def incidents() -> AirbyteStream:
    return AirbyteStream(
        name="incidents",
        json_schema=copy.deepcopy(SCHEMA),
        supported_sync_modes=[SyncMode.full_refresh, SyncMode.incremental],
        source_defined_cursor=True,
        default_cursor_field=["updated_at"],
        source_defined_primary_key=[["id"]],
        is_resumable=True,
    )


def severities() -> AirbyteStream:
    return AirbyteStream(
        name="severities",
        json_schema={"type": "object", "properties": {"id": {"type": "string"}, "rank": {"type": "integer"}}},
        supported_sync_modes=[SyncMode.full_refresh],
        source_defined_primary_key=[["id"]],
        is_resumable=False,
    )


DISCOVERED = AirbyteCatalog(streams=[incidents(), severities()])


def singer_document() -> dict[str, Any]:
    """A new Singer catalog of `DISCOVERED`, which the test can change."""
    return copy.deepcopy(singer_catalog(DISCOVERED))


def stream_metadata(document: dict[str, Any], index: int = 0) -> dict[str, Any]:
    metadata: dict[str, Any] = document["streams"][index]["metadata"][0]["metadata"]
    return metadata


def set_metadata(document: dict[str, Any], breadcrumb: list[str], **values: Any) -> None:
    """Set metadata of the first stream at a breadcrumb."""
    metadata = document["streams"][0]["metadata"]
    for item in metadata:
        if item["breadcrumb"] == breadcrumb:
            item["metadata"].update(values)
            return
    metadata.append({"breadcrumb": breadcrumb, "metadata": values})


def airbyte_catalog(document: dict[str, Any]) -> AirbyteCatalog:
    """The inverse of `singer_catalog`."""
    return AirbyteCatalog(streams=[_airbyte_stream(entry) for entry in document["streams"]])


def _airbyte_stream(entry: dict[str, Any]) -> AirbyteStream:
    metadata = entry["metadata"][0]["metadata"]
    if "airbyte" in metadata:
        return AirbyteStreamSerializer.load({**metadata["airbyte"]["stream"], "json_schema": entry["schema"]})
    incremental = "valid-replication-keys" in metadata
    return AirbyteStream(
        name=entry["tap_stream_id"],
        json_schema=entry["schema"],
        supported_sync_modes=[SyncMode.full_refresh, *([SyncMode.incremental] if incremental else [])],
        source_defined_cursor=True if incremental else None,
        default_cursor_field=metadata.get("valid-replication-keys"),
        source_defined_primary_key=[[key] for key in metadata["table-key-properties"]] or None,
        is_resumable=incremental,
    )


def singer_document_of_configured(catalog: ConfiguredAirbyteCatalog) -> dict[str, Any]:
    """A Singer catalog that selects the streams of a configured catalog and keeps all their Airbyte properties."""
    document = singer_catalog(AirbyteCatalog(streams=[configured.stream for configured in catalog.streams]))
    for index, configured in enumerate(catalog.streams):
        stream_metadata(document, index).update(_configured_metadata(configured))
    return document


def _configured_metadata(configured: ConfiguredAirbyteStream) -> dict[str, Any]:
    properties = ConfiguredAirbyteStreamSerializer.dump(configured)
    del properties["stream"]["json_schema"]
    full_refresh = configured.sync_mode == SyncMode.full_refresh
    return {
        "selected": True,
        "replication-method": "FULL_TABLE" if full_refresh else "INCREMENTAL",
        "airbyte": properties,
    }
