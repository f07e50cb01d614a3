"""Records that could not be read: what is read again, what fails, what is said."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from source_incident.api import ApiError, NotFoundError, RequestError
from source_incident.singer.state import SavedState, read_state, singer_state
from source_incident.sync.outcomes import IncompleteStreamError
from source_incident.sync.state import Retry, StreamState
from source_incident.timestamps import format_timestamp
from unit_tests.sync.account import START, Account, Destination, destination, forbidden, not_found, unavailable
from unit_tests.sync.test_full_reads import (
    ALERTS,
    ATTACHMENTS,
    FIELDS,
    INCIDENTS,
    OPTIONS,
    with_alerts,
    with_incidents,
    with_options,
)

UPDATES, WORKLOADS = "/v2/incident_updates", "/v2/incident_participant_workloads"
NOTES = "/v1/alert_notes"


def parents(account: Account, path: str) -> list[str]:
    """The incidents whose list at a path was requested."""
    return [params["incident_id"] for requested, params in account.requests if requested == path]


# Parents that fail


@pytest.mark.parametrize("singer", [True, False])
def test_a_parent_that_failed_is_read_again_at_the_next_sync_and_the_others_are_not(
    account: Account, singer: bool
) -> None:
    to = destination(with_incidents(account, 8), "incident_attachments", full_read_days=0)
    to.singer = singer
    account.fault = lambda path, params: unavailable() if params.get("incident_id") == "i3" else None
    run = to.sync()
    assert isinstance(run.error("incident_attachments"), IncompleteStreamError)
    assert "i3" in str(run.error("incident_attachments"))
    assert len(to.ids("incident_attachments")) == 14, "the other parents were read"
    account.fault = lambda path, params: None
    account.wait(hours=5)
    account.requests.clear()
    assert to.sync().is_finished("incident_attachments")
    assert parents(account, ATTACHMENTS) == ["i3"]
    assert len(to.ids("incident_attachments")) == 16
    account.requests.clear()
    to.sync()
    assert parents(account, ATTACHMENTS) == [], "a retry that succeeded is forgotten"


def test_new_parents_arrive_although_one_always_fails(account: Account) -> None:
    to = destination(with_incidents(account), "incident_attachments", full_read_days=0)
    account.fault = lambda path, params: unavailable() if params.get("incident_id") == "i0" else None
    for number in range(3):
        account.wait(hours=1)
        account.add(INCIDENTS, f"n{number}")
        account.add(ATTACHMENTS, f"n{number}a", incident_id=f"n{number}")
        account.wait(hours=1)
        assert to.sync().failed == {"incident_attachments"}
        assert f"n{number}a" in to.ids("incident_attachments")
        assert to.states["incident_attachments"]["retry"]["ids"] == ["i0"]


def test_a_failed_nested_incident_is_left_out_and_read_again_and_the_others_arrive(account: Account) -> None:
    to = Destination(
        with_incidents(account, 8), {"incidents": frozenset({"attachments"})}, settings={"full_read_days": 0}
    )
    account.fault = lambda path, params: unavailable() if params.get("incident_id") == "i2" else None
    run = to.sync()
    assert "i2" in str(run.error("incidents"))
    assert to.ids("incidents") == {f"i{number}" for number in range(8)} - {"i2"}
    assert to.states["incidents"]["retry"]["ids"] == ["i2"]
    account.fault = lambda path, params: None
    account.wait(hours=5)
    run = to.sync()
    assert run.ids("incidents") == ["i2"]
    assert len(run.record("incidents", "i2")["attachments"]) == 2
    assert "retry" not in to.states["incidents"]


def test_a_full_refresh_reads_a_parent_that_failed_again(account: Account) -> None:
    to = destination(with_incidents(account, 8), "incident_attachments", cursor=False)
    account.fault = lambda path, params: unavailable() if params.get("incident_id") == "i1" else None
    assert to.sync().failed == {"incident_attachments"}
    account.fault = lambda path, params: None
    run = to.sync()
    assert run.is_finished("incident_attachments")
    assert to.ids("incident_attachments") == {f"i{number}{letter}" for number in range(8) for letter in "ab"}


def test_a_kill_does_not_forget_the_parents_that_failed(account: Account) -> None:
    with_incidents(account, 8)
    for kill_after in range(2, 16):
        to = destination(account, "incident_attachments", full_read_days=0)
        account.fault = lambda path, params: unavailable() if params.get("incident_id") == "i0" else None
        to.sync(kill_after)
        account.fault = lambda path, params: None
        to.sync()
        to.sync()
        assert len(to.ids("incident_attachments")) == 16, kill_after


@pytest.mark.parametrize(("failing", "is_tolerated"), [(20, True), (21, False)])
def test_twenty_failed_parents_are_tolerated_and_more_fail_the_stream(
    account: Account, failing: int, is_tolerated: bool
) -> None:
    to = destination(with_incidents(account, 40), "incident_attachments")
    bad = {f"i{number}" for number in range(10, 10 + failing)}
    account.fault = lambda path, params: unavailable() if params.get("incident_id") in bad else None
    run = to.sync()
    assert isinstance(run.error("incident_attachments"), IncompleteStreamError) == is_tolerated


def test_a_stream_whose_first_three_parents_fail_fails(account: Account) -> None:
    to = destination(with_incidents(account, 9), "incident_attachments")
    account.fault = lambda path, params: unavailable() if path == ATTACHMENTS else None
    run = to.sync()
    assert "503" in str(run.error("incident_attachments"))
    assert not isinstance(run.error("incident_attachments"), IncompleteStreamError)
    assert len(parents(account, ATTACHMENTS)) <= 4


def test_a_list_of_parents_that_all_answer_404_fails_with_the_error_of_one(account: Account) -> None:
    to = destination(with_options(account), "custom_field_options", "custom_fields")
    to.sync()
    account.fault = lambda path, params: not_found(path) if path == OPTIONS else None
    run = to.sync()
    assert isinstance(run.error("custom_field_options"), NotFoundError)
    assert run.is_finished("custom_fields")
    assert len(to.ids("custom_field_options")) == 9, "nothing was removed"


def test_an_optional_stream_whose_parents_all_answer_404_is_left_out(account: Account) -> None:
    to = destination(with_options(account), "custom_field_options")
    to.optional = True
    account.fault = lambda path, params: not_found(path) if path == OPTIONS else None
    run = to.sync()
    assert [type(event).__name__ for event in run.events] == ["LeftOut"]


def test_a_single_404_between_two_full_reads_is_a_deleted_parent(account: Account) -> None:
    to = destination(with_incidents(account), "incident_attachments", full_read_days=0)
    to.sync()
    account.wait(hours=1)
    account.add(INCIDENTS, "new")
    account.wait(hours=1)
    account.fault = lambda path, params: not_found() if path == ATTACHMENTS else None
    assert to.sync().is_finished("incident_attachments")


# Workloads


def workloads(synced_at: str) -> Mapping[str, Any]:
    user = {"id": "u"}
    return {"incident_participant_workloads": [{"user": user}], "metadata": {"data_synced_at": synced_at}}


def test_workloads_are_read_again_until_they_cover_the_incident(account: Account) -> None:
    with_incidents(account, 1)
    synced_at = "2026-03-01T12:05:00Z"  # the incident was updated at 12:10
    account.fault = lambda path, params: workloads(synced_at) if path == WORKLOADS else None
    to = destination(account, "incident_participant_workloads", full_read_days=0)
    for _ in range(3):
        account.wait(hours=1)
        account.requests.clear()
        assert to.sync().is_finished("incident_participant_workloads"), "it is no failure"
        assert parents(account, WORKLOADS) == ["i0"]
    synced_at = "2026-03-01T12:10:00Z"
    account.wait(hours=1)
    to.sync()
    account.requests.clear()
    account.wait(hours=1)
    to.sync()
    assert parents(account, WORKLOADS) == []


def test_workloads_without_a_time_are_taken_as_they_are(account: Account) -> None:
    with_incidents(account, 1)
    body = {"incident_participant_workloads": [{"user": {"id": "u"}}]}
    account.fault = lambda path, params: body if path == WORKLOADS else None
    to = destination(account, "incident_participant_workloads", full_read_days=0)
    to.sync()
    assert "retry" not in to.states["incident_participant_workloads"]


# What a state remembers


def test_a_state_remembers_fifty_records_and_beyond_them_the_earliest_cursor_only() -> None:
    state = StreamState("incidents", "updated_at", ("",), None)
    for number in range(50):
        state.add_retry(Retry(START + timedelta(hours=number), frozenset({f"i{number}"})))
    assert len(state.dump()["retry"]["ids"]) == 50
    state.add_retry(Retry(START - timedelta(hours=1), frozenset({"one too many"})))
    assert state.dump()["retry"] == {"since": "2026-03-01T11:00:00.000Z"}
    state.add_retry(Retry(START, frozenset({"another"})))
    assert state.dump()["retry"] == {"since": "2026-03-01T11:00:00.000Z"}


def test_retries_without_ids_read_every_record_from_the_earliest_on(account: Account) -> None:
    to = destination(with_incidents(account, 8), "incident_attachments", full_read_days=0)
    to.sync()
    # The incidents were updated at 12:10, 12:20 and so on.
    to.states["incident_attachments"] = {
        **to.states["incident_attachments"],
        "retry": {"since": "2026-03-01T13:00:00Z"},
    }
    account.wait(hours=9)
    account.requests.clear()
    to.sync()
    assert parents(account, ATTACHMENTS) == ["i5", "i6", "i7"]
    assert "retry" not in to.states["incident_attachments"]


@pytest.mark.parametrize("value", [5, [], "2026-01-01"])
def test_retries_of_another_shape_are_an_error(value: Any) -> None:
    with pytest.raises(Exception, match="retry is not an object"):
        StreamState("incidents", "updated_at", ("",), {"updated_at": "2026-01-01", "retry": value})


# Nested columns that the key may not read


@pytest.mark.parametrize("changes", [True, False])
@pytest.mark.parametrize("column", ["attachments", "updates"])
def test_a_forbidden_nested_column_is_filled_by_a_full_read_once_the_key_may_read_it(
    account: Account, column: str, changes: bool
) -> None:
    with_incidents(account)
    path = {"attachments": ATTACHMENTS, "updates": UPDATES}[column]
    for number in range(5):
        account.add(UPDATES, f"u{number}", incident_id=f"i{number}")
    to = Destination(account, {"incidents": frozenset({column})}, settings={"full_read_days": 0})
    account.fault = lambda requested, params: forbidden(path) if requested == path else None
    run = to.sync()
    assert run.is_finished("incidents")
    assert all(row.get(column) is None for row, _ in to.rows["incidents"].values())
    assert to.states["incidents"]["forbidden_columns"] == [column]
    account.wait(hours=1)
    to.sync()
    assert to.states["incidents"]["forbidden_columns"] == [column]
    account.fault = lambda requested, params: None
    if changes:
        account.add(INCIDENTS, "new")
    account.wait(hours=1)
    to.sync()
    assert to.states["incidents"]["needs_full_read"] is True
    account.wait(hours=1)
    run = to.sync()
    assert run.version("incidents") is not None
    rows = to.rows["incidents"]
    assert all(rows[f"i{number}"][0][column] for number in range(5))
    assert "needs_full_read" not in to.states["incidents"]
    assert "forbidden_columns" not in to.states["incidents"]


def test_a_column_that_is_refused_in_the_middle_does_not_stay_null_in_silence(account: Account) -> None:
    """Some records would have the column, and others would not."""
    with_incidents(account, 6)
    refused = {"i4"}
    account.fault = lambda path, params: forbidden(path) if params.get("incident_id") in refused else None
    to = Destination(account, {"incidents": frozenset({"attachments"})})
    assert to.sync().failed == {"incidents"}


def test_a_column_that_is_refused_and_then_answered_does_not_stay_null_in_silence(account: Account) -> None:
    with_incidents(account, 6)
    account.fault = lambda path, params: forbidden(path) if params.get("incident_id") == "i0" else None
    to = Destination(account, {"incidents": frozenset({"attachments"})})
    run = to.sync()
    filled = {row["id"] for row, _ in to.rows.get("incidents", {}).values() if row.get("attachments")}
    assert run.failed == {"incidents"} or not filled, "all incidents have the column, or none has"


@pytest.mark.parametrize("scope", ["incidents.view", None])
def test_what_a_missing_scope_hid_is_read_once_the_key_has_it(account: Account, scope: str | None) -> None:
    """Without a scope in the answer, the incident alone may be private, and is not requested again."""
    to = destination(with_incidents(account), "incident_attachments", full_read_days=0)
    to.sync()
    account.wait(hours=8)
    account.lists[INCIDENTS][0].update(updated_at=format_timestamp(account.now))
    account.add(ATTACHMENTS, "new", incident_id="i0")
    account.wait(hours=1)
    account.fault = lambda path, _: forbidden(path, scope) if path == ATTACHMENTS else None
    assert to.sync().failed == {"incident_attachments"}
    account.wait(hours=1)
    assert to.sync().failed == ({"incident_attachments"} if scope else set())
    account.wait(hours=1)
    account.fault = lambda path, _: None
    to.sync()
    assert ("new" in to.ids("incident_attachments")) == bool(scope)


# A state that somebody edited


@pytest.mark.parametrize("key", ["updated_at", "replication_key_value"])
def test_an_edited_bookmark_beside_modes_is_honoured(account: Account, key: str) -> None:
    with_incidents(account)
    to = destination(account, "incidents", full_read_days=0)
    to.sync()
    account.wait(hours=8)
    state = dict(to.states["incidents"])
    assert state["modes"]
    if key == "replication_key_value":
        document = singer_state(SavedState({"incidents": state}), {"incidents": "updated_at"})
        document["bookmarks"]["incidents"]["replication_key_value"] = "2026-03-01T12:35:00Z"
        to.states["incidents"] = read_state(document, {"incidents": "updated_at"}).streams["incidents"]
    else:
        to.states["incidents"] = {**state, "updated_at": "2026-03-01T12:35:00Z"}
    assert to.sync().ids("incidents") == ["i2", "i3", "i4"], "from 12:35 less the lookback of five minutes"


def test_a_bookmark_beside_modes_that_nobody_edited_moves_nothing() -> None:
    modes = {"standard": {"updated_at": "2026-02-01T00:00:00Z"}, "test": {"updated_at": "2026-01-01T00:00:00Z"}}
    given = {"updated_at": "2026-01-01T00:00:00Z", "modes": modes}
    state = StreamState("incidents", "updated_at", ("standard", "test"), given)
    standard, test = (state.positions[mode].bookmark for mode in ("standard", "test"))
    assert standard is not None
    assert test is not None
    assert standard > test


# Totals


def short_list(account: Account, total: int, answers: list[int]) -> None:
    """Answer with so many alerts in turn, and a total."""

    def fault(path: str, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if path != ALERTS:
            return None
        count = answers.pop(0) if len(answers) > 1 else answers[0]
        records = [{"id": f"a{number}", "updated_at": "2026-03-01T00:00:00Z"} for number in range(count)]
        return {"alerts": records, "pagination_meta": {"after": None, "total_record_count": total}}

    account.fault = fault


def test_a_list_far_below_its_total_is_asked_once_more_and_then_warned_of(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    short_list(account, 400, [3])
    assert destination(account, "alerts").sync().is_finished("alerts")
    assert len(account.requests) == 2
    (warning,) = (line for line in caplog.messages if "400" in line)
    assert "after 3" in warning


def test_a_list_that_is_whole_at_the_second_request_is_not_warned_of(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    short_list(account, 30, [0, 30])
    run = destination(account, "alerts").sync()
    assert len(run.ids("alerts")) == 30
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("total", "read", "warns"), [(3, 3, False), (8, 3, False), (9, 3, True), (200, 190, False)])
def test_deletes_during_a_read_are_no_reason_for_a_warning(
    account: Account, caplog: pytest.LogCaptureFixture, total: int, read: int, warns: bool
) -> None:
    short_list(account, total, [read])
    destination(account, "alerts").sync()
    assert bool([line for line in caplog.messages if "reports" in line]) == warns
    assert len(account.requests) == (2 if warns else 1)


def test_a_filtered_list_is_not_compared_with_its_total(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    to = destination(account, "alerts", full_read_days=0)
    to.states["alerts"] = {"updated_at": "2026-03-01T00:00:00Z"}
    short_list(account, 400, [3])
    to.sync()
    assert len(account.requests) == 1
    assert not [line for line in caplog.messages if "reports" in line]


# Pages that are gone


@pytest.mark.parametrize("error", [RequestError("422", status=422), not_found()])
def test_a_cursor_that_the_api_does_not_accept_any_more_restarts_the_list(
    account: Account, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    to = destination(with_alerts(account), "alerts")
    to.sync(kill_after=5)
    assert to.states["alerts"]["resume"]["after"] == "a1"
    refused = iter([error])
    account.fault = lambda path, params: next(refused, None) if params.get("after") == "a1" else None  # type: ignore[arg-type, return-value]
    run = to.sync()
    assert run.is_finished("alerts")
    assert run.ids("alerts") == [f"a{number}" for number in range(7)]
    assert [line for line in caplog.messages if "expired" in line and "alerts" in line]


def test_a_first_page_that_is_refused_fails_the_stream(account: Account) -> None:
    account.fault = lambda path, params: RequestError("422", status=422)
    assert destination(account, "alerts").sync().failed == {"alerts"}


@pytest.mark.parametrize(
    ("error", "text"),
    [(RequestError("422", status=422), "422"), (not_found(), "deleted faster than they were read")],
)
def test_a_list_whose_pages_always_expire_fails_at_last(account: Account, error: ApiError, text: str) -> None:
    account.fault = lambda path, params: error if params.get("after") else None
    run = destination(with_alerts(account), "alerts").sync()
    assert text in str(run.error("alerts"))
    assert len(account.requests) <= 10


@pytest.mark.parametrize("error", [RequestError("422", status=422), not_found()])
def test_a_whole_nested_list_whose_page_is_gone_restarts(account: Account, error: Exception) -> None:
    with_incidents(account)
    for number in range(6):
        account.add(UPDATES, f"u{number}", incident_id=f"i{number % 2}")
    gone = iter([error])
    account.fault = lambda path, params: (  # type: ignore[assignment, return-value]
        next(gone, None) if path == UPDATES and params.get("after") == "u3" else None
    )
    run = Destination(account, {"incidents": frozenset({"updates"})}).sync()
    assert run.is_finished("incidents")
    assert [update["id"] for update in run.record("incidents", "i0")["updates"]] == ["u0", "u2", "u4"]


# Notes on alerts


def test_a_new_note_on_an_old_alert_is_read(account: Account) -> None:
    with_alerts(account)
    account.add(NOTES, "n1", alert_id="a0")
    to = destination(account, "alert_notes", full_read_days=0)
    to.sync()
    account.wait(days=5)
    account.add(NOTES, "n2", alert_id="a0")
    to.sync()
    assert to.ids("alert_notes") == {"n1", "n2"}


def with_groups(account: Account) -> Account:
    """Seven alerts, a note on one of them, and three groups that share alerts, with a note each."""
    with_alerts(account)
    account.has_notes = lambda alert: alert["id"] == "a5"
    for number, groups in enumerate((["g0"], ["g0", "g1"], [], ["g1"], None, ["g0"], ["g2"])):
        account.lists[ALERTS][number]["alert_group_ids"] = groups
    for group in ("g0", "g1", "g2"):
        account.add(NOTES, f"n-{group}", alert_group_id=group)
    account.add(NOTES, "n-a5", alert_id="a5")
    return account


ALL_NOTES = {"n-g0", "n-g1", "n-g2", "n-a5"}


@pytest.mark.parametrize("workers", [1, 4])
def test_the_notes_of_a_group_are_read_once_although_several_alerts_have_it(account: Account, workers: int) -> None:
    run = destination(with_groups(account), "alerts", "alert_notes", num_workers=workers).sync()
    assert sorted(run.ids("alert_notes")) == sorted(ALL_NOTES)
    assert run.version("alert_notes") is not None
    requests = [params for path, params in account.requests if path == NOTES]
    assert sorted(params.get("alert_group_id", "") for params in requests) == ["", "g0", "g1", "g2"]
    assert [params["alert_id"] for params in requests if "alert_id" in params] == ["a5"]
    # The list of all alerts is read once for both streams.
    assert sum(path == ALERTS and "has_notes[is]" not in params for path, params in account.requests) == 4


def test_a_sync_reads_the_notes_of_the_groups_of_changed_alerts_and_of_alerts_with_notes(account: Account) -> None:
    to = destination(with_groups(account), "alert_notes", full_read_days=0)
    to.sync()
    account.wait(days=1)
    account.lists[ALERTS][3]["updated_at"] = format_timestamp(account.now)
    account.requests.clear()
    assert set(to.sync().ids("alert_notes")) == {"n-g1", "n-g0", "n-a5"}


@pytest.mark.parametrize("cursor", [True, False])
def test_no_note_is_lost_by_a_kill(account: Account, cursor: bool) -> None:
    with_groups(account)
    for kill_after in range(12):
        to = destination(account, "alerts", "alert_notes", cursor=cursor)
        to.sync(kill_after)
        to.sync()
        assert to.ids("alert_notes") == ALL_NOTES, kill_after


def test_a_group_that_failed_is_read_again(account: Account) -> None:
    to = destination(with_groups(account), "alert_notes", full_read_days=0)
    account.fault = lambda path, params: unavailable(path) if params.get("alert_group_id") == "g1" else None
    assert to.sync().failed == {"alert_notes"}
    assert to.ids("alert_notes") == ALL_NOTES - {"n-g1"}
    account.fault = lambda path, params: None
    account.wait(days=1)
    to.sync()
    assert to.ids("alert_notes") == ALL_NOTES


def test_alerts_are_read_although_those_with_notes_are_not(account: Account) -> None:
    account.fault = lambda path, params: forbidden(path) if "has_notes[is]" in params else None
    run = destination(with_groups(account), "alerts", "alert_notes").sync()
    assert run.failed == {"alert_notes"}
    assert run.is_finished("alerts")
    assert len(run.ids("alerts")) == 7


def test_a_field_of_another_list_is_not_a_parent(account: Account) -> None:
    """The parents of options are fields, whose list has no cursor: a failed one is read again with the others."""
    to = destination(with_options(account, 6), "custom_field_options")
    account.fault = lambda path, params: unavailable() if params.get("custom_field_id") == "f4" else None
    assert to.sync().failed == {"custom_field_options"}
    account.fault = lambda path, params: None
    assert to.sync().version("custom_field_options") is not None
    assert len(to.ids("custom_field_options")) == 18
    assert [path for path, _ in account.requests].count(FIELDS) == 2
