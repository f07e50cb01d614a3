"""The kinds of stream: what they ask for, and what they make of an answer."""

import copy
import csv
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from airbyte_cdk.models import ConfiguredAirbyteStream, DestinationSyncMode, SyncMode
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.streams.http import HttpStream
from airbyte_cdk.sources.utils.schema_helpers import InternalConfig
from airbyte_cdk.sources.utils.slice_logger import DebugSliceLogger
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import given
from hypothesis import strategies as st

from source_incident.api import ApiResponse, Client, UnexpectedAnswerError
from source_incident.config import Config
from source_incident.streams import STREAMS
from source_incident.streams.alerts import AlertNotes, Alerts, AlertSources
from source_incident.streams.base import (
    ChildStream,
    CursorStream,
    IncidentStream,
    cursor_of,
    ids_of,
)
from source_incident.streams.incidents import (
    Actions,
    CallTranscriptEntries,
    CustomFieldOptions,
    IncidentAttachments,
    IncidentParticipants,
    IncidentParticipantWorkloads,
    Incidents,
    IncidentTypes,
    IncidentUpdates,
    PostmortemDocumentContents,
    Severities,
)
from source_incident.streams.on_call import (
    Escalations,
    OnCallNotificationPauses,
    PayConfigWeeklyRules,
    ScheduleEntries,
)
from source_incident.streams.organisation import IpAllowlists, PolicyFindings, Secrets, Users
from source_incident.timestamps import format_timestamp
from unit_tests.api.server import ScriptedServer, answer
from unit_tests.singer.strategies import json_values
from unit_tests.streams.test_schemas import BY_NAME, every_stream

TSV = Path(__file__).resolve().parents[3] / "shared" / "reference" / "streams.tsv"
CONFIG = Config.parse({"api_key": "inc_5ecret_key_0123456789abcdef"})


class Api:
    """Stands in for the client: gives the bodies that `answers` makes, and writes down what was asked for."""

    endpoint = "https://api.example/proxy"

    def __init__(self, answers: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._answers = answers

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        validate: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> ApiResponse:
        assert url.startswith(self.endpoint)
        path, query = url.removeprefix(self.endpoint), dict(params or {})
        self.asked.append((path, query))
        body = copy.deepcopy(self._answers(path, query))
        assert validate is not None
        validate(body)
        return respond(body)


def respond(body: Any) -> ApiResponse:
    response = requests.Response()
    response.status_code = 200
    return ApiResponse.of(response, body, datetime(2026, 1, 1, tzinfo=UTC))


def make(kind: type[IncidentStream], client: Any = None, config: Config = CONFIG) -> IncidentStream:
    return kind(client or Api(lambda *_: {}), config)


def parse(kind: type[IncidentStream], body: Any, slice_: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return make(kind).parse_response(respond(body), stream_state={}, stream_slice=slice_)


def params(kind: type[IncidentStream], slice_: Mapping[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    config = Config.parse({"api_key": CONFIG.api_key, **settings})
    return dict(make(kind, config=config).request_params(None, slice_))


# Declarations


@every_stream
def test_a_stream_is_an_http_stream_of_the_cdk(stream: Any) -> None:
    assert issubclass(stream, HttpStream)
    made = make(stream)
    described = made.as_airbyte_stream()
    assert described.name == made.name
    assert described.source_defined_primary_key == [[field] for field in stream.primary_key]
    assert made.endpoint.startswith("/v")
    modes = described.supported_sync_modes
    assert (SyncMode.incremental in modes) == (made.bookmark_key is not None) == bool(described.is_resumable)


@pytest.mark.skipif(not TSV.exists(), reason="the table of streams is not here")
def test_streams_are_those_of_the_reference() -> None:
    with TSV.open(encoding="utf-8") as file:
        rows = {row["stream"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert rows.keys() <= BY_NAME.keys()
    for name, row in rows.items():
        stream: Any = BY_NAME[name]
        assert stream.primary_key == row["key"].split(", "), name
        assert str(stream.page_size or "-") == row["page"], name
        assert ("yes" if stream.selected_by_default else "no") == row["default"], name
        renamed = ("{id}", "{incident_id}")
        path = row["path"]
        if not any(key in path for key in renamed):
            assert stream.endpoint == path, name
        assert path.split("{")[0] == stream.endpoint.split("{")[0], name
        assert path.count("{") == stream.endpoint.count("{"), name
        parent = row["parent"].split(":")[0].split(" with ")[0]
        assert ("" if not issubclass(stream, ChildStream) else make(stream.parent).name) == parent, name
        replication = row["replication"]
        if replication == "full table":
            assert make(stream).bookmark_key is None, name
        elif replication == "by parent":
            assert stream.by_parent, name
        else:
            assert make(stream).bookmark_key == replication.split(",")[0], name
            assert stream.filtered_by_api == ("gte" in replication), name
            assert getattr(stream, "filter_by_date", False) == ("by date" in replication), name
        records, _, lists = row["records at"].partition(".")
        if records != "(the body)":
            assert stream.records_key == records, name
        assert ",".join(stream.record_lists) == lists.strip("{}"), name


# What is asked for


def test_a_page_is_asked_for_with_its_size_its_place_and_what_is_fixed() -> None:
    api = Api(lambda *_: {"users": [], "pagination_meta": {}})
    make(Users, api).read_page({}, "01H")
    assert api.asked == [("/v2/users", {"include_inactive": "true", "page_size": 10000, "after": "01H"})]


def test_a_list_that_is_not_paged_is_asked_for_plainly() -> None:
    assert params(Severities) == {}


def test_all_status_categories_and_the_modes_are_asked_for_at_once() -> None:
    found = params(Incidents, {"modes": ("standard", "test")})
    assert len(found["status_category[one_of]"]) == 8
    assert found["mode[one_of]"] == ["standard", "test"]


@pytest.mark.parametrize(
    ("modes", "expected"),
    [(("standard", "retrospective"), None), (("retrospective", "standard"), None), (("test",), "test")],
)
def test_the_default_modes_of_actions_come_without_the_parameter(modes: tuple[str, ...], expected: str | None) -> None:
    assert params(Actions, {"modes": modes}).get("incident_mode") == expected


@pytest.mark.parametrize(
    ("kind", "moment", "expected"),
    [
        (Actions, datetime(2026, 1, 2, 3, 4, 5, 678_900, UTC), "2026-01-02T03:04:05.678Z"),
        (Actions, datetime(2026, 1, 2, 3, tzinfo=UTC).astimezone(), "2026-01-02T03:00:00.000Z"),
        (Incidents, datetime(2026, 1, 2, 13, tzinfo=UTC), "2026-01-02"),
        (Incidents, datetime(2026, 1, 2, 11, tzinfo=UTC), "2026-01-01"),
        (Escalations, datetime(2026, 1, 1, tzinfo=UTC), "2025-12-31"),
    ],
)
def test_a_filter_is_a_moment_or_a_day_that_is_not_too_late(kind: Any, moment: datetime, expected: str) -> None:
    assert make(kind).since_filter(moment) == expected  # type: ignore[attr-defined]
    assert params(kind, {"since": expected, "modes": ("standard",)})["updated_at[gte]"] == expected


def test_without_a_bookmark_there_is_no_filter() -> None:
    assert not [name for name in params(Alerts, {}) if "updated_at" in name]


def test_a_lookback_is_the_configs_or_the_streams_own_whichever_is_longer() -> None:
    config = Config.parse({"api_key": CONFIG.api_key, "lookback_window": 7})
    for kind in STREAMS:
        if issubclass(kind, CursorStream):
            found = make(kind, config=config)
            assert isinstance(found, CursorStream)
            assert found.lookback == max(timedelta(minutes=7), kind.minimum_lookback)


def test_a_list_that_would_begin_now_is_asked_for_from_the_beginning_whatever_the_start_date() -> None:
    for config in ({}, {"start_date": "2024-01-01"}):
        assert params(OnCallNotificationPauses, **config)["from"] == "2020-01-01T00:00:00.000Z"


def test_a_window_is_of_the_configured_days_and_stays_from_page_to_page() -> None:
    config = Config.parse(
        {"api_key": CONFIG.api_key, "schedule_entries_past_days": 2, "schedule_entries_future_days": 3}
    )
    stream = make(ScheduleEntries, config=config)
    slice_ = {"schedule_id": "01S"}
    found = stream.request_params(None, slice_)
    assert found["schedule_id"] == "01S"
    start, end = (datetime.fromisoformat(found[f"entry_window_{side}"]) for side in ("start", "end"))
    assert end - start == timedelta(days=5)
    assert abs(datetime.now(UTC) - timedelta(days=2) - start) < timedelta(minutes=1)
    later = stream.request_params(None, slice_, stream.page_token("2026-01-01T00:00:00Z"))
    assert later == {**found, "entry_window_start": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("id_", "path"),
    [
        ("01H", "/v1/postmortem_documents/01H/content"),
        ("a/b?c#d e%", "/v1/postmortem_documents/a%2Fb%3Fc%23d%20e%25/content"),
        ("é", "/v1/postmortem_documents/%C3%A9/content"),
        (5, "/v1/postmortem_documents/5/content"),
    ],
)
def test_an_id_in_a_path_is_quoted(id_: Any, path: str) -> None:
    assert make(PostmortemDocumentContents).path(stream_slice={"postmortem_document_id": id_}) == path


def test_a_parents_id_goes_into_the_query_where_the_path_has_no_place_for_it() -> None:
    assert params(CustomFieldOptions, {"custom_field_id": "01F"})["custom_field_id"] == "01F"
    assert "postmortem_document_id" not in params(PostmortemDocumentContents, {"postmortem_document_id": "01P"})


def test_the_slice_of_a_child_has_the_ids_above_it_and_nothing_else() -> None:
    parent_slice = {"incident_id": "01I", "modes": ("standard",), "since": "2026-01-01", "filters": {"a": 1}}
    child = make(CallTranscriptEntries)
    assert isinstance(child, ChildStream)
    assert child.slice_of({"id": "01C"}, parent_slice) == {"incident_id": "01I", "call_session_id": "01C"}
    assert child.slice_of({"id": ""}, parent_slice) is None
    assert child.slice_of({}, parent_slice) is None
    assert child.bookmark_key == "incident_updated_at"
    assert ids_of(parent_slice) == {"incident_id": "01I"}


# Answers


def test_records_come_with_the_fields_that_join_them_to_their_parents() -> None:
    slice_ = {"incident_id": "01I", "call_session_id": "01C", "filters": {}}
    assert parse(CallTranscriptEntries, {"call_transcript_entries": [{"id": "1"}]}, slice_) == [
        {"id": "1", "incident_id": "01I", "call_session_id": "01C"}
    ]


def test_what_the_api_says_of_a_parent_is_not_overwritten() -> None:
    body = {"incident_attachments": [{"id": "1", "incident_id": "01X"}]}
    assert parse(IncidentAttachments, body, {"incident_id": "01I"}) == [{"id": "1", "incident_id": "01X"}]


def test_a_body_that_is_the_record_is_one_record() -> None:
    assert parse(PostmortemDocumentContents, {"content": "# What"}, {"postmortem_document_id": "01P"}) == [
        {"content": "# What", "postmortem_document_id": "01P"}
    ]


def test_an_object_where_a_list_is_elsewhere_is_one_record() -> None:
    assert parse(IpAllowlists, {"ip_allowlist": {"version": 1}}) == [{"version": 1}]


def test_an_object_of_lists_is_one_list_with_their_names() -> None:
    body = {"incident_participants": {"active": [{"user": {"id": "1"}}], "passive": [{"user": {"id": "2"}}]}}
    assert parse(IncidentParticipants, body, {"incident_id": "01I"}) == [
        {"user": {"id": "1"}, "involvement": "active", "user_id": "1", "incident_id": "01I"},
        {"user": {"id": "2"}, "involvement": "passive", "user_id": "2", "incident_id": "01I"},
    ]


@pytest.mark.parametrize("lists", [{}, {"active": None}, {"active": [], "passive": None}])
def test_lists_that_are_not_there_are_empty(lists: dict[str, Any]) -> None:
    assert parse(IncidentParticipants, {"incident_participants": lists}, {"incident_id": "01I"}) == []


def test_what_the_body_says_of_all_its_records_is_copied_into_each() -> None:
    body = {
        "incident_participant_workloads": [{"user": {"id": "1"}}, {"user": None}],
        "metadata": {"data_synced_at": "2026-01-01T00:00:00Z"},
    }
    found = parse(IncidentParticipantWorkloads, body, {"incident_id": "01I"})
    assert [(record["data_synced_at"], record["user_id"]) for record in found] == [
        ("2026-01-01T00:00:00Z", "1"),
        ("2026-01-01T00:00:00Z", None),
    ]
    assert parse(IncidentParticipantWorkloads, {"incident_participant_workloads": [{}]}, {"incident_id": "1"}) == [
        {"user_id": None, "data_synced_at": None, "incident_id": "1"}
    ]


def test_the_order_of_a_list_is_kept_where_it_means_something() -> None:
    found = parse(PayConfigWeeklyRules, {"weekly_rules": [{"id": "b"}, {"id": "a"}]}, {"pay_config_id": "01P"})
    assert [(record["id"], record["position"]) for record in found] == [("b", 0), ("a", 1)]


@pytest.mark.parametrize(
    ("kind", "record", "left"),
    [
        (AlertSources, {"id": "1", "secret_token": "t", "alert_events_url": "u", "a": "n"}, {"id": "1", "a": "n"}),
        (AlertSources, {"id": "1", "secret_token": None}, {"id": "1"}),
        (Secrets, {"id": "1", "last_four_chars": "abcd"}, {"id": "1"}),
        (AlertNotes, {"id": "1", "images": [{"url": "u", "alt": "a"}, {}]}, {"id": "1", "images": [{"alt": "a"}, {}]}),
        (AlertNotes, {"id": "1", "images": {"url": "u"}}, {"id": "1", "images": {}}),
        (AlertNotes, {"id": "1", "images": [[{"url": "u"}], "url", None]}, {"id": "1", "images": [[{}], "url", None]}),
    ],
)  # fmt: skip
def test_credentials_never_leave_at_any_depth(kind: Any, record: dict[str, Any], left: dict[str, Any]) -> None:
    (found,) = parse(kind, {kind.records_key: [record]}, {"alert_id": "01A"} if kind is AlertNotes else None)
    found.pop("alert_id", None)
    assert found == left


@every_stream
@given(st.data())
def test_no_stream_lets_a_credential_through(stream: Any, data: st.DataObject) -> None:
    if not stream.credentials:
        return
    record: Any = {"id": "1"}
    for path in stream.credentials:
        below = record
        *above, last = path.split(".")
        for step in above:
            deeper: dict[str, Any] = {"id": "1"}
            below[step] = [deeper] if data.draw(st.booleans()) else deeper
            below = deeper
        below[last] = "the credential"
    assert "the credential" not in str(parse(stream, {stream.records_key: [record]}, {"alert_id": "01A"}))


def test_values_are_left_as_they_are() -> None:
    record = {"id": "1", "new": {"a": [1, None]}, "updated_at": "2026-01-01T00:00:00.123456789Z", "n": 1e300}
    assert parse(IncidentTypes, {"incident_types": [copy.deepcopy(record)]}) == [record]


# Pages


@pytest.mark.parametrize(
    ("meta", "after"),
    [
        (None, None),
        ({}, None),
        ({"after": None}, None),
        ({"after": ""}, None),
        ({"after": "01H", "page_size": 250}, "01H"),
        ([], None),
    ],
)
def test_the_next_page_is_where_the_answer_says(meta: Any, after: str | None) -> None:
    body = {"incident_updates": [], "pagination_meta": meta}
    page = make(IncidentUpdates, Api(lambda *_: body)).read_page({}, None)
    assert page.after == after
    assert make(IncidentUpdates).next_page_token(respond(body)) == ({"after": after} if after else None)


def test_a_list_that_is_not_paged_has_one_page() -> None:
    body = {"severities": [], "pagination_meta": {"after": "01H"}}
    assert make(Severities, Api(lambda *_: body)).read_page({}, None).after is None


@pytest.mark.parametrize(
    ("total", "expected"), [(7, 7), (0, 0), (-1, None), ("7", None), (True, None), (1.5, None), (None, None)]
)
def test_the_length_of_a_list_is_taken_where_it_is_one(total: Any, expected: int | None) -> None:
    body = {"incident_updates": [], "pagination_meta": {"total_record_count": total}}
    assert make(IncidentUpdates, Api(lambda *_: body)).read_page({}, None).total == expected


BAD = [
    (IncidentUpdates, {}),
    (IncidentUpdates, {"incident_updates": {}}),
    (IncidentUpdates, {"incident_updates": None}),
    (IncidentUpdates, {"incident_updates": [{"id": "1"}]}),
    (IncidentUpdates, {"incident_updates": [{"id": "1", "incident_id": None}]}),
    (IncidentUpdates, {"incident_updates": "x"}),
    (IncidentUpdates, {"incident_updates": ["x"]}),
    (IncidentUpdates, {"incident_updates": [{}, None]}),
    (IncidentUpdates, {"incident_updates": [[{}]]}),
    (IncidentUpdates, {"incident_updates": [], "pagination_meta": {"after": 5}}),
    (IncidentUpdates, {"incident_updates": [], "pagination_meta": {"after": ["01H"]}}),
    (IncidentUpdates, {"incident_updates": [], "pagination_meta": [1]}),
    (IncidentUpdates, {"incident_updates": [], "pagination_meta": 7}),
    (IncidentParticipants, {"incident_participants": []}),
    (IncidentParticipants, {"incident_participants": None}),
    (IncidentParticipants, {"incident_participants": {"active": {"user": {}}}}),
    (IncidentParticipants, {"incident_participants": {"active": ["x"]}}),
    (IncidentUpdates, {"incident_updates": None}),
    (IncidentUpdates, {"incident_updates": [{"incident_id": "01I"}]}),
    (IncidentUpdates, {"incident_updates": [{"id": None, "incident_id": "01I"}]}),
    (IpAllowlists, {"ip_allowlist": []}),
    (IpAllowlists, {"ip_allowlist": None}),
]


@pytest.mark.parametrize(("kind", "body"), BAD)
def test_an_answer_of_another_shape_is_an_error_before_anything_is_emitted(kind: Any, body: Any) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        make(kind).check_body(body)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "meta", "whole"),
    [
        (50, {"after": None, "page_size": 50}, True),
        (50, {"page_size": 50}, True),
        (49, {"after": "", "page_size": 50}, True),
        (49, None, True),
        (50, {"after": "", "page_size": 50}, False),
        (50, None, False),
    ],
)
def test_a_full_page_ends_a_list_only_where_it_says_so(count: int, meta: Any, whole: bool) -> None:
    body = {"alerts": [{"id": str(number)} for number in range(count)], "pagination_meta": meta}
    if whole:
        make(Alerts).check_body(body)
    else:
        with pytest.raises(UnexpectedAnswerError, match="does not say whether another one follows"):
            make(Alerts).check_body(body)


@pytest.mark.parametrize(
    "kind", [Incidents, IncidentParticipants, IpAllowlists, PolicyFindings, AlertNotes, PayConfigWeeklyRules]
)
@given(st.data())
def test_any_object_is_a_page_or_an_unexpected_answer(kind: Any, data: st.DataObject) -> None:
    slice_ = {getattr(kind, "parent_key", "x"): "01P"}
    keys = st.sampled_from([kind.records_key, "pagination_meta", "metadata"])
    inner = json_values | st.dictionaries(
        st.sampled_from(["after", "active", "passive", "id", "images", "progress"]), json_values, max_size=3
    )
    body = data.draw(st.dictionaries(keys, inner | st.lists(inner, max_size=3)))
    try:
        page = make(kind, Api(lambda *_: body)).read_page(slice_, None)
    except UnexpectedAnswerError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(record, dict) for record in page.records)
        assert page.after is None or page.after


# As the CDK reads a stream


def cdk_read(stream: IncidentStream) -> list[Any]:
    configured = ConfiguredAirbyteStream(
        stream=stream.as_airbyte_stream(),
        sync_mode=SyncMode.full_refresh,
        destination_sync_mode=DestinationSyncMode.append,
    )
    manager = ConnectorStateManager([])
    found = stream.read(configured, stream.logger, DebugSliceLogger(), {}, manager, InternalConfig())
    # A read that never ends fails here instead of hanging
    return [item for item in itertools.islice(found, 1000) if isinstance(item, dict)]


def test_the_cdks_own_read_follows_the_pages() -> None:
    def answers(_: str, query: Mapping[str, Any]) -> Any:
        after = query.get("after")
        meta = {"after": "2" if after is None else "3"} if after != "3" else {"after": None}
        return {"users": [{"id": after or "1"}], "pagination_meta": meta}

    api = Api(answers)
    assert cdk_read(make(Users, api)) == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    assert [query.get("after") for _, query in api.asked] == [None, "2", "3"]


@pytest.mark.parametrize("kind", [Incidents, Actions, IncidentUpdates])
def test_the_cdks_own_read_works_for_incremental_streams(kind: Any) -> None:
    api = Api(
        lambda *_: {
            kind.records_key: [{"id": "1", "incident_id": "2", "updated_at": "2026-01-01"}],
            "pagination_meta": {},
        }
    )
    assert [record["id"] for record in cdk_read(make(kind, api))] == ["1"]
    assert len(api.asked) == 1


def test_the_cdks_own_read_asks_for_each_parent() -> None:
    def answers(path: str, query: Mapping[str, Any]) -> Any:
        if path == "/v2/custom_fields":
            return {"custom_fields": [{"id": "f1"}, {"id": "f2"}]}
        return {"custom_field_options": [{"id": f"o-{query['custom_field_id']}"}], "pagination_meta": {}}

    assert cdk_read(make(CustomFieldOptions, Api(answers))) == [
        {"id": "o-f1", "custom_field_id": "f1"},
        {"id": "o-f2", "custom_field_id": "f2"},
    ]


def test_the_cdks_own_read_narrows_the_parents_and_goes_down_two_levels() -> None:
    def answers(path: str, query: Mapping[str, Any]) -> Any:
        if path == "/v2/alerts":
            assert query["has_notes[is]"] == "true"
            return {"alerts": [{"id": "a1"}]}
        if path == "/v1/alert_notes":
            return {"alert_notes": [{"id": "n1"}]}
        if path == "/v2/incidents":
            return {"incidents": [{"id": "i1"}]}
        if path == "/v2/call_sessions":
            return {"call_sessions": [{"id": "c1"}]}
        assert query["call_session_id"] == "c1"
        return {"call_transcript_entries": [{"id": "e1"}]}

    assert cdk_read(make(AlertNotes, Api(answers))) == [{"id": "n1", "alert_id": "a1"}]
    assert cdk_read(make(CallTranscriptEntries, Api(answers))) == [
        {"id": "e1", "incident_id": "i1", "call_session_id": "c1"}
    ]


def test_over_http_a_stream_reads_and_an_odd_page_ends_it() -> None:
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


# Moments


@pytest.mark.parametrize("value", [None, "", "soon", 5, ["2026-01-01"], "0001-01-01T00:00:00+14:00", True])
def test_a_cursor_that_cannot_be_read_is_none(value: Any) -> None:
    assert cursor_of({"updated_at": value}, "updated_at") is None
    assert cursor_of({}, "updated_at") is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))
def test_a_moment_is_written_in_utc_and_never_later_than_it_is(moment: datetime) -> None:
    read = cursor_of({"at": format_timestamp(moment)}, "at")
    assert read is not None
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)
