"""Messages: the conversion of sync events to the Airbyte protocol."""

import logging
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    FailureType,
    SyncMode,
)

from source_incident.api import (
    ApiError,
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    RedirectError,
    RequestError,
    TransientError,
    UnexpectedAnswerError,
    UnreachableError,
)
from source_incident.batches import CompleteVersion, RecordBatch, StateUpdate
from source_incident.messages import MessageConverter, ReadFailed, failure_type
from source_incident.sync import Checkpoint, Event, Expected, Failed, Finished, LeftOut, Records, Started
from source_incident.sync.stats import SyncStats
from unit_tests.sync.events import make_client

LOGGER = logging.getLogger("airbyte")
STATE = {"updated_at": "2026-01-01T00:00:00.000Z"}


def converter(*names: str) -> MessageConverter:
    catalog = ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=AirbyteStream(name=name, json_schema={}, supported_sync_modes=[SyncMode.full_refresh]),
                sync_mode=SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.append,
            )
            for name in names
        ]
    )
    return MessageConverter(catalog, LOGGER)


def convert(to: MessageConverter, *events: Event) -> list[tuple[str, Any]]:
    """The messages of events, each as its kind and what matters of it."""
    stats = SyncStats(make_client()[0], 1)
    return [short(message) for event in events for message in to.to_messages(event, stats.add(event))]


def short(message: Any) -> tuple[str, Any]:
    if isinstance(message, RecordBatch):
        return "RECORDS", [record.data["id"] for record in message.messages()]
    if isinstance(message, CompleteVersion):
        return "VERSION", message.version
    if isinstance(message, StateUpdate):
        return "STATE", (message.state, message.records)
    if message.stream_status:
        return "STATUS", message.stream_status.status.value
    if message.estimate:
        return "ESTIMATE", message.estimate.row_estimate
    return "ERROR", message.error.message


def records(name: str, *ids: str) -> Records:
    return Records(name, [{"id": id_} for id_ in ids])


def test_an_incremental_stream_has_a_state_per_checkpoint_with_the_records_before_it() -> None:
    messages = convert(
        converter("alerts"),
        Started("alerts"),
        Expected("alerts", 3),
        records("alerts", "1", "2"),
        Checkpoint("alerts", STATE),
        records("alerts", "3"),
        Checkpoint("alerts", {**STATE, "nested_pages": {}}),
        Finished("alerts"),
    )
    assert messages == [
        ("STATUS", "STARTED"),
        ("ESTIMATE", 3),
        ("STATUS", "RUNNING"),
        ("RECORDS", ["1", "2"]),
        ("STATE", (STATE, 2.0)),
        ("RECORDS", ["3"]),
        ("STATE", ({**STATE, "nested_pages": {}}, 1.0)),
        ("STATUS", "COMPLETE"),
    ]


def test_records_after_the_last_checkpoint_are_followed_by_its_state_again() -> None:
    messages = convert(
        converter("alerts"),
        Started("alerts"),
        Checkpoint("alerts", STATE),
        records("alerts", "1"),
        Finished("alerts"),
    )
    assert messages[-2:] == [("STATE", (STATE, 1.0)), ("STATUS", "COMPLETE")]


@pytest.mark.parametrize("ids", [[], ["1", "2"]])
def test_a_full_refresh_has_its_state_and_then_its_status_at_its_end(ids: list[str]) -> None:
    to = converter("severities")
    events = [records("severities", *ids)] if ids else []
    finished = Finished("severities", {"__ab_full_refresh_sync_complete": True})
    messages = convert(to, Started("severities"), *events, finished)
    assert messages[-2:] == [
        ("STATE", ({"__ab_full_refresh_sync_complete": True}, float(len(ids)))),
        ("STATUS", "COMPLETE"),
    ]
    assert [kind for kind, _ in messages].count("STATE") == 1
    to.raise_for_failures()


def test_the_version_of_a_full_read_comes_before_its_last_state() -> None:
    messages = convert(converter("alerts"), Started("alerts"), records("alerts", "1"), Finished("alerts", STATE, 7))
    assert messages[-3:] == [("VERSION", 7), ("STATE", (STATE, 1.0)), ("STATUS", "COMPLETE")]


def test_a_full_read_without_a_version_has_no_version_message() -> None:
    messages = convert(converter("alerts"), Started("alerts"), records("alerts", "1"), Finished("alerts", STATE))
    assert not [kind for kind, _ in messages if kind == "VERSION"]


def test_a_batch_has_the_version_of_its_records() -> None:
    event = Records("alerts", [{"id": "1"}], version=7)
    stats = SyncStats(make_client()[0], 1)
    messages = list(converter("alerts").to_messages(event, stats.add(event)))
    assert [message.version for message in messages if isinstance(message, RecordBatch)] == [7]


def test_a_failed_stream_is_incomplete_with_one_error_and_no_state() -> None:
    to = converter("severities", "incident_types")
    messages = convert(
        to, Started("severities"), records("severities", "1"), Failed("severities", TransientError("GET x: 503"))
    )
    assert messages[-2:] == [("STATUS", "INCOMPLETE"), ("ERROR", "severities: GET x: 503")]
    assert not [kind for kind, _ in messages if kind == "STATE"]
    with pytest.raises(ReadFailed) as caught:
        to.raise_for_failures()
    assert "These streams failed: severities." in str(caught.value.message)
    assert caught.value.failure_type == FailureType.transient_error


@pytest.mark.parametrize("error", [AuthenticationError("401"), UnreachableError("https://x", TransientError("reset"))])
def test_an_error_that_holds_for_every_stream_is_raised_once_at_the_end(error: ApiError) -> None:
    to = converter("severities", "incident_types")
    names = ("severities", "incident_types")
    messages = convert(to, *(event for name in names for event in (Started(name), Failed(name, error))))
    assert messages == [("STATUS", "STARTED"), ("STATUS", "INCOMPLETE")] * 2
    with pytest.raises(ReadFailed) as caught:
        to.raise_for_failures()
    assert caught.value.message == error.message


def test_a_stream_that_is_left_out_has_no_message(caplog: pytest.LogCaptureFixture) -> None:
    to = converter("severities", "incident_types")
    with caplog.at_level(logging.WARNING, "airbyte"):
        assert convert(to, LeftOut("severities", "no scope")) == []
    assert "severities is left out: no scope" in caplog.text
    to.raise_for_failures()
    convert(to, LeftOut("incident_types", "no scope either"))
    with pytest.raises(ReadFailed, match="no stream could be read") as caught:
        to.raise_for_failures()
    assert "The first reason: no scope" in str(caught.value.message)
    assert caught.value.failure_type == FailureType.config_error


def test_a_fault_of_the_connector_asks_for_a_report() -> None:
    ((_, _), (_, text)) = convert(converter("severities"), Failed("severities", KeyError("id")))
    assert text == "severities: the connector failed, please report it (KeyError('id'))"


def test_a_missing_feature_advises_to_deselect_the_stream() -> None:
    ((_, _), (_, text)) = convert(converter("severities"), Failed("severities", NotFoundError("GET x: not found")))
    assert text == "severities: GET x: not found. The account may lack this feature: deselect the stream"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AuthenticationError("x"), FailureType.config_error),
        (ForbiddenError("x"), FailureType.config_error),
        (NotFoundError("x"), FailureType.config_error),
        (RedirectError("x"), FailureType.config_error),
        (TransientError("x"), FailureType.transient_error),
        (RequestError("x"), FailureType.system_error),
        (UnexpectedAnswerError("x"), FailureType.system_error),
        (KeyError("x"), FailureType.system_error),
    ],
)
def test_the_failure_type_tells_the_platform_what_to_do(error: Exception, kind: FailureType) -> None:
    assert failure_type(error) == kind


def test_the_run_has_the_most_serious_failure_type() -> None:
    to = converter("a", "b", "c")
    convert(to, Failed("a", TransientError("x")), Failed("b", ForbiddenError("x")))
    with pytest.raises(ReadFailed) as caught:
        to.raise_for_failures()
    assert caught.value.failure_type == FailureType.config_error
    convert(to, Failed("c", RequestError("x")))
    with pytest.raises(ReadFailed) as caught:
        to.raise_for_failures()
    assert caught.value.failure_type == FailureType.system_error
