"""Catalogs: there and back without loss, what they select, and what can't be used."""

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

from source_incident.singer import (
    CatalogError,
    Selection,
    discovered_catalog,
    read_catalog,
    select,
    singer_catalog,
)
from unit_tests.singer.strategies import configured_catalogs, discovered_catalogs, json_objects, json_values

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "singer-tap"

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


def document() -> dict[str, Any]:
    return singer_catalog(DISCOVERED)


def of_stream(catalog: dict[str, Any], index: int = 0) -> dict[str, Any]:
    metadata: dict[str, Any] = catalog["streams"][index]["metadata"][0]["metadata"]
    return metadata


def note(catalog: dict[str, Any], breadcrumb: list[str], **values: Any) -> None:
    """Sets metadata of the first stream at a breadcrumb."""
    metadata = catalog["streams"][0]["metadata"]
    for item in metadata:
        if item["breadcrumb"] == breadcrumb:
            item["metadata"].update(values)
            return
    metadata.append({"breadcrumb": breadcrumb, "metadata": values})


def names(selection: Selection) -> list[str]:
    return [item.stream.name for item in selection.catalog.streams]


def columns(selection: Selection, index: int = 0) -> dict[str, Any]:
    properties: dict[str, Any] = selection.catalog.streams[index].stream.json_schema["properties"]
    return properties


def mode(selection: Selection, index: int = 0) -> SyncMode:
    return selection.catalog.streams[index].sync_mode


def refused(given: Any, discovered: AirbyteCatalog = DISCOVERED) -> str:
    with pytest.raises(CatalogError) as caught:
        read_catalog(given, discovered)
    message = str(caught.value)
    assert message.startswith("catalog: ")
    assert "\n" not in message
    return message


# There and back


@given(discovered_catalogs(), st.booleans())
def test_a_discovered_catalog_comes_back_from_singer_as_it_was(catalog: AirbyteCatalog, off: bool) -> None:
    off_by_default = [catalog.streams[0].name] if off else []
    singer = json.loads(json.dumps(singer_catalog(catalog, off_by_default)))
    assert discovered_catalog(singer) == catalog


@given(configured_catalogs())
def test_a_configured_catalog_comes_back_from_singer_as_it_was(catalog: ConfiguredAirbyteCatalog) -> None:
    discovered = AirbyteCatalog(streams=[item.stream for item in catalog.streams])
    singer = json.loads(json.dumps(singer_catalog(catalog)))
    selection = read_catalog(singer, discovered)
    assert selection.catalog == catalog
    assert selection.chosen == {item.stream.name for item in catalog.streams}
    assert not selection.warnings


@given(configured_catalogs())
def test_a_configured_catalog_is_read_in_its_own_format(catalog: ConfiguredAirbyteCatalog) -> None:
    for item in catalog.streams:
        item.stream.json_schema["properties"]["a column"] = {"type": "string"}
    discovered = AirbyteCatalog(streams=[item.stream for item in catalog.streams])
    written = json.loads(json.dumps(ConfiguredAirbyteCatalogSerializer.dump(catalog)))
    assert read_catalog(written, discovered).catalog == catalog


@given(discovered_catalogs())
def test_a_singer_catalog_comes_back_from_airbyte_as_it_was(catalog: AirbyteCatalog) -> None:
    singer = json.loads(json.dumps(singer_catalog(catalog)))
    assert singer_catalog(discovered_catalog(singer)) == singer


@given(discovered_catalogs())
def test_turning_a_catalog_leaves_it_as_it_is(catalog: AirbyteCatalog) -> None:
    before = copy.deepcopy(catalog)
    singer = singer_catalog(catalog)
    kept = copy.deepcopy(singer)
    for entry in singer["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = True
        entry["metadata"][0]["metadata"].pop("forced-replication-method", None)
    selection_source = copy.deepcopy(singer)
    select(singer, catalog)
    assert singer == selection_source
    assert catalog == before
    assert [entry["schema"] for entry in singer["streams"]] == [entry["schema"] for entry in kept["streams"]]


def test_the_catalog_that_discover_prints_selects_all_of_it_message_or_not() -> None:
    printed = AirbyteCatalogSerializer.dump(DISCOVERED)
    for given_document in (printed, {"type": "CATALOG", "catalog": printed}):
        selection = read_catalog(json.loads(json.dumps(given_document)), DISCOVERED)
        assert names(selection) == ["incidents", "severities"]
        assert [mode(selection, 0), mode(selection, 1)] == [SyncMode.incremental, SyncMode.full_refresh]


def test_what_discovery_shows_is_what_singers_tools_look_for() -> None:
    entry, other = singer_catalog(DISCOVERED, {"severities"})["streams"]
    assert entry["tap_stream_id"] == entry["stream"] == "incidents"
    assert entry["key_properties"] == ["id"]
    assert entry["schema"] == SCHEMA
    by_path = {tuple(item["breadcrumb"]): item["metadata"] for item in entry["metadata"]}
    assert by_path[()] == {
        "inclusion": "available",
        "selected-by-default": True,
        "table-key-properties": ["id"],
        "valid-replication-keys": ["updated_at"],
    }
    assert by_path["properties", "id"]["inclusion"] == "automatic"
    assert by_path["properties", "name"] == {"inclusion": "available", "selected-by-default": True}
    assert other["metadata"][0]["metadata"] == {
        "inclusion": "available",
        "selected-by-default": False,
        "table-key-properties": ["id"],
        "forced-replication-method": "FULL_TABLE",
    }


# What is selected


def test_nothing_said_selects_what_is_on_by_default() -> None:
    catalog = singer_catalog(DISCOVERED, {"severities"})
    selection = select(catalog, DISCOVERED)
    assert names(selection) == ["incidents"]
    assert selection.chosen == frozenset()
    assert columns(selection) == SCHEMA["properties"]


@pytest.mark.parametrize("wanted", [True, False])
def test_selected_beats_selected_by_default(wanted: bool) -> None:
    catalog = document()
    of_stream(catalog, 1).update({"selected-by-default": not wanted, "selected": wanted})
    selection = select(catalog, DISCOVERED)
    assert ("severities" in names(selection)) is wanted
    assert ("severities" in selection.chosen) is wanted


@pytest.mark.parametrize("wanted", [True, False])
def test_selected_beside_the_schema_is_read_as_old_catalogs_mean_it(wanted: bool) -> None:
    catalog = document()
    catalog["streams"][1]["selected"] = wanted
    selection = select(catalog, DISCOVERED)
    assert ("severities" in names(selection)) is wanted
    assert ("severities" in selection.chosen) is wanted


def test_selected_in_the_metadata_beats_the_old_one() -> None:
    catalog = document()
    catalog["streams"][1]["selected"] = True
    of_stream(catalog, 1)["selected"] = False
    assert names(select(catalog, DISCOVERED)) == ["incidents"]


@pytest.mark.parametrize("key", ["selected", "selected-by-default"])
@pytest.mark.parametrize(("text", "wanted"), [("true", True), ("false", False), ("False", False)])
def test_true_and_false_may_be_written_as_text(key: str, text: str, wanted: bool) -> None:
    catalog = document()
    of_stream(catalog, 1)[key] = text
    note(catalog, ["properties", "name"], **{key: text})
    selection = select(catalog, DISCOVERED)
    assert ("severities" in names(selection)) is wanted
    assert ("name" in columns(selection)) is wanted
    old = document()
    old["streams"][1]["selected"] = text
    assert ("severities" in names(select(old, DISCOVERED))) is wanted


@pytest.mark.parametrize("value", ["no", "", 0, 1, [], {}])
@pytest.mark.parametrize("breadcrumb", [[], ["properties", "name"]])
def test_what_is_neither_true_nor_false_selects_nothing(value: Any, breadcrumb: list[str]) -> None:
    catalog = document()
    catalog["streams"][0]["metadata"] = [{"breadcrumb": breadcrumb, "metadata": {"selected": value}}]
    with pytest.raises(CatalogError, match=r"catalog: incidents: selected.* is .*, set it to true or false"):
        select(catalog, DISCOVERED)
    old = document()
    old["streams"][0]["selected"] = value
    with pytest.raises(CatalogError, match=r"catalog: incidents: selected is .*, set it to true or false"):
        select(old, DISCOVERED)


def test_an_unsupported_stream_is_never_read() -> None:
    catalog = document()
    of_stream(catalog, 1).update(inclusion="unsupported", selected=True)
    assert names(select(catalog, DISCOVERED)) == ["incidents"]


def test_an_entry_without_metadata_is_selected_whole() -> None:
    catalog = document()
    for entry in catalog["streams"]:
        del entry["metadata"]
    selection = select(catalog, DISCOVERED)
    assert names(selection) == ["incidents", "severities"]
    assert columns(selection) == SCHEMA["properties"]


def test_a_column_that_is_not_selected_is_left_out_of_the_schema_only() -> None:
    catalog = document()
    note(catalog, ["properties", "name"], selected=False)
    selection = select(catalog, DISCOVERED)
    assert columns(selection).keys() == SCHEMA["properties"].keys() - {"name"}
    assert selection.schemas["incidents"] == SCHEMA


def test_a_key_is_there_even_where_it_is_not_selected() -> None:
    catalog = document()
    catalog["streams"][0]["metadata"] = [catalog["streams"][0]["metadata"][0]]
    note(catalog, ["properties", "id"], selected=False)
    assert "id" in columns(select(catalog, DISCOVERED))


@pytest.mark.parametrize(
    ("breadcrumb", "where", "left"),
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
def test_columns_are_selected_at_any_depth(breadcrumb: list[str], where: tuple[str, ...], left: set[str]) -> None:
    catalog = document()
    note(catalog, breadcrumb, selected=False)
    selection = select(catalog, DISCOVERED)
    found: Any = columns(selection)
    for step in where:
        found = found[step]
    assert set(found) == left
    assert not selection.warnings


def test_automatic_columns_come_and_unsupported_ones_do_not_whatever_is_selected() -> None:
    catalog = document()
    note(catalog, ["properties", "name"], inclusion="automatic", selected=False)
    note(catalog, ["properties", "lead"], inclusion="unsupported", selected=True)
    found = columns(select(catalog, DISCOVERED))
    assert "name" in found
    assert "lead" not in found


def test_a_column_off_by_default_comes_when_it_is_selected() -> None:
    catalog = document()
    note(catalog, ["properties", "name"], **{"selected-by-default": False})
    assert "name" not in columns(select(catalog, DISCOVERED))
    note(catalog, ["properties", "name"], selected=True)
    assert "name" in columns(select(catalog, DISCOVERED))


@pytest.mark.parametrize(
    "breadcrumb", [["properties", "nothing"], ["properties", "name", "properties", "x"], ["nowhere"]]
)
def test_a_breadcrumb_that_leads_nowhere_is_a_warning(breadcrumb: list[str]) -> None:
    catalog = document()
    note(catalog, breadcrumb, selected=False)
    selection = select(catalog, DISCOVERED)
    assert columns(selection) == SCHEMA["properties"]
    (warning,) = selection.warnings
    assert warning.startswith("catalog: incidents: ")
    assert ".".join(breadcrumb) in warning


def test_an_unknown_stream_that_is_not_selected_does_no_harm() -> None:
    catalog = document()
    catalog["streams"].append({"tap_stream_id": "gone", "schema": {}, "metadata": []})
    catalog["streams"][-1]["selected"] = False
    assert names(select(catalog, DISCOVERED)) == ["incidents", "severities"]


# How a stream is read


@pytest.mark.parametrize("word", ["FULL_TABLE", "full_table"])
def test_replication_method_full_table_reads_an_incremental_stream_in_full(word: str) -> None:
    catalog = document()
    of_stream(catalog)["replication-method"] = word
    assert mode(select(catalog, DISCOVERED)) == SyncMode.full_refresh


def test_without_a_method_a_stream_is_read_incrementally_where_it_can_be() -> None:
    catalog = document()
    for entry in catalog["streams"]:
        del entry["replication_method"]
    selection = select(catalog, DISCOVERED)
    assert [mode(selection, 0), mode(selection, 1)] == [SyncMode.incremental, SyncMode.full_refresh]


def test_a_kept_catalog_of_the_go_tap_is_read_in_full() -> None:
    catalog = document()
    of_stream(catalog)["forced-replication-method"] = "FULL_TABLE"
    del of_stream(catalog)["valid-replication-keys"]
    assert mode(select(catalog, DISCOVERED)) == SyncMode.full_refresh
    of_stream(catalog)["replication-method"] = "INCREMENTAL"
    assert mode(select(catalog, DISCOVERED)) == SyncMode.incremental


def test_incremental_on_a_stream_that_cannot_is_refused() -> None:
    catalog = document()
    of_stream(catalog, 1)["replication-method"] = "INCREMENTAL"
    message = refused(catalog)
    assert "'severities'" in message
    assert "FULL_TABLE" in message


@pytest.mark.parametrize("word", ["LOG_BASED", "sometimes", 7, ["FULL_TABLE"]])
def test_an_unknown_replication_method_is_refused(word: Any) -> None:
    catalog = document()
    of_stream(catalog)["replication-method"] = word
    assert "incidents" in refused(catalog)


# What can't be used


def twice() -> dict[str, Any]:
    catalog = document()
    catalog["streams"].append(catalog["streams"][0])
    return catalog


def without_key() -> dict[str, Any]:
    catalog = document()
    del catalog["streams"][0]["schema"]["properties"]["id"]
    return catalog


def none_selected() -> dict[str, Any]:
    catalog = document()
    for index in (0, 1):
        of_stream(catalog, index)["selected"] = False
    return catalog


def configured(name: str = "incidents", **fields: Any) -> dict[str, Any]:
    item = ConfiguredAirbyteStream(
        stream=incidents(), sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.append
    )
    catalog: dict[str, Any] = ConfiguredAirbyteCatalogSerializer.dump(ConfiguredAirbyteCatalog(streams=[item]))
    catalog["streams"][0]["stream"]["name"] = name
    catalog["streams"][0].update(fields)
    return catalog


@pytest.mark.parametrize(
    ("given_document", "said"),
    [
        (None, '"streams" list'),
        ([], '"streams" list'),
        ("catalog", '"streams" list'),
        ({}, '"streams" list'),
        ({"streams": {}}, '"streams" list'),
        ({"streams": []}, "no streams"),
        ({"streams": [1]}, "not an object"),
        ({"streams": [{}]}, "tap_stream_id"),
        ({"streams": [{"tap_stream_id": 1}]}, "tap_stream_id"),
        ({"streams": [{"tap_stream_id": "seveirties"}]}, "no stream 'seveirties'"),
        ({"streams": [{"tap_stream_id": "incidents", "metadata": {"selected": False}}]}, "not a list"),
        ({"streams": [{"tap_stream_id": "incidents", "metadata": [1]}]}, "breadcrumb"),
        ({"streams": [{"tap_stream_id": "incidents", "metadata": [{"breadcrumb": "x"}]}]}, "breadcrumb"),
        ({"streams": [{"tap_stream_id": "incidents", "schema": 5}]}, "has no properties"),
        ({"streams": [{"tap_stream_id": "incidents", "schema": {"properties": []}}]}, "has no properties"),
        (twice(), "twice"),
        (without_key(), "lacks its key id"),
        (none_selected(), "no stream is selected"),
        (configured("incident"), "no stream 'incident'"),
        ({"streams": configured()["streams"] * 2}, "twice"),
        (configured(sync_mode="sometimes"), "sync_mode"),
        ({"streams": [{"stream": {"name": "incidents"}}]}, "Airbyte protocol"),
        ({"streams": [{"name": "incidents", "json_schema": {}}]}, "Airbyte protocol"),
    ],
)
def test_a_catalog_that_cannot_be_used_is_one_clear_line(given_document: Any, said: str) -> None:
    assert said in refused(given_document)


def test_an_airbyte_catalog_whose_schema_dropped_the_key_gets_it_back_with_a_warning() -> None:
    catalog = configured()
    catalog["streams"][0]["stream"]["json_schema"]["properties"].pop("id")
    selection = read_catalog(catalog, DISCOVERED)
    assert columns(selection).keys() == SCHEMA["properties"].keys()
    (warning,) = selection.warnings
    assert "incidents" in warning
    assert "key id" in warning


@pytest.mark.parametrize(
    "kept",
    [
        {"sync_mode": "full_refresh"},
        {"sync_mode": 1, "stream": 2},
        {"stream": {}},
        {"stream": {"name": 1}},
        5,
        {"stream": []},
    ],
)
def test_what_is_kept_of_airbyte_may_be_anything(kept: Any) -> None:
    catalog = document()
    of_stream(catalog)["airbyte"] = kept
    usable_or_refused(catalog)


def test_what_is_kept_of_airbyte_does_not_rename_the_stream() -> None:
    catalog = document()
    of_stream(catalog)["airbyte"] = {"stream": {"name": "severities", "supported_sync_modes": ["full_refresh"]}}
    assert names(select(catalog, DISCOVERED)) == ["incidents", "severities"]


@pytest.mark.parametrize("properties", [[], ["id"], "id", None, 5])
def test_an_airbyte_schema_whose_properties_are_no_object_means_all_columns(properties: Any) -> None:
    catalog = configured()
    catalog["streams"][0]["stream"]["json_schema"] = {"properties": properties}
    assert columns(read_catalog(catalog, DISCOVERED)) == SCHEMA["properties"]


def test_an_airbyte_stream_without_columns_means_all_of_them() -> None:
    catalog = configured()
    catalog["streams"][0]["stream"]["json_schema"] = {}
    assert columns(read_catalog(catalog, DISCOVERED)) == SCHEMA["properties"]


# Fuzz


def usable_or_refused(given_document: Any) -> None:
    try:
        selection = read_catalog(given_document, DISCOVERED)
    except CatalogError as error:
        said = str(error)
    else:
        said = "catalog: "
        assert isinstance(selection.catalog, ConfiguredAirbyteCatalog)
        for item in selection.catalog.streams:
            assert item.stream.json_schema["properties"].keys()
            assert isinstance(item.sync_mode, SyncMode)
        ConfiguredAirbyteCatalogSerializer.dump(selection.catalog)
    assert said.startswith("catalog: ")
    assert "\n" not in said


@given(json_values)
def test_any_json_is_a_catalog_or_an_error(value: Any) -> None:
    usable_or_refused(value)


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
def test_any_entries_are_a_catalog_or_an_error(entries: list[Any]) -> None:
    usable_or_refused({"streams": entries})


@given(st.data())
def test_a_catalog_with_one_value_changed_is_a_catalog_or_an_error(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([document(), singer_catalog(read_catalog(document(), DISCOVERED).catalog),
                                       configured(), AirbyteCatalogSerializer.dump(DISCOVERED)]))  # fmt: skip
    whole = copy.deepcopy(whole)
    place: Any = whole
    for _ in range(data.draw(st.integers(1, 9))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.integers(0, 4)) == 0:
            place[key] = data.draw(json_values)
            break
        place = place[key]
    usable_or_refused(whole)


# The Go tap's catalogs


@pytest.mark.skipif(not REFERENCE.exists(), reason="incident.io's own tap's catalogs are not here")
@pytest.mark.parametrize("name", ["discover.json", "test_catalog.json"])
def test_a_catalog_of_the_go_tap_works_as_it_is(name: str) -> None:
    kept = json.loads((REFERENCE / name).read_text(encoding="utf-8"))
    wanted = {entry["tap_stream_id"] for entry in kept["streams"]}
    discovered = AirbyteCatalog(
        streams=[
            AirbyteStream(
                name=entry["tap_stream_id"],
                json_schema=entry["schema"],
                supported_sync_modes=[SyncMode.full_refresh, SyncMode.incremental],
                source_defined_primary_key=[["id"]],
            )
            for entry in kept["streams"]
        ]
    )
    selection = read_catalog(kept, discovered)
    assert set(names(selection)) <= wanted
    assert names(selection)
    forced = any("forced-replication-method" in str(entry["metadata"]) for entry in kept["streams"])
    if forced:
        assert {item.sync_mode for item in selection.catalog.streams} == {SyncMode.full_refresh}
