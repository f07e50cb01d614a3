"""Messages: SCHEMA, RECORD and STATE lines as Singer's targets want them, and records cut to the selection."""

import copy
import json
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteLogMessage,
    AirbyteMessage,
    AirbyteRecordMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteStreamStatus,
    Level,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from hypothesis import given
from hypothesis import strategies as st

from source_incident.batches import RecordBatch
from source_incident.singer import SavedState, Selection, SingerMessages, select, singer_catalog
from source_incident.singer.messages import Projection
from unit_tests.singer.strategies import columns as any_column
from unit_tests.singer.strategies import json_values, names
from unit_tests.singer.test_catalog import DISCOVERED, SCHEMA, incidents, note, severities

CURSORS = {"incidents": "updated_at"}
STREAMS = {"incidents": incidents(), "severities": severities()}
EMITTED_AT = 1_767_225_600_123


def record(stream: str, data: dict[str, Any], emitted_at: int = EMITTED_AT) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.RECORD, record=AirbyteRecordMessage(stream=stream, data=data, emitted_at=emitted_at)
    )


def state(stream: str, blob: dict[str, Any] | None) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.STATE,
        state=AirbyteStateMessage(
            type=AirbyteStateType.STREAM,
            stream=AirbyteStreamState(
                stream_descriptor=StreamDescriptor(name=stream),
                stream_state=None if blob is None else AirbyteStateBlob(blob),
            ),
        ),
    )


def status(stream: str, value: AirbyteStreamStatus) -> AirbyteMessage:
    return as_airbyte_message(STREAMS[stream], value)


STARTED, RUNNING = AirbyteStreamStatus.STARTED, AirbyteStreamStatus.RUNNING
COMPLETE, INCOMPLETE = AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE


def selected(catalog: dict[str, Any] | None = None) -> Selection:
    return select(catalog or singer_catalog(DISCOVERED), DISCOVERED)


def lines(
    messages: Iterable[AirbyteMessage], selection: Selection | None = None, saved: SavedState | None = None
) -> list[dict[str, Any]]:
    selection = selection or selected()
    adapter = SingerMessages(selection.catalog, selection.schemas, saved or SavedState({}), CURSORS)
    found = []
    for text in adapter.lines(messages):
        assert text.endswith(b"\n")
        found += [json.loads(line) for line in text.split(b"\n")[:-1]]
    return found


def a_run() -> list[AirbyteMessage]:
    return [
        status("incidents", STARTED),
        status("incidents", RUNNING),
        record("incidents", {"id": "1"}),
        state("incidents", {"updated_at": "2026-01-01", "resume": {"after": "1"}}),
        status("severities", STARTED),
        record("severities", {"id": "s"}),
        record("incidents", {"id": "2"}),
        state("incidents", {"updated_at": "2026-01-02"}),
        status("incidents", COMPLETE),
        state("severities", {"__ab_no_cursor_state_message": True}),
        status("severities", COMPLETE),
    ]


def test_a_schema_comes_once_and_before_the_first_record_of_its_stream() -> None:
    found = lines(a_run())
    order = [(line["type"], line["stream"]) for line in found if line["type"] != "STATE"]
    assert order == [
        ("SCHEMA", "incidents"),
        ("RECORD", "incidents"),
        ("SCHEMA", "severities"),
        ("RECORD", "severities"),
        ("RECORD", "incidents"),
    ]


def test_a_schema_has_the_keys_and_the_bookmark_column() -> None:
    schema = lines(a_run())[0]
    assert schema == {
        "type": "SCHEMA",
        "stream": "incidents",
        "schema": SCHEMA,
        "key_properties": ["id"],
        "bookmark_properties": ["updated_at"],
    }


def test_a_bookmark_column_that_is_not_selected_is_not_promised() -> None:
    catalog = singer_catalog(DISCOVERED)
    note(catalog, ["properties", "updated_at"], selected=False)
    assert "bookmark_properties" not in lines(a_run(), selected(catalog))[0]


def test_a_stream_without_records_still_gets_its_schema() -> None:
    found = lines([status("severities", STARTED), status("severities", COMPLETE)])
    assert [line["type"] for line in found] == ["SCHEMA", "STATE"]


def test_a_record_before_its_started_status_gets_its_schema_first() -> None:
    assert [line["type"] for line in lines([record("severities", {"id": "s"})])] == ["SCHEMA", "RECORD"]


def test_a_record_has_the_moment_it_was_extracted() -> None:
    (found,) = [line for line in lines([record("severities", {"id": "s", "rank": 1})]) if line["type"] == "RECORD"]
    assert found == {
        "type": "RECORD",
        "stream": "severities",
        "record": {"id": "s", "rank": 1},
        "time_extracted": "2026-01-01T00:00:00.123Z",
    }


def test_a_state_follows_the_records_it_is_true_of_and_says_what_is_being_read() -> None:
    states = [line["value"] for line in lines(a_run()) if line["type"] == "STATE"]
    assert states == [
        {
            "bookmarks": {
                "incidents": {
                    "replication_key": "updated_at",
                    "replication_key_value": "2026-01-01",
                    "resume": {"after": "1"},
                }
            },
            "currently_syncing": "incidents",
        },
        {
            "bookmarks": {"incidents": {"replication_key": "updated_at", "replication_key_value": "2026-01-02"}},
            "currently_syncing": "incidents",
        },
        {
            "bookmarks": {"incidents": {"replication_key": "updated_at", "replication_key_value": "2026-01-02"}},
            "currently_syncing": "severities",
        },
        {"bookmarks": {"incidents": {"replication_key": "updated_at", "replication_key_value": "2026-01-02"}}},
    ]


def test_bookmarks_of_streams_that_are_not_read_now_are_kept() -> None:
    saved = SavedState({"alerts": {"updated_at": "2025-01-01"}, "incidents": {"updated_at": "2025-06-01"}})
    last = lines(a_run(), saved=saved)[-1]["value"]["bookmarks"]
    assert last["alerts"] == {"updated_at": "2025-01-01"}
    assert last["incidents"]["replication_key_value"] == "2026-01-02"


def test_a_stream_that_is_read_in_full_leaves_no_bookmark() -> None:
    saved = SavedState({"incidents": {"updated_at": "2025-06-01"}})
    found = lines(
        [
            status("incidents", STARTED),
            record("incidents", {"id": "1"}),
            state("incidents", {"__ab_no_cursor_state_message": True}),
            status("incidents", COMPLETE),
        ],
        saved=saved,
    )
    assert found[-1] == {"type": "STATE", "value": {"bookmarks": {}}}


def test_the_end_of_a_stream_that_failed_is_no_state() -> None:
    found = lines([status("incidents", STARTED), record("incidents", {"id": "1"}), status("incidents", INCOMPLETE)])
    assert [line["type"] for line in found] == ["SCHEMA", "RECORD"]


def test_a_stream_that_ended_is_not_syncing_any_more() -> None:
    found = lines([status("incidents", STARTED), status("incidents", INCOMPLETE), *a_run()[4:6], a_run()[-1]])
    assert "currently_syncing" not in found[-1]["value"]


def test_other_messages_say_nothing_to_singer() -> None:
    log = AirbyteMessage(type=Type.LOG, log=AirbyteLogMessage(level=Level.INFO, message="hello"))
    assert lines([log]) == []


def test_metrics_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "airbyte"):
        lines([*a_run(), status("incidents", STARTED), status("incidents", INCOMPLETE)])
    found = [
        json.loads(item.getMessage().removeprefix("METRIC: "))
        for item in caplog.records
        if item.getMessage().startswith("METRIC: ")
    ]
    counters = {item["tags"]["endpoint"]: item["value"] for item in found if item["metric"] == "record_count"}
    assert counters == {"incidents": 2, "severities": 1}
    timers = [
        (item["type"], item["tags"]["job_type"], item["tags"]["status"])
        for item in found
        if item["metric"] == "job_duration"
    ]
    assert timers == [
        ("timer", "incidents", "succeeded"),
        ("timer", "severities", "succeeded"),
        ("timer", "incidents", "failed"),
    ]


# Records cut to the selection


def test_an_unknown_field_is_dropped_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    data = {"id": "1", "new": 1, "lead": {"name": "a", "newer": 2}, "notes": [{"newest": 3}, {"newest": 4}]}
    with caplog.at_level(logging.WARNING, "airbyte"):
        found = lines([record("incidents", copy.deepcopy(data)), record("incidents", copy.deepcopy(data))])
    assert [line["record"] for line in found if line["type"] == "RECORD"] == [
        {"id": "1", "lead": {"name": "a"}, "notes": [{}, {}]}
    ] * 2
    told = [item.getMessage().split()[0] for item in caplog.records]
    assert sorted(told) == ["incidents.lead.newer", "incidents.new", "incidents.notes.newest"]


def test_a_column_that_is_not_selected_is_dropped_silently(caplog: pytest.LogCaptureFixture) -> None:
    catalog = singer_catalog(DISCOVERED)
    note(catalog, ["properties", "name"], selected=False)
    note(catalog, ["properties", "lead", "properties", "email"], selected=False)
    note(catalog, ["properties", "notes", "items", "properties", "by"], selected=False)
    data = {"id": "1", "name": "n", "lead": {"name": "a", "email": "b"}, "notes": [{"text": "t", "by": "x"}]}
    with caplog.at_level(logging.WARNING, "airbyte"):
        found = lines([record("incidents", data)], selected(catalog))
    assert found[-1]["record"] == {"id": "1", "lead": {"name": "a"}, "notes": [{"text": "t"}]}
    assert not caplog.records


def test_an_object_of_which_nothing_is_selected_comes_empty() -> None:
    catalog = singer_catalog(DISCOVERED)
    for column in ("name", "email", "team"):
        note(catalog, ["properties", "lead", "properties", column], selected=False)
    found = lines([record("incidents", {"id": "1", "lead": {"name": "a", "email": "b"}})], selected(catalog))
    assert found[-1]["record"] == {"id": "1", "lead": {}}


def test_an_object_whose_columns_an_old_catalog_does_not_name_passes_whole() -> None:
    data = {"id": "1", "lead": {"name": "a"}}
    schema = {"properties": {"id": {"type": "string"}, "lead": {"type": ["null", "object"]}}}
    assert project(schema, data, whole=SCHEMA) is data


def project(schema: dict[str, Any], data: dict[str, Any], whole: dict[str, Any] | None = None) -> dict[str, Any]:
    return Projection(schema, whole or schema, lambda path: None).rows([data])[0]


def test_a_record_without_anything_to_drop_is_not_copied() -> None:
    data = {"id": "1", "lead": {"name": "a", "team": {"id": "t"}}, "notes": [{"text": "t"}], "name": None}
    assert project(SCHEMA, data) is data


@pytest.mark.parametrize("value", [None, "text", 5, [], {}, [None], [1, {"text": "t"}], [[{"text": "t"}]], True])
def test_a_value_of_another_shape_than_the_schema_says_passes(value: Any) -> None:
    data = {"id": "1", "lead": value, "notes": value}
    expected = {"id": "1", "lead": value, "notes": value}
    if value and "text" in str(value) and isinstance(value, list):
        expected["lead"] = json.loads(json.dumps(value).replace('{"text": "t"}', "{}"))
    assert project(SCHEMA, data) == expected


def test_an_object_whose_schema_names_no_columns_passes_whole() -> None:
    schema = {"properties": {"free": {"type": "object"}, "open": {"type": "object", "properties": {}}}}
    data = {"free": {"a": 1}, "open": {"b": {"c": 2}}}
    assert project(schema, data) is data


def keep(schema: Any, value: Any) -> Any:
    """What a projection leaves, said in the plainest way."""
    if isinstance(value, list):
        while isinstance(schema.get("items"), dict) and "properties" not in schema:
            schema = schema["items"]
        return [keep(schema, item) for item in value]
    while isinstance(schema.get("items"), dict):
        schema = schema["items"]
    if isinstance(value, dict) and schema.get("properties"):
        below = schema["properties"]
        return {key: keep(below[key], item) for key, item in value.items() if key in below}
    return value


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Values that keep to a schema more or less: fields it does not know, fields missing, other shapes."""
    if schema.get("properties"):
        fields = {key: values_of(below) for key, below in schema["properties"].items()}
        return json_values | st.builds(
            lambda known, more: {**more, **known},
            st.fixed_dictionaries({}, optional=fields),
            st.dictionaries(names, json_values, max_size=2),
        )
    if isinstance(schema.get("items"), dict):
        return json_values | st.lists(values_of(schema["items"]), max_size=3)
    return json_values


@given(st.data())
def test_exactly_what_the_schema_lacks_is_dropped_and_the_record_given_stays(data: st.DataObject) -> None:
    schema = {"properties": data.draw(st.dictionaries(names, any_column, min_size=1, max_size=4))}
    given_record = data.draw(values_of(schema).filter(lambda value: isinstance(value, dict)))
    before = copy.deepcopy(given_record)
    unknown: list[str] = []
    result = Projection(schema, schema, unknown.append).rows([given_record])[0]
    assert given_record == before
    assert result == keep(schema, before)
    assert (result is given_record) == (result == before) == (not unknown)
    assert Projection(schema, schema, unknown.append).rows([result])[0] is result


@given(st.lists(st.dictionaries(names, json_values), min_size=1))
def test_a_batch_comes_to_the_same_lines_as_its_records(records: list[dict[str, Any]]) -> None:
    batch = RecordBatch("incidents", records, EMITTED_AT)
    assert lines([batch]) == lines(batch.messages())


@given(st.lists(st.dictionaries(names, json_values)))
def test_a_batch_is_written_as_lines_of_the_airbyte_protocol(records: list[dict[str, Any]]) -> None:
    written = RecordBatch("incidents", records, EMITTED_AT).lines().split(b"\n")[:-1]
    assert [json.loads(line) for line in written] == [
        {"type": "RECORD", "record": {"stream": "incidents", "data": data, "emitted_at": EMITTED_AT}}
        for data in records
    ]


@given(st.data())
def test_a_record_fits_the_schema_of_its_selection(data: st.DataObject) -> None:
    """Whatever columns are selected at whatever depth, no field comes that the SCHEMA line does not have."""
    catalog = singer_catalog(AirbyteCatalog(streams=[incidents()]))
    paths = [
        ["properties", "name"],
        ["properties", "lead"],
        ["properties", "lead", "properties", "name"],
        ["properties", "lead", "properties", "email"],
        ["properties", "lead", "properties", "team"],
        ["properties", "lead", "properties", "team", "properties", "id"],
        ["properties", "lead", "properties", "team", "properties", "name"],
        ["properties", "notes", "items", "properties", "text"],
        ["properties", "notes", "items", "properties", "by"],
    ]
    off = data.draw(st.lists(st.sampled_from(paths), unique_by=tuple))
    for path in off:
        note(catalog, path, selected=False)
    whole = {
        "id": "1",
        "name": "n",
        "lead": {"name": "a", "email": "b", "team": {"id": "t", "name": "u"}},
        "notes": [{"text": "t", "by": "x"}],
    }
    found = lines([record("incidents", copy.deepcopy(whole))], selected(catalog))
    schema, emitted = found[0]["schema"], found[1]["record"]
    for path in paths:
        values, below, there = emitted, schema, True
        for step in path:
            there = there and step in below
            below = below.get(step, {})
            if step == "items":
                values = values[0] if values else {}
            elif step != "properties":
                values = values.get(step, {}) if isinstance(values, dict) else {}
        assert there == (not any(path[: len(gone)] == gone for gone in off))
        assert bool(values) == there or path in (["properties", "lead"], ["properties", "lead", "properties", "team"])
