"""Reads of a stream by the CDK, without the engine."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from airbyte_cdk.models import ConfiguredAirbyteStream, DestinationSyncMode, SyncMode
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.utils.schema_helpers import InternalConfig
from airbyte_cdk.sources.utils.slice_logger import DebugSliceLogger
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_incident.api import Client, UnexpectedAnswerError
from source_incident.cdk_streams import CdkStream
from source_incident.streams.alerts import AlertNotes
from source_incident.streams.base import IncidentStream
from source_incident.streams.incidents import (
    Actions,
    CallTranscriptEntries,
    CustomFieldOptions,
    IncidentAttachments,
    Incidents,
    IncidentUpdates,
)
from source_incident.streams.organisation import Users
from unit_tests.api.server import ScriptedServer, answer
from unit_tests.streams.fakes import CONFIG, FakeClient, http_response, make


def cdk_read(declaration: IncidentStream) -> list[Any]:
    stream = CdkStream(declaration)
    configured = ConfiguredAirbyteStream(
        stream=stream.as_airbyte_stream(),
        sync_mode=SyncMode.full_refresh,
        destination_sync_mode=DestinationSyncMode.append,
    )
    manager = ConnectorStateManager([])
    found = stream.read(configured, stream.logger, DebugSliceLogger(), {}, manager, InternalConfig())
    # A read without an end fails here instead of running into the timeout.
    return [item for item in itertools.islice(found, 1000) if isinstance(item, dict)]


def test_follows_the_pages() -> None:
    def answers(_: str, query: Mapping[str, Any]) -> Any:
        after = query.get("after")
        meta = {"after": "2" if after is None else "3"} if after != "3" else {"after": None}
        return {"users": [{"id": after or "1"}], "pagination_meta": meta}

    client = FakeClient(answers)
    assert cdk_read(make(Users, client)) == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    assert [query.get("after") for _, query in client.requests] == [None, "2", "3"]


@pytest.mark.parametrize("kind", [Incidents, Actions, IncidentUpdates])
def test_reads_incremental_streams(kind: Any) -> None:
    client = FakeClient(
        lambda *_: {
            kind.records_key: [{"id": "1", "incident_id": "2", "updated_at": "2026-01-01"}],
            "pagination_meta": {},
        }
    )
    assert [record["id"] for record in cdk_read(make(kind, client))] == ["1"]
    assert len(client.requests) == 1


def test_requests_the_list_of_each_parent() -> None:
    def answers(path: str, query: Mapping[str, Any]) -> Any:
        if path == "/v2/custom_fields":
            return {"custom_fields": [{"id": "f1"}, {"id": "f2"}]}
        return {"custom_field_options": [{"id": f"o-{query['custom_field_id']}"}], "pagination_meta": {}}

    assert cdk_read(make(CustomFieldOptions, FakeClient(answers))) == [
        {"id": "o-f1", "custom_field_id": "f1"},
        {"id": "o-f2", "custom_field_id": "f2"},
    ]


def test_requests_the_notes_of_alerts_with_notes_and_of_each_group_once() -> None:
    def answers(path: str, query: Mapping[str, Any]) -> Any:
        if path == "/v2/alerts":
            alerts = [
                {"id": "a1", "alert_group_ids": ["g1"]},
                {"id": "a2", "alert_group_ids": ["g2", "g1", None, "g2"]},
            ]
            return {"alerts": alerts[:1] if query.get("has_notes[is]") == "true" else alerts}
        owner = query.get("alert_id") or query.get("alert_group_id")
        return {"alert_notes": [{"id": f"n-{owner}"}]}

    assert cdk_read(make(AlertNotes, FakeClient(answers))) == [
        {"id": "n-a1", "alert_id": "a1"},
        {"id": "n-g1", "alert_group_id": "g1"},
        {"id": "n-g2", "alert_group_id": "g2"},
    ]


def test_reads_two_levels_of_children() -> None:
    def answers(path: str, query: Mapping[str, Any]) -> Any:
        if path == "/v2/incidents":
            return {"incidents": [{"id": "i1"}]}
        if path == "/v2/call_sessions":
            return {"call_sessions": [{"id": "c1"}]}
        assert query["call_session_id"] == "c1"
        return {"call_transcript_entries": [{"id": "e1"}]}

    assert cdk_read(make(CallTranscriptEntries, FakeClient(answers))) == [
        {"id": "e1", "incident_id": "i1", "call_session_id": "c1"}
    ]


def test_reads_over_http_and_fails_at_a_page_of_another_shape() -> None:
    pages = [
        answer({"users": [{"id": "1"}], "pagination_meta": {"after": "1"}}),
        answer({"users": [{"id": "2"}], "pagination_meta": {}}),
        answer({"users": "none"}),
    ]
    with ScriptedServer(*pages) as server:
        client = Client(endpoint=server.url, api_key=CONFIG.api_key, user_agent="t", max_retries=0)
        assert cdk_read(make(Users, client)) == [{"id": "1"}, {"id": "2"}]
        with pytest.raises((UnexpectedAnswerError, AirbyteTracedException)):
            cdk_read(make(Users, client))
        client.close()
    assert "after=1" in server.lines()[1]


@pytest.mark.parametrize("after", [None, "01H"])
def test_has_the_parts_of_a_request_and_of_an_answer(after: str | None) -> None:
    stream = CdkStream(make(IncidentAttachments))
    slice_ = {"incident_id": "01I"}
    body = {"incident_attachments": [{"id": "1"}]}
    assert stream.url_base + stream.path(stream_slice=slice_) == "https://api.example/proxy/v1/incident_attachments"
    assert stream.request_params(None, slice_, {"after": "x"}) == {"incident_id": "01I", "after": "x"}
    assert stream.parse_response(http_response(body), stream_state={}, stream_slice=slice_) == [
        {"id": "1", "incident_id": "01I"}
    ]
    response = http_response({"pagination_meta": {"after": after}})
    assert CdkStream(make(IncidentUpdates)).next_page_token(response) == ({"after": after} if after else None)
