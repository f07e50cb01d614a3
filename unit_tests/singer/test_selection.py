"""Catalog files of both formats: what they select, and which are rejected."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)
from airbyte_cdk.models.airbyte_protocol_serializers import AirbyteCatalogSerializer
from hypothesis import given
from hypothesis import strategies as st

from source_incident.errors import InputError
from source_incident.singer.catalog import singer_catalog
from source_incident.singer.selection import Selection, read_catalog
from unit_tests.singer.catalogs import (
    DISCOVERED,
    SCHEMA,
    incidents,
    set_metadata,
    singer_document,
    singer_document_of_configured,
    stream_metadata,
)
from unit_tests.singer.strategies import configured_catalogs, json_objects, json_values

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "singer-tap"


def select(document: Any) -> Selection:
    return read_catalog(document, DISCOVERED)


def names(selection: Selection) -> list[str]:
    return [configured.stream.name for configured in selection.catalog.streams]


def columns(selection: Selection, index: int = 0) -> dict[str, Any]:
    properties: dict[str, Any] = selection.catalog.streams[index].stream.json_schema["properties"]
    return properties


def sync_mode(selection: Selection, index: int = 0) -> SyncMode:
    return selection.catalog.streams[index].sync_mode


def error_text(document: Any) -> str:
    with pytest.raises(InputError) as caught:
        select(document)
    text = str(caught.value)
    assert text.startswith("catalog: ")
    assert caught.value.advice
    assert "\n" not in text
    return text


# Airbyte catalogs


@given(configured_catalogs())
def test_a_configured_catalog_in_singer_metadata_loses_nothing(catalog: ConfiguredAirbyteCatalog) -> None:
    discovered = AirbyteCatalog(streams=[configured.stream for configured in catalog.streams])
    document = json.loads(json.dumps(singer_document_of_configured(catalog)))
    selection = read_catalog(document, discovered)
    assert selection.catalog == catalog
    assert selection.chosen == {configured.stream.name for configured in catalog.streams}
    assert not selection.warnings


@given(configured_catalogs())
def test_a_configured_catalog_is_read_in_its_own_format(catalog: ConfiguredAirbyteCatalog) -> None:
    for configured in catalog.streams:
        configured.stream.json_schema["properties"]["a column"] = {"type": "string"}
    discovered = AirbyteCatalog(streams=[configured.stream for configured in catalog.streams])
    document = json.loads(json.dumps(ConfiguredAirbyteCatalogSerializer.dump(catalog)))
    assert read_catalog(document, discovered).catalog == catalog


def test_the_output_of_discover_selects_all_streams_with_or_without_its_message() -> None:
    catalog = AirbyteCatalogSerializer.dump(DISCOVERED)
    for document in (catalog, {"type": "CATALOG", "catalog": catalog}):
        selection = select(json.loads(json.dumps(document)))
        assert names(selection) == ["incidents", "severities"]
        assert [sync_mode(selection, 0), sync_mode(selection, 1)] == [SyncMode.incremental, SyncMode.full_refresh]


def configured_document(name: str = "incidents", **fields: Any) -> dict[str, Any]:
    configured = ConfiguredAirbyteStream(
        stream=incidents(), sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.append
    )
    document: dict[str, Any] = ConfiguredAirbyteCatalogSerializer.dump(ConfiguredAirbyteCatalog(streams=[configured]))
    document["streams"][0]["stream"]["name"] = name
    document["streams"][0].update(fields)
    return document


def test_adds_a_missing_key_to_an_airbyte_schema_with_a_warning() -> None:
    document = configured_document()
    del document["streams"][0]["stream"]["json_schema"]["properties"]["id"]
    selection = select(document)
    assert columns(selection).keys() == SCHEMA["properties"].keys()
    assert selection.warnings == ["catalog: incidents: the schema lacks its key id. The key is read anyway"]


@pytest.mark.parametrize("properties", [[], ["id"], "id", None, 5])
def test_an_airbyte_schema_whose_properties_are_no_object_selects_all_columns(properties: Any) -> None:
    document = configured_document()
    document["streams"][0]["stream"]["json_schema"] = {"properties": properties}
    assert columns(select(document)) == SCHEMA["properties"]


def test_an_airbyte_stream_without_columns_selects_all_columns() -> None:
    document = configured_document()
    document["streams"][0]["stream"]["json_schema"] = {}
    assert columns(select(document)) == SCHEMA["properties"]


def test_warns_of_a_cursor_field_that_is_not_the_streams_own() -> None:
    document = configured_document(sync_mode="incremental", cursor_field=["created_at"])
    assert select(document).warnings == [
        "catalog: incidents: the cursor_field 'created_at' is ignored. Set it to updated_at, the stream's own cursor "
        "field"
    ]


# Selected streams and columns of Singer catalogs


def test_without_selected_the_default_streams_are_selected() -> None:
    document = singer_catalog(DISCOVERED, {"severities"})
    selection = select(document)
    assert names(selection) == ["incidents"]
    assert selection.chosen == frozenset()
    assert columns(selection) == SCHEMA["properties"]


@pytest.mark.parametrize("selected", [True, False])
def test_selected_overrides_selected_by_default(selected: bool) -> None:
    document = singer_document()
    stream_metadata(document, 1).update({"selected-by-default": not selected, "selected": selected})
    selection = select(document)
    assert ("severities" in names(selection)) is selected
    assert ("severities" in selection.chosen) is selected


@pytest.mark.parametrize("selected", [True, False])
def test_reads_selected_beside_the_schema_of_old_catalogs(selected: bool) -> None:
    document = singer_document()
    document["streams"][1]["selected"] = selected
    selection = select(document)
    assert ("severities" in names(selection)) is selected
    assert ("severities" in selection.chosen) is selected


def test_selected_in_the_metadata_overrides_selected_beside_the_schema() -> None:
    document = singer_document()
    document["streams"][1]["selected"] = True
    stream_metadata(document, 1)["selected"] = False
    assert names(select(document)) == ["incidents"]


@pytest.mark.parametrize("key", ["selected", "selected-by-default"])
@pytest.mark.parametrize(("text", "selected"), [("true", True), ("false", False), ("False", False)])
def test_accepts_true_and_false_as_text(key: str, text: str, selected: bool) -> None:
    document = singer_document()
    stream_metadata(document, 1)[key] = text
    set_metadata(document, ["properties", "name"], **{key: text})
    selection = select(document)
    assert ("severities" in names(selection)) is selected
    assert ("name" in columns(selection)) is selected
    old_document = singer_document()
    old_document["streams"][1]["selected"] = text
    assert ("severities" in names(select(old_document))) is selected


@pytest.mark.parametrize("value", ["no", "", 0, 1, [], {}])
def test_rejects_a_selected_that_is_neither_true_nor_false(value: Any) -> None:
    document = singer_document()
    document["streams"][0]["metadata"] = [{"breadcrumb": [], "metadata": {"selected": value}}]
    expected = f"catalog: selected of the stream 'incidents' is {value!r}. Set it to true or false"
    assert error_text(document) == expected
    old_document = singer_document()
    old_document["streams"][0]["selected"] = value
    assert error_text(old_document) == expected
    document["streams"][0]["metadata"] = [{"breadcrumb": ["properties", "name"], "metadata": {"selected": value}}]
    assert error_text(document) == (
        f"catalog: selected at 'properties.name' of the stream 'incidents' is {value!r}. Set it to true or false"
    )


def test_an_unsupported_stream_is_never_selected() -> None:
    document = singer_document()
    stream_metadata(document, 1).update(inclusion="unsupported", selected=True)
    assert names(select(document)) == ["incidents"]


def test_without_metadata_all_columns_are_selected() -> None:
    document = singer_document()
    for entry in document["streams"]:
        del entry["metadata"]
    selection = select(document)
    assert names(selection) == ["incidents", "severities"]
    assert columns(selection) == SCHEMA["properties"]


def test_an_unselected_column_is_removed_from_the_catalog_without_a_warning() -> None:
    document = singer_document()
    set_metadata(document, ["properties", "name"], selected=False)
    selection = select(document)
    assert columns(selection).keys() == SCHEMA["properties"].keys() - {"name"}
    assert not selection.warnings


def test_warns_once_per_stream_of_columns_that_a_kept_catalog_lacks() -> None:
    document = singer_document()
    properties = document["streams"][0]["schema"]["properties"]
    del properties["name"], properties["lead"]["properties"]["team"], properties["notes"]["items"]["properties"]["by"]
    document["streams"][0]["metadata"] = [
        item for item in document["streams"][0]["metadata"] if item["breadcrumb"] != ["properties", "name"]
    ]
    set_metadata(document, ["properties", "updated_at"], selected=False)
    assert select(document).warnings == [
        "catalog: incidents: the schema lacks name, lead.team, notes.by, which are not emitted. "
        "Run discover again to include them"
    ]


def test_a_warning_names_the_first_of_many_missing_columns() -> None:
    discovered = copy.deepcopy(DISCOVERED)
    discovered.streams[1].json_schema["properties"] |= {f"column_{number}": {} for number in range(13)}
    (warning,) = read_catalog(singer_document(), discovered).warnings
    assert "column_0, " in warning
    assert ", column_9 and 3 more, which" in warning


def test_does_not_warn_of_columns_of_an_object_that_lists_none() -> None:
    document = singer_document()
    document["streams"][0]["schema"]["properties"]["lead"] = {"type": ["null", "object"]}
    assert not select(document).warnings


def test_an_object_with_an_empty_list_of_columns_is_not_an_object_without_selected_ones() -> None:
    document = singer_document()
    properties = document["streams"][0]["schema"]["properties"]
    properties["lead"]["properties"] = {}
    assert "properties" not in columns(select(document))["lead"]
    properties["lead"]["properties"] = {"name": {"type": "string"}}
    set_metadata(document, ["properties", "lead", "properties", "name"], selected=False)
    assert columns(select(document))["lead"]["properties"] == {}


def test_a_key_column_is_always_selected() -> None:
    document = singer_document()
    document["streams"][0]["metadata"] = [document["streams"][0]["metadata"][0]]
    set_metadata(document, ["properties", "id"], selected=False)
    assert "id" in columns(select(document))


@pytest.mark.parametrize(
    ("breadcrumb", "parent", "remaining"),
    [
        (["properties", "lead", "properties", "email"], ("lead", "properties"), {"name", "team"}),
        (
            ["properties", "lead", "properties", "team", "properties", "name"],
            ("lead", "properties", "team", "properties"),
            {"id"},
        ),
        (["properties", "notes", "items", "properties", "by"], ("notes", "items", "properties"), {"text"}),
    ],
)
def test_columns_are_selected_at_any_depth(breadcrumb: list[str], parent: tuple[str, ...], remaining: set[str]) -> None:
    document = singer_document()
    set_metadata(document, breadcrumb, selected=False)
    selection = select(document)
    properties: Any = columns(selection)
    for step in parent:
        properties = properties[step]
    assert set(properties) == remaining
    assert not selection.warnings


def test_inclusion_overrides_selected_for_columns() -> None:
    document = singer_document()
    set_metadata(document, ["properties", "name"], inclusion="automatic", selected=False)
    set_metadata(document, ["properties", "lead"], inclusion="unsupported", selected=True)
    properties = columns(select(document))
    assert "name" in properties
    assert "lead" not in properties


def test_selected_adds_a_column_that_is_off_by_default() -> None:
    document = singer_document()
    set_metadata(document, ["properties", "name"], **{"selected-by-default": False})
    assert "name" not in columns(select(document))
    set_metadata(document, ["properties", "name"], selected=True)
    assert "name" in columns(select(document))


@pytest.mark.parametrize(
    "breadcrumb", [["properties", "nothing"], ["properties", "name", "properties", "x"], ["nowhere"]]
)
def test_warns_of_a_breadcrumb_that_is_not_in_the_schema(breadcrumb: list[str]) -> None:
    document = singer_document()
    set_metadata(document, breadcrumb, selected=False)
    selection = select(document)
    assert columns(selection) == SCHEMA["properties"]
    path = ".".join(breadcrumb)
    assert selection.warnings == [
        f"catalog: incidents: the breadcrumb {path!r} is not in the schema and is ignored. Run discover again"
    ]


def test_ignores_an_unknown_stream_that_is_not_selected() -> None:
    document = singer_document()
    document["streams"].append({"tap_stream_id": "unknown", "schema": {}, "metadata": [], "selected": False})
    assert names(select(document)) == ["incidents", "severities"]


# Sync modes of Singer catalogs


@pytest.mark.parametrize("method", ["FULL_TABLE", "full_table"])
def test_replication_method_full_table_reads_an_incremental_stream_in_full(method: str) -> None:
    document = singer_document()
    stream_metadata(document)["replication-method"] = method
    assert sync_mode(select(document)) == SyncMode.full_refresh


def test_without_a_replication_method_a_stream_is_incremental_if_it_can_be() -> None:
    document = singer_document()
    for entry in document["streams"]:
        del entry["replication_method"]
    selection = select(document)
    assert [sync_mode(selection, 0), sync_mode(selection, 1)] == [SyncMode.incremental, SyncMode.full_refresh]


def test_the_go_taps_forced_full_table_is_a_full_refresh_until_the_user_sets_a_method() -> None:
    document = singer_document()
    stream_metadata(document)["forced-replication-method"] = "FULL_TABLE"
    del stream_metadata(document)["valid-replication-keys"]
    assert sync_mode(select(document)) == SyncMode.full_refresh
    stream_metadata(document)["replication-method"] = "INCREMENTAL"
    assert sync_mode(select(document)) == SyncMode.incremental


def test_rejects_incremental_for_a_stream_that_is_not() -> None:
    document = singer_document()
    stream_metadata(document, 1)["replication-method"] = "INCREMENTAL"
    assert error_text(document) == (
        "catalog: the stream 'severities' can't be read incrementally. Set its replication-method to FULL_TABLE"
    )


@pytest.mark.parametrize("method", ["LOG_BASED", "sometimes", 7, ["FULL_TABLE"]])
def test_rejects_an_unknown_replication_method(method: Any) -> None:
    document = singer_document()
    stream_metadata(document)["replication-method"] = method
    assert error_text(document) == (
        f"catalog: the replication-method of the stream 'incidents' is {method!r}. Set it to FULL_TABLE or INCREMENTAL"
    )


# Rejected catalogs


def duplicate_document() -> dict[str, Any]:
    document = singer_document()
    document["streams"].append(document["streams"][0])
    return document


def document_without_a_key_column() -> dict[str, Any]:
    document = singer_document()
    del document["streams"][0]["schema"]["properties"]["id"]
    return document


def document_without_selected_streams() -> dict[str, Any]:
    document = singer_document()
    for index in (0, 1):
        stream_metadata(document, index)["selected"] = False
    return document


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, 'no "streams" list'),
        ([], 'no "streams" list'),
        ("catalog", 'no "streams" list'),
        ({}, 'no "streams" list'),
        ({"streams": {}}, 'no "streams" list'),
        ({"streams": []}, "it has no streams"),
        ({"streams": [1]}, 'an entry of "streams" is not an object'),
        ({"streams": [{}]}, "an entry has no tap_stream_id"),
        ({"streams": [{"tap_stream_id": 1}]}, "an entry has no tap_stream_id"),
        ({"streams": [{"tap_stream_id": "seveirties"}]}, "there is no stream 'seveirties'"),
        (
            {"streams": [{"tap_stream_id": "incidents", "metadata": {"selected": False}}]},
            "metadata of the stream 'incidents' is not a list",
        ),
        ({"streams": [{"tap_stream_id": "incidents", "metadata": [1]}]}, "has no breadcrumb list"),
        ({"streams": [{"tap_stream_id": "incidents", "metadata": [{"breadcrumb": "x"}]}]}, "has no breadcrumb list"),
        ({"streams": [{"tap_stream_id": "incidents", "schema": 5}]}, "'incidents' has no properties"),
        ({"streams": [{"tap_stream_id": "incidents", "schema": {"properties": []}}]}, "'incidents' has no properties"),
        (duplicate_document(), "'incidents' is listed twice"),
        (document_without_a_key_column(), "'incidents' lacks its key id"),
        (document_without_selected_streams(), "no stream is selected"),
        (configured_document("incident"), "there is no stream 'incident'"),
        ({"streams": configured_document()["streams"] * 2}, "'incidents' is listed twice"),
        (configured_document(sync_mode="sometimes"), "sync_mode"),
        ({"streams": [{"stream": {"name": "incidents"}}]}, "not a configured stream of the Airbyte protocol"),
        ({"streams": [{"name": "incidents", "json_schema": {}}]}, "not a stream of the Airbyte protocol"),
    ],
)
def test_rejects_an_invalid_catalog_in_one_line(document: Any, expected: str) -> None:
    assert expected in error_text(document)


# Airbyte properties in Singer metadata


@pytest.mark.parametrize(
    "properties",
    [
        {"sync_mode": "full_refresh"},
        {"sync_mode": 1, "stream": 2},
        {"stream": {}},
        {"stream": {"name": 1}},
        5,
        {"stream": []},
    ],
)
def test_airbyte_properties_of_any_shape_are_read_or_rejected(properties: Any) -> None:
    document = singer_document()
    stream_metadata(document)["airbyte"] = properties
    assert_read_or_rejected(document)


def test_airbyte_properties_do_not_rename_the_stream() -> None:
    document = singer_document()
    properties = {"stream": {"name": "severities", "supported_sync_modes": ["full_refresh"]}}
    stream_metadata(document)["airbyte"] = properties
    assert names(select(document)) == ["incidents", "severities"]


# Arbitrary documents


def assert_read_or_rejected(document: Any) -> None:
    try:
        selection = select(document)
    except InputError as error:
        text = str(error)
        assert text.startswith("catalog: ")
        assert "\n" not in text
    else:
        assert isinstance(selection.catalog, ConfiguredAirbyteCatalog)
        for configured in selection.catalog.streams:
            assert configured.stream.json_schema["properties"].keys()
            assert isinstance(configured.sync_mode, SyncMode)
        ConfiguredAirbyteCatalogSerializer.dump(selection.catalog)


@given(json_values)
def test_any_json_is_read_or_rejected(document: Any) -> None:
    assert_read_or_rejected(document)


KEYS = st.sampled_from(
    ["tap_stream_id", "stream", "schema", "metadata", "selected", "key_properties", "replication_method", "json_schema",
     "name", "sync_mode", "supported_sync_modes", "destination_sync_mode"]
)  # fmt: skip
VALUES = (
    json_values
    | st.sampled_from(["incidents", "severities", "FULL_TABLE", "full_refresh", ["full_refresh"], SCHEMA])
    | st.lists(
        st.fixed_dictionaries(
            {
                "breadcrumb": st.lists(st.sampled_from(["properties", "id", "lead"]) | json_values, max_size=3),
                "metadata": json_objects
                | st.dictionaries(
                    st.sampled_from(
                        ["selected", "selected-by-default", "inclusion", "replication-method", "airbyte",
                         "forced-replication-method", "table-key-properties", "valid-replication-keys"]
                    ),
                    json_values
                    | st.dictionaries(st.sampled_from(["stream", "sync_mode", "name"]), json_values, max_size=3),
                ),
            }
        ),
        max_size=2,
    )
)  # fmt: skip


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6), min_size=1, max_size=2))
def test_any_entries_are_read_or_rejected(entries: list[Any]) -> None:
    assert_read_or_rejected({"streams": entries})


@given(st.data())
def test_a_catalog_with_one_changed_value_is_read_or_rejected(data: st.DataObject) -> None:
    configured = select(singer_document()).catalog
    documents = [
        singer_document(),
        singer_document_of_configured(configured),
        configured_document(),
        AirbyteCatalogSerializer.dump(DISCOVERED),
    ]
    document = copy.deepcopy(data.draw(st.sampled_from(documents)))
    container: Any = document
    for _ in range(data.draw(st.integers(1, 9))):
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(container[key], dict | list) or data.draw(st.integers(0, 4)) == 0:
            container[key] = data.draw(json_values)
            break
        container = container[key]
    assert_read_or_rejected(document)


# The Go tap's catalogs


@pytest.mark.skipif(not REFERENCE.exists(), reason="the Go tap's catalogs (../shared) are missing")
@pytest.mark.parametrize("file_name", ["discover.json", "test_catalog.json"])
def test_reads_a_catalog_of_the_go_tap(file_name: str) -> None:
    document = json.loads((REFERENCE / file_name).read_text(encoding="utf-8"))
    discovered = AirbyteCatalog(
        streams=[
            AirbyteStream(
                name=entry["tap_stream_id"],
                json_schema=entry["schema"],
                supported_sync_modes=[SyncMode.full_refresh, SyncMode.incremental],
                source_defined_primary_key=[["id"]],
            )
            for entry in document["streams"]
        ]
    )
    selection = read_catalog(document, discovered)
    assert names(selection)
    assert set(names(selection)) <= {entry["tap_stream_id"] for entry in document["streams"]}
    if any("forced-replication-method" in str(entry["metadata"]) for entry in document["streams"]):
        assert {configured.sync_mode for configured in selection.catalog.streams} == {SyncMode.full_refresh}
