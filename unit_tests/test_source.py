"""SourceIncident as the CDK calls it: the default catalog, rejected input, failures of streams, estimates."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStream,
    AirbyteStreamState,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    FailureType,
    StreamDescriptor,
    SyncMode,
    Type,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_incident.cancellation import CancellationToken
from source_incident.config import connection_specification
from source_incident.connector import Connector
from source_incident.source import SourceIncident
from source_incident.streams import STREAMS
from source_incident.sync import Interrupted
from unit_tests.api.server import FORBIDDEN, NOT_FOUND, ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789abcdef"
LOGGER = logging.getLogger("airbyte")
CONFIG = {"api_key": KEY, "endpoint": "http://127.0.0.1:1", "max_retries": 0}

Default = Callable[[str], bytes]


def catalog(*names: str, mode: SyncMode = SyncMode.full_refresh, schema: Any = None) -> ConfiguredAirbyteCatalog:
    return ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=AirbyteStream(name=name, json_schema=schema or {}, supported_sync_modes=[mode]),
                sync_mode=mode,
                destination_sync_mode=DestinationSyncMode.append,
            )
            for name in names
        ]
    )


def state(name: str, blob: dict[str, Any]) -> AirbyteStateMessage:
    stream = AirbyteStreamState(stream_descriptor=StreamDescriptor(name=name), stream_state=AirbyteStateBlob(blob))
    return AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=stream)


def read(
    default: Default, configured: ConfiguredAirbyteCatalog, optional: tuple[str, ...] = (), **settings: Any
) -> tuple[list[AirbyteMessage], str | None]:
    """The messages of a read, and the text of the error that it raises at its end."""
    found: list[AirbyteMessage] = []
    with ScriptedServer(default=default) as server:
        config = {**CONFIG, "endpoint": server.url, **settings}
        try:
            found += SourceIncident(Connector(optional)).read(LOGGER, config, configured)
        except AirbyteTracedException as error:
            return found, error.message
    return found, None


def errors(messages: list[AirbyteMessage]) -> dict[str, tuple[FailureType | None, str]]:
    return {
        str(error.stream_descriptor.name if error.stream_descriptor else None): (error.failure_type, error.message)
        for message in messages
        if message.trace and (error := message.trace.error)
    }


def rejection(
    configured: ConfiguredAirbyteCatalog, states: list[AirbyteStateMessage] | None = None, **settings: Any
) -> str:
    """The text of the config error that a read raises."""
    with pytest.raises(AirbyteTracedException) as caught:
        list(SourceIncident().read(LOGGER, {**CONFIG, **settings}, configured, states))
    assert caught.value.failure_type == FailureType.config_error
    message = str(caught.value.message)
    assert "\n" not in message
    return message


def test_the_spec_comes_from_the_settings() -> None:
    spec = SourceIncident().spec(LOGGER)
    assert spec.connectionSpecification == connection_specification()


def test_discovers_every_stream_with_its_schema_and_key() -> None:
    found = SourceIncident().discover(LOGGER, CONFIG).streams
    assert len(found) == len(STREAMS)
    for stream in found:
        assert stream.json_schema["properties"].keys() >= {path[0] for path in stream.source_defined_primary_key or []}


def test_the_default_catalog_has_the_streams_that_are_selected_by_default_incremental_where_possible() -> None:
    source = Connector()
    found = source.default_catalog(CONFIG).streams
    names = {item.stream.name for item in found}
    assert {"incidents", "alerts", "severities"} <= names
    assert not names & source.deselected_by_default()
    assert names | source.deselected_by_default() == source.stream_names()
    assert len(source.stream_names()) == len(STREAMS)
    for item in found:
        supported = SyncMode.incremental in item.stream.supported_sync_modes
        assert item.sync_mode == (SyncMode.incremental if supported else SyncMode.full_refresh)
        assert (item.stream.name in source.bookmark_keys(CONFIG)) == supported


@pytest.mark.parametrize(
    ("configured", "problem"),
    [
        (catalog("severity"), "no stream 'severity'"),
        (catalog("severities", "severities"), "twice"),
    ],
)
def test_an_invalid_catalog_is_a_config_error(configured: ConfiguredAirbyteCatalog, problem: str) -> None:
    assert problem in rejection(configured)


@pytest.mark.parametrize(
    "blob", [{"updated_at": "yesterday"}, {"updated_at": 5}, {"something": 1}, {"resume": {"after": ""}}, {"modes": []}]
)
def test_an_invalid_state_is_a_config_error_that_names_the_stream(blob: dict[str, Any]) -> None:
    message = rejection(catalog("incidents", mode=SyncMode.incremental), [state("incidents", blob)])
    assert message.startswith("state: the state of the stream 'incidents' is not valid: ")
    assert "Remove it from the state" in message


def test_a_state_that_is_not_by_stream_is_a_config_error() -> None:
    legacy = AirbyteStateMessage(type=AirbyteStateType.LEGACY, data={"incidents": {}})
    assert "type STREAM" in rejection(catalog("incidents", mode=SyncMode.incremental), [legacy])


def test_an_invalid_config_is_a_config_error() -> None:
    assert "api_key" in rejection(catalog("severities"), api_key="")
    assert "num_workers" in rejection(catalog("severities"), num_workers=99)


@pytest.mark.parametrize(
    ("scripted", "kind", "problem"),
    [
        (answer(FORBIDDEN, 403), FailureType.config_error, "lacks"),
        (answer(NOT_FOUND, 404), FailureType.config_error, "not found"),
        (answer(content=b"<html>", status=403), FailureType.transient_error, "403"),
        (answer(content=b"<html>", status=404), FailureType.transient_error, "404"),
        (answer({}, 422), FailureType.system_error, "422"),
        (answer({}, 503), FailureType.transient_error, "503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", FailureType.transient_error, "gave up"),
        (answer([]), None, "not a JSON object"),
        (answer({"severities": [1]}), None, "an element that is not an object"),
        (answer({}, 302, {"Location": "https://evil.example"}), FailureType.config_error, "redirects"),
    ],
)
def test_a_failed_stream_has_one_trace_with_its_failure_type_and_the_others_finish(
    scripted: bytes, kind: FailureType | None, problem: str
) -> None:
    def default(path: str) -> bytes:
        if path.startswith("/v1/severities"):
            return scripted
        return answer({"incident_types": [{"id": "1"}]})

    # One worker: no other stream has an answer yet when the first one fails.
    messages, raised = read(default, catalog("severities", "incident_types"), num_workers=1)
    found = errors(messages)
    assert set(found) == {"severities"}
    failure, message = found["severities"]
    assert problem in message
    assert KEY not in str(messages)
    assert kind in (None, failure)
    assert raised is not None
    assert "severities" in raised
    assert [message.record.data for message in messages if message.record] == [{"id": "1"}]


@pytest.mark.parametrize(
    ("scripted", "problem"), [(answer({}, 401), "does not accept the API key"), (b"", "does not answer")]
)
def test_an_error_that_holds_for_every_stream_is_reported_once(scripted: bytes, problem: str) -> None:
    messages, raised = read(lambda _: scripted, catalog("severities", "incident_types"))
    assert errors(messages) == {}
    assert raised is not None
    assert problem in raised


@pytest.mark.parametrize("status", [403, 404])
def test_leaves_out_an_optional_stream_that_the_key_may_not_read(status: int, caplog: pytest.LogCaptureFixture) -> None:
    def default(path: str) -> bytes:
        if path.startswith("/v1/severities"):
            return answer(FORBIDDEN if status == 403 else NOT_FOUND, status)
        return answer({"incident_types": [{"id": "1"}]})

    with caplog.at_level(logging.WARNING, "airbyte"):
        messages, raised = read(default, catalog("severities", "incident_types"), optional=("severities",))
    assert raised is None
    assert errors(messages) == {}
    assert "severities is left out" in caplog.text
    statuses = [
        (status.stream_descriptor.name, status.status.value)
        for message in messages
        if message.trace and (status := message.trace.stream_status)
    ]
    assert ("incident_types", "COMPLETE") in statuses
    assert not [name for name, _ in statuses if name == "severities"]


def test_the_statuses_of_a_failed_stream_surround_its_records() -> None:
    def default(path: str) -> bytes:
        if path.startswith("/v2/custom_fields"):
            return answer({"custom_fields": [{"id": f"f{number}"} for number in range(20)]})
        if "custom_field_id=f7" in path:
            return answer({}, 422)
        return answer({"custom_field_options": [{"id": path[-4:]}], "pagination_meta": {}})

    messages, _ = read(default, catalog("custom_field_options"))
    found = [
        message.trace.stream_status.status.value if message.trace and message.trace.stream_status else "RECORD"
        for message in messages
        if message.record or (message.trace and message.trace.stream_status)
    ]
    assert [item for item in found if item != "RECORD"] in (
        ["STARTED", "RUNNING", "INCOMPLETE"],
        ["STARTED", "INCOMPLETE"],
    )
    assert (found[0], found[-1]) == ("STARTED", "INCOMPLETE")
    assert "RECORD" not in found or found[1] == "RUNNING"


def test_a_nested_column_that_the_schema_does_not_have_costs_no_request() -> None:
    requested: list[str] = []

    def default(path: str) -> bytes:
        requested.append(path.split("?")[0])
        if path.startswith("/v2/incidents?"):
            return answer({"incidents": [{"id": "i", "mode": "standard"}], "pagination_meta": {}})
        return answer({"incident_updates": [], "incident_attachments": [], "actions": []})

    schema = {"properties": {"id": {}, "name": {}}}
    messages, raised = read(default, catalog("incidents", schema=schema))
    assert raised is None
    assert set(requested) == {"/v2/incidents", "/v1/incident_statuses"}
    assert [message.record.data for message in messages if message.record] == [{"id": "i"}]
    requested.clear()
    assert read(default, catalog("incidents", schema={"properties": {"id": {}, "updates": {}}}))[1] is None
    assert set(requested) == {"/v2/incidents", "/v1/incident_statuses", "/v2/incident_updates"}


def test_a_state_message_has_the_number_of_records_before_it() -> None:
    def default(path: str) -> bytes:
        if "after=" in path:
            return answer({"alerts": [{"id": "3"}], "pagination_meta": {}})
        return answer({"alerts": [{"id": "1"}, {"id": "2"}], "pagination_meta": {"after": "2"}})

    messages, raised = read(default, catalog("alerts", mode=SyncMode.incremental))
    assert raised is None
    counts, since = [], 0
    for message in messages:
        since += message.type == Type.RECORD
        if message.state and message.state.sourceStats:
            counts.append((message.state.sourceStats.recordCount, since))
            since = 0
    assert [reported for reported, _ in counts] == [seen for _, seen in counts]
    assert sum(reported or 0 for reported, _ in counts) == 3
    assert [reported for reported, _ in counts][:2] == [2, 1]


# Estimates


def estimates(messages: list[AirbyteMessage]) -> list[tuple[str, int | None]]:
    return [
        (estimate.name, estimate.row_estimate)
        for message in messages
        if message.trace and (estimate := message.trace.estimate)
    ]


def counted(path: str) -> bytes:
    """Lists of two pages, with one record each and the total."""
    name = path.partition("?")[0].rpartition("/")[2]
    after = None if "after=" in path else "p2"
    record = {"id": f"{name}-{after}", "incident_id": "i1", "created_at": "2026-01-02T00:00:00Z"}
    return answer({name: [record], "pagination_meta": {"after": after, "total_record_count": 2}})


def test_estimates_a_total_of_the_api_once_after_the_stream_has_started() -> None:
    messages, _ = read(counted, catalog("workflow_runs"))
    assert estimates(messages) == [("workflow_runs", 2)]
    kinds = [
        message.trace.stream_status.status.value if message.trace.stream_status else "ESTIMATE"
        for message in messages
        if message.trace
    ]
    assert kinds == ["STARTED", "ESTIMATE", "RUNNING", "COMPLETE"]


@pytest.mark.parametrize(
    ("stream", "blob", "expected"),
    [
        ("workflow_runs", {"created_at": "2026-01-01T00:00:00Z"}, [("workflow_runs", 2)]),
        ("workflow_runs", {"resume": {"after": "p2", "began": "2026-01-01T00:00:00Z"}}, []),
        ("incident_updates", {"created_at": "2026-01-01T00:00:00Z"}, []),
        ("incident_updates", {}, [("incident_updates", 2)]),
    ],
)
def test_does_not_estimate_a_total_of_more_records_than_are_read(
    stream: str, blob: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    with ScriptedServer(default=counted) as server:
        configured = catalog(stream, mode=SyncMode.incremental)
        config = {**CONFIG, "endpoint": server.url, "full_read_days": 0}
        assert estimates(list(SourceIncident().read(LOGGER, config, configured, [state(stream, blob)]))) == expected


def test_cancellation_before_the_sync_starts_ends_it() -> None:
    token = CancellationToken()
    with ScriptedServer() as server:
        source = SourceIncident(Connector(cancellation=token))
        settings = {"api_key": "k" * 20, "endpoint": server.url}
        messages = source.read(logging.getLogger("airbyte"), settings, catalog("severities"), [])
        token.cancel()
        with pytest.raises(Interrupted):
            list(messages)
        assert server.lines() == []
