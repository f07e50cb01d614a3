"""The base class of the streams: the requests that it builds, and the pages that it makes of answers."""

import copy
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.api import Client, NotFoundError, UnexpectedAnswerError
from source_incident.config import Config
from source_incident.streams import STREAMS
from source_incident.streams.alerts import AlertNotes, Alerts, AlertSources
from source_incident.streams.incidents import (
    Actions,
    CallTranscriptEntries,
    IncidentAttachments,
    IncidentParticipants,
    IncidentParticipantWorkloads,
    Incidents,
    IncidentStatuses,
    IncidentTypes,
    IncidentUpdates,
    PostmortemDocumentContents,
    Severities,
)
from source_incident.streams.on_call import (
    OnCallNotificationPauses,
    PayConfigWeeklyRules,
    ScheduleEntries,
    UserPagingProviders,
)
from source_incident.streams.organisation import IpAllowlists, PolicyFindings, Secrets, Users
from source_incident.streams.status_pages import StatusPageStructures
from unit_tests.api.server import NOT_FOUND, ScriptedServer, answer
from unit_tests.singer.strategies import json_values
from unit_tests.streams.fakes import CONFIG, FakeClient, make, params, parse, read_page
from unit_tests.streams.test_schemas import every_stream

# Requests


def test_requests_a_page_with_its_size_its_cursor_and_the_constant_query() -> None:
    client = FakeClient(lambda *_: {"users": [], "pagination_meta": {}})
    make(Users, client).read_page({}, "01H")
    assert client.requests == [("/v2/users", {"include_inactive": "true", "page_size": 10000, "after": "01H"})]


def test_a_list_without_pages_has_no_query() -> None:
    assert params(Severities) == {}


def test_requests_all_status_categories_and_modes_at_once() -> None:
    found = params(Incidents, {"modes": ("standard", "test")})
    assert len(found["status_category[one_of]"]) == 8
    assert found["mode[one_of]"] == ["standard", "test"]


@pytest.mark.parametrize(
    ("modes", "expected"),
    [(("standard", "retrospective"), None), (("retrospective", "standard"), None), (("test",), "test")],
)
def test_requests_the_default_modes_of_actions_without_the_parameter(
    modes: tuple[str, ...], expected: str | None
) -> None:
    assert params(Actions, {"modes": modes}).get("incident_mode") == expected


def test_requests_a_list_that_would_start_now_from_the_earliest_moment_for_any_start_date() -> None:
    for config in ({}, {"start_date": "2024-01-01"}):
        assert params(OnCallNotificationPauses, **config)["from"] == "2020-01-01T00:00:00.000Z"


def test_a_window_starts_at_midnight_before_the_configured_days_and_stays_the_same_from_page_to_page() -> None:
    config = Config.parse(
        {"api_key": CONFIG.api_key, "schedule_entries_past_days": 2, "schedule_entries_future_days": 3}
    )
    client = FakeClient(lambda *_: {"schedule_entries": {"final": [], "overrides": [], "scheduled": []}})
    stream = make(ScheduleEntries, client, config)
    stream.read_page({"schedule_id": "01S"}, None)
    stream.read_page({"schedule_id": "01S"}, "2026-01-01T00:00:00Z")
    (_, first), (_, second) = client.requests
    assert first["schedule_id"] == "01S"
    start, end = (datetime.fromisoformat(first[f"entry_window_{side}"]) for side in ("start", "end"))
    assert end - start == ScheduleEntries.margin + timedelta(days=2 + 1 + 3)
    assert start.time() == end.time() == time(0)
    assert second == {**first, "entry_window_start": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("id_", "path"),
    [
        ("01H", "/v1/postmortem_documents/01H/content"),
        ("a/b?c#d e%", "/v1/postmortem_documents/a%2Fb%3Fc%23d%20e%25/content"),
        ("é", "/v1/postmortem_documents/%C3%A9/content"),
        (5, "/v1/postmortem_documents/5/content"),
    ],
)
def test_quotes_an_id_in_a_path(id_: Any, path: str) -> None:
    assert make(PostmortemDocumentContents).page_path({"postmortem_document_id": id_}) == path


# Records


def test_rejects_a_body_without_any_field_of_its_record() -> None:
    slice_ = {"user_id": "01U"}
    with pytest.raises(UnexpectedAnswerError, match="no field of user_paging_providers"):
        parse(UserPagingProviders, {"message": "temporarily unavailable"}, slice_)
    assert parse(UserPagingProviders, {}, slice_) == [{"user_id": "01U"}]


def test_adds_the_fields_that_join_a_record_to_its_parents() -> None:
    slice_ = {"incident_id": "01I", "call_session_id": "01C", "filters": {}}
    assert parse(CallTranscriptEntries, {"call_transcript_entries": [{"id": "1"}]}, slice_) == [
        {"id": "1", "incident_id": "01I", "call_session_id": "01C"}
    ]


def test_does_not_overwrite_a_parents_id_of_the_api() -> None:
    body = {"incident_attachments": [{"id": "1", "incident_id": "01X"}]}
    assert parse(IncidentAttachments, body, {"incident_id": "01I"}) == [{"id": "1", "incident_id": "01X"}]


def test_a_body_can_be_the_record() -> None:
    assert parse(PostmortemDocumentContents, {"markdown": "# What"}, {"postmortem_document_id": "01P"}) == [
        {"markdown": "# What", "postmortem_document_id": "01P"}
    ]


def test_one_object_in_place_of_a_list_is_one_record() -> None:
    assert parse(IpAllowlists, {"ip_allowlist": {"version": 1}}) == [{"version": 1}]


def test_joins_an_object_of_lists_and_adds_the_name_of_the_list() -> None:
    body = {"incident_participants": {"active": [{"user": {"id": "1"}}], "passive": [{"user": {"id": "2"}}]}}
    assert parse(IncidentParticipants, body, {"incident_id": "01I"}) == [
        {"user": {"id": "1"}, "involvement": "active", "user_id": "1", "incident_id": "01I"},
        {"user": {"id": "2"}, "involvement": "passive", "user_id": "2", "incident_id": "01I"},
    ]


@pytest.mark.parametrize(
    "lists", [{}, {"active": None}, {"active": []}, {"passive": []}, {"active": [], "passive": None}]
)
def test_rejects_a_missing_or_null_list_of_an_object_of_lists(lists: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswerError, match=r"'(active|passive)' in the answer is not a list"):
        parse(IncidentParticipants, {"incident_participants": lists}, {"incident_id": "01I"})


def test_empty_lists_of_an_object_of_lists_have_no_records() -> None:
    body = {"incident_participants": {"active": [], "passive": []}}
    assert parse(IncidentParticipants, body, {"incident_id": "01I"}) == []


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (PostmortemDocumentContents, {}, "markdown"),
        (PostmortemDocumentContents, {"message": "upstream timed out"}, "markdown"),
        (PostmortemDocumentContents, {"markdown": None}, "markdown"),
        (StatusPageStructures, {}, "current_structure"),
        (StatusPageStructures, {"message": "ok"}, "current_structure"),
    ],
)
def test_rejects_a_body_without_the_required_fields_of_its_record(kind: Any, body: Any, field: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match=f"has no '{field}'"):
        read_page(kind, body, {kind.parent_key: "01P"})


def test_every_stream_whose_body_is_the_record_requires_the_fields_of_the_contract() -> None:
    # The contract requires no field of a paging provider.
    assert {kind.__name__: kind.required_fields for kind in STREAMS if kind.records_key is None} == {
        "PostmortemDocumentContents": ("markdown",),
        "StatusPageStructures": ("current_structure",),
        "UserPagingProviders": (),
    }


def test_warns_once_of_a_status_category_that_the_incidents_filter_does_not_have(
    caplog: pytest.LogCaptureFixture,
) -> None:
    statuses = [{"id": str(number), "category": category} for number, category in enumerate(["live", "parked"] * 2)]
    client = FakeClient(lambda *_: {"incident_statuses": statuses})
    stream = make(IncidentStatuses, client)
    for _ in range(2):
        stream.read_page({}, None)
    (message,) = caplog.messages
    assert "'parked'" in message
    assert "Records with it may be missing" in message


def test_copies_fields_of_the_body_into_each_record() -> None:
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


def test_keeps_the_order_of_a_list_as_a_position() -> None:
    found = parse(PayConfigWeeklyRules, {"weekly_rules": [{"id": "b"}, {"id": "a"}]}, {"pay_config_id": "01P"})
    assert [(record["id"], record["position"]) for record in found] == [("b", 0), ("a", 1)]


def test_does_not_change_other_values() -> None:
    record = {"id": "1", "new": {"a": [1, None]}, "updated_at": "2026-01-01T00:00:00.123456789Z", "n": 1e300}
    assert parse(IncidentTypes, {"incident_types": [copy.deepcopy(record)]}) == [record]


# Credentials


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
def test_removes_credentials_at_any_depth(kind: Any, record: dict[str, Any], left: dict[str, Any]) -> None:
    (found,) = parse(kind, {kind.records_key: [record]}, {"alert_id": "01A"} if kind is AlertNotes else None)
    found.pop("alert_id", None)
    assert found == left


@every_stream
@given(st.data())
def test_no_stream_emits_a_credential(stream: Any, data: st.DataObject) -> None:
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


# Key fields that a record can lack

SHIFT = {
    "start_at": "2099-01-01T00:00:00Z",
    "end_at": "2099-01-02T00:00:00Z",
    "rotation_id": "ROT",
    "user": {"id": "U"},
}


def fingerprints(entries: list[dict[str, Any]]) -> list[str]:
    body = {"schedule_entries": {"final": entries, "overrides": [], "scheduled": []}}
    return [record["fingerprint"] for record in parse(ScheduleEntries, body, {"schedule_id": "S"})]


def test_keeps_a_fingerprint_of_the_api() -> None:
    assert fingerprints([{**SHIFT, "fingerprint": "abc", "entry_id": "E"}]) == ["abc"]


@pytest.mark.parametrize("absent", [{}, {"fingerprint": None}, {"fingerprint": ""}])
def test_an_entry_without_a_fingerprint_gets_the_same_one_at_every_read(absent: dict[str, Any]) -> None:
    entries = [
        {**SHIFT, **absent},
        {**SHIFT, **absent, "user": {"id": "V"}},
        {**SHIFT, **absent, "start_at": "2099-01-02T00:00:00Z"},
        {**SHIFT, **absent, "entry_id": "E"},
        {**SHIFT, **absent, "user": None},
    ]
    first, second = fingerprints(entries), fingerprints(entries)
    assert first == second
    assert all(first)
    assert len(set(first)) == len(entries)


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
def test_takes_the_cursor_of_the_next_page_from_the_answer(meta: Any, after: str | None) -> None:
    body = {"incident_updates": [], "pagination_meta": meta}
    assert read_page(IncidentUpdates, body).after == after


@pytest.mark.parametrize("meta", [None, {}, {"after": None}, {"total_record_count": 1}])
def test_a_list_without_pages_has_one_page(meta: Any) -> None:
    assert read_page(Severities, {"severities": [], "pagination_meta": meta}).after is None


def test_rejects_a_cursor_of_a_list_that_is_documented_without_pages() -> None:
    with pytest.raises(UnexpectedAnswerError, match="documented without pages"):
        read_page(Severities, {"severities": [], "pagination_meta": {"after": "01H"}})


def test_a_page_has_the_moment_of_its_request() -> None:
    assert read_page(Severities, {"severities": []}).requested_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("total", "expected"), [(7, 7), (0, 0), (-1, None), ("7", None), (True, None), (1.5, None), (None, None)]
)
def test_takes_the_length_of_a_list_where_it_is_a_count(total: Any, expected: int | None) -> None:
    body = {"incident_updates": [], "pagination_meta": {"total_record_count": total}}
    assert read_page(IncidentUpdates, body).total == expected


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
    (IncidentUpdates, {"incident_updates": [{"incident_id": "01I"}]}),
    (IncidentUpdates, {"incident_updates": [{"id": None, "incident_id": "01I"}]}),
    (IpAllowlists, {"ip_allowlist": []}),
    (IpAllowlists, {"ip_allowlist": None}),
]


@pytest.mark.parametrize(("kind", "body"), BAD)
def test_rejects_an_answer_of_another_shape(kind: Any, body: Any) -> None:
    with pytest.raises(UnexpectedAnswerError) as caught:
        read_page(kind, body, {getattr(kind, "parent_key", "x"): "01P"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "meta", "is_valid"),
    [
        (50, {"after": None, "page_size": 50}, True),
        (50, {"page_size": 50}, True),
        (49, {"after": "", "page_size": 50}, True),
        (49, None, True),
        (50, {"after": "", "page_size": 50}, False),
        (50, None, False),
    ],
)
def test_a_full_page_ends_a_list_only_where_the_answer_says_it(count: int, meta: Any, is_valid: bool) -> None:
    body = {"alerts": [{"id": str(number)} for number in range(count)], "pagination_meta": meta}
    if is_valid:
        assert len(read_page(Alerts, body).records) == count
    else:
        with pytest.raises(UnexpectedAnswerError, match="does not say whether another page follows"):
            read_page(Alerts, body)


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
        page = read_page(kind, body, slice_)
    except UnexpectedAnswerError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(record, dict) for record in page.records)
        assert page.after is None or page.after


def test_retries_a_page_of_another_shape() -> None:
    answers = [answer({"users": "none"}), answer({"users": [{"name": "no id"}]}), answer({"users": [{"id": "1"}]})]
    with ScriptedServer(*answers) as server:
        client = Client(endpoint=server.url, api_key=CONFIG.api_key, user_agent="t", max_retries=2)
        client.sleep = lambda seconds: None  # type: ignore[method-assign]
        assert make(Users, client).read_page({}, None).records == [{"id": "1"}]
        assert client.retries == 2
        client.close()


def test_does_not_retry_a_404() -> None:
    with ScriptedServer(answer(NOT_FOUND, 404)) as server:
        client = Client(endpoint=server.url, api_key=CONFIG.api_key, user_agent="t")
        with pytest.raises(NotFoundError):
            make(Users, client).read_page({}, None)
        client.close()
    assert len(server.requests) == 1
