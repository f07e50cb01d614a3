"""Conversion of a discovered Airbyte catalog into a Singer catalog."""

import copy
import json

from airbyte_cdk.models import AirbyteCatalog, AirbyteStream, SyncMode
from hypothesis import given
from hypothesis import strategies as st

from source_incident.singer.catalog import singer_catalog
from source_incident.singer.selection import read_catalog
from unit_tests.singer.catalogs import DISCOVERED, SCHEMA, airbyte_catalog
from unit_tests.singer.strategies import discovered_catalogs


@given(discovered_catalogs(), st.booleans())
def test_airbyte_to_singer_and_back_loses_nothing(catalog: AirbyteCatalog, off: bool) -> None:
    off_by_default = [catalog.streams[0].name] if off else []
    document = json.loads(json.dumps(singer_catalog(catalog, off_by_default)))
    assert airbyte_catalog(document) == catalog


@given(discovered_catalogs())
def test_singer_to_airbyte_and_back_loses_nothing(catalog: AirbyteCatalog) -> None:
    document = json.loads(json.dumps(singer_catalog(catalog)))
    assert singer_catalog(airbyte_catalog(document)) == document


@given(discovered_catalogs())
def test_conversions_leave_their_input_unchanged(catalog: AirbyteCatalog) -> None:
    catalog_before = copy.deepcopy(catalog)
    document = singer_catalog(catalog)
    for entry in document["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = True
        entry["metadata"][0]["metadata"].pop("forced-replication-method", None)
    document_before = copy.deepcopy(document)
    read_catalog(document, catalog)
    assert document == document_before
    assert catalog == catalog_before


def test_discovery_has_the_properties_that_singers_tools_read() -> None:
    incidents, severities = singer_catalog(DISCOVERED, {"severities"})["streams"]
    assert incidents["tap_stream_id"] == incidents["stream"] == "incidents"
    assert incidents["key_properties"] == ["id"]
    assert incidents["schema"] == SCHEMA
    assert (incidents["replication_method"], incidents["replication_key"]) == ("INCREMENTAL", "updated_at")
    metadata = {tuple(item["breadcrumb"]): item["metadata"] for item in incidents["metadata"]}
    assert metadata[()] == {
        "inclusion": "available",
        "selected-by-default": True,
        "table-key-properties": ["id"],
        "valid-replication-keys": ["updated_at"],
    }
    assert metadata["properties", "id"]["inclusion"] == "automatic"
    assert metadata["properties", "name"] == {"inclusion": "available", "selected-by-default": True}
    assert severities["replication_method"] == "FULL_TABLE"
    assert severities["metadata"][0]["metadata"] == {
        "inclusion": "available",
        "selected-by-default": False,
        "table-key-properties": ["id"],
        "forced-replication-method": "FULL_TABLE",
    }


def test_only_a_stream_with_a_cursor_column_has_a_replication_key() -> None:
    uses_root_cursor = AirbyteStream(
        name="incident_attachments",
        json_schema={"type": "object", "properties": {"id": {"type": "string"}}},
        supported_sync_modes=[SyncMode.full_refresh, SyncMode.incremental],
        source_defined_primary_key=[["id"]],
    )
    entries = singer_catalog(AirbyteCatalog(streams=[*DISCOVERED.streams, uses_root_cursor]))["streams"]
    assert [entry.get("replication_key") for entry in entries] == ["updated_at", None, None]
    assert ["replication_key" in entry for entry in entries] == [True, False, False]
    assert [entry["replication_method"] for entry in entries] == ["INCREMENTAL", "FULL_TABLE", "INCREMENTAL"]
