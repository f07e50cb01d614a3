"""SCHEMA, RECORD and STATE lines, and metrics."""

import json
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteStream,
    AirbyteStreamStatus,
    AirbyteTraceMessage,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    FailureType,
    SyncMode,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message
from hypothesis import given
from hypothesis import strategies as st

from source_incident.batches import CompleteVersion, Message, RecordBatch, StateUpdate
from source_incident.messages import error_trace
from source_incident.singer.messages import SingerMessages
from source_incident.singer.selection import Selection, read_catalog
from source_incident.singer.state import SavedState
from unit_tests.singer.catalogs import DISCOVERED, SCHEMA, incidents, set_metadata, severities, singer_document
from unit_tests.singer.strategies import json_values, names

REPLICATION_KEYS = {"incidents": "updated_at"}
STREAMS = {"incidents": incidents(), "severities": severities()}
EMITTED_AT = 1_767_225_600_123


def record(stream: str, data: dict[str, Any], emitted_at: int = EMITTED_AT) -> RecordBatch:
    return RecordBatch(stream, [data], emitted_at)


def state(stream: str, values: dict[str, Any]) -> StateUpdate:
    return StateUpdate(stream, values, 0)


def status(stream: str, value: AirbyteStreamStatus) -> AirbyteTraceMessage:
    trace = as_airbyte_message(STREAMS[stream], value).trace
    assert trace
    return trace


STARTED, RUNNING = AirbyteStreamStatus.STARTED, AirbyteStreamStatus.RUNNING
COMPLETE, INCOMPLETE = AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE


def lines(
    messages: Iterable[Message],
    selection: Selection | None = None,
    saved: SavedState | None = None,
) -> list[dict[str, Any]]:
    selection = selection or read_catalog(singer_document(), DISCOVERED)
    adapter = SingerMessages(selection.catalog, saved or SavedState({}), REPLICATION_KEYS)
    parsed = []
    for text in adapter.lines(messages):
        assert text.endswith(b"\n")
        parsed += [json.loads(line) for line in text.split(b"\n")[:-1]]
    return parsed


def run_messages() -> list[Message]:
    """The messages of a run that reads two streams concurrently."""
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


# Lines


def test_the_schema_is_emitted_once_and_before_the_first_record() -> None:
    emitted = [(line["type"], line["stream"]) for line in lines(run_messages()) if line["type"] != "STATE"]
    assert emitted == [
        ("SCHEMA", "incidents"),
        ("RECORD", "incidents"),
        ("SCHEMA", "severities"),
        ("RECORD", "severities"),
        ("RECORD", "incidents"),
    ]


def test_the_schema_has_the_keys_and_the_bookmark_column() -> None:
    assert lines(run_messages())[0] == {
        "type": "SCHEMA",
        "stream": "incidents",
        "schema": SCHEMA,
        "key_properties": ["id"],
        "bookmark_properties": ["updated_at"],
    }


def test_the_schema_omits_a_bookmark_column_that_is_not_selected() -> None:
    document = singer_document()
    set_metadata(document, ["properties", "updated_at"], selected=False)
    assert "bookmark_properties" not in lines(run_messages(), read_catalog(document, DISCOVERED))[0]


def test_a_stream_without_records_has_a_schema() -> None:
    emitted = lines([status("severities", STARTED), status("severities", COMPLETE)])
    assert [line["type"] for line in emitted] == ["SCHEMA", "STATE"]


def test_the_schema_precedes_a_record_that_comes_before_the_started_status() -> None:
    assert [line["type"] for line in lines([record("severities", {"id": "s"})])] == ["SCHEMA", "RECORD"]


def test_a_record_has_the_time_of_its_extraction() -> None:
    assert lines([record("severities", {"id": "s", "rank": 1})])[-1] == {
        "type": "RECORD",
        "stream": "severities",
        "record": {"id": "s", "rank": 1},
        "time_extracted": "2026-01-01T00:00:00.123Z",
    }


def test_a_state_follows_its_records_and_names_the_stream_that_is_being_read() -> None:
    states = [line["value"] for line in lines(run_messages()) if line["type"] == "STATE"]
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


def test_bookmarks_of_streams_that_are_not_read_stay_in_the_state() -> None:
    saved = SavedState({"alerts": {"updated_at": "2025-01-01"}, "incidents": {"updated_at": "2025-06-01"}})
    bookmarks = lines(run_messages(), saved=saved)[-1]["value"]["bookmarks"]
    assert bookmarks["alerts"] == {"updated_at": "2025-01-01"}
    assert bookmarks["incidents"]["replication_key_value"] == "2026-01-02"


@pytest.mark.parametrize("marker", ["__ab_no_cursor_state_message", "__ab_full_refresh_sync_complete"])
def test_a_full_refresh_removes_the_bookmark(marker: str) -> None:
    saved = SavedState({"incidents": {"updated_at": "2025-06-01"}})
    messages = [
        status("incidents", STARTED),
        record("incidents", {"id": "1"}),
        state("incidents", {marker: True}),
        status("incidents", COMPLETE),
    ]
    assert lines(messages, saved=saved)[-1] == {"type": "STATE", "value": {"bookmarks": {}}}


def test_a_failed_stream_emits_no_state_at_its_end() -> None:
    emitted = lines([status("incidents", STARTED), record("incidents", {"id": "1"}), status("incidents", INCOMPLETE)])
    assert [line["type"] for line in emitted] == ["SCHEMA", "RECORD"]


def test_a_failed_stream_is_not_currently_syncing() -> None:
    failed = [status("incidents", STARTED), status("incidents", INCOMPLETE)]
    read = [status("severities", STARTED), record("severities", {"id": "s"}), status("severities", COMPLETE)]
    assert "currently_syncing" not in lines(failed + read)[-1]["value"]


def test_other_messages_emit_nothing() -> None:
    assert lines([error_trace("severities: failed", FailureType.system_error)]) == []


@given(st.lists(st.dictionaries(names, json_values), min_size=1))
def test_a_batch_emits_the_same_lines_as_its_records(records: list[dict[str, Any]]) -> None:
    batch = RecordBatch("incidents", records, EMITTED_AT)
    assert lines([batch]) == lines(record("incidents", data) for data in records)


def test_metrics_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "airbyte"):
        lines([*run_messages(), status("incidents", STARTED), status("incidents", INCOMPLETE)])
    texts = [entry.getMessage() for entry in caplog.records]
    metrics = [json.loads(text.removeprefix("METRIC: ")) for text in texts if text.startswith("METRIC: ")]
    counts = {metric["tags"]["endpoint"]: metric["value"] for metric in metrics if metric["metric"] == "record_count"}
    assert counts == {"incidents": 2, "severities": 1}
    timers = [
        (metric["type"], metric["tags"]["job_type"], metric["tags"]["status"])
        for metric in metrics
        if metric["metric"] == "job_duration"
    ]
    assert timers == [
        ("timer", "incidents", "succeeded"),
        ("timer", "severities", "succeeded"),
        ("timer", "incidents", "failed"),
    ]


@pytest.mark.parametrize(("column", "is_versioned"), [("title", True), ("version", False)])
def test_a_stream_with_a_column_named_version_gets_no_versions(column: str, is_versioned: bool) -> None:
    """target-postgres fails on ACTIVATE_VERSION for such a table."""
    stream = AirbyteStream(
        name="things",
        json_schema={"properties": {"id": {"type": "string"}, column: {"type": ["null", "string"]}}},
        supported_sync_modes=[SyncMode.full_refresh],
    )
    configured = ConfiguredAirbyteStream(
        stream=stream, sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.overwrite
    )
    messages = [RecordBatch("things", [{"id": "1"}], EMITTED_AT, version=7), CompleteVersion("things", 7)]
    adapter = SingerMessages(ConfiguredAirbyteCatalog(streams=[configured]), SavedState({}), {})
    found = [json.loads(line) for chunk in adapter.lines(messages) for line in chunk.splitlines()]
    assert [message["type"] for message in found][-1] == ("ACTIVATE_VERSION" if is_versioned else "RECORD")
    assert ["version" in message for message in found if message["type"] == "RECORD"] == [is_versioned]
