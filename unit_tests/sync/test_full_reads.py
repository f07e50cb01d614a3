"""Full reads: when a stream is read in full, how a killed one goes on, when older rows may be removed."""

import itertools
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from source_incident.api import ApiError
from source_incident.streams import STREAMS
from source_incident.sync import Checkpoint, Failed, Finished, Records
from source_incident.sync.state import FullRead, StreamState
from unit_tests.sync.account import (
    START,
    Account,
    Destination,
    destination,
    forbidden,
    not_found,
    unavailable,
)

INCIDENTS, ALERTS = "/v2/incidents", "/v2/alerts"
ATTACHMENTS = "/v1/incident_attachments"
OPTIONS, FIELDS = "/v1/custom_field_options", "/v2/custom_fields"


def with_alerts(account: Account, count: int = 7) -> Account:
    for number in range(count):
        account.wait(minutes=10)
        account.add(ALERTS, f"a{number}")
    account.wait(hours=1)
    return account


def with_incidents(account: Account, count: int = 5) -> Account:
    """Incidents with two attachments each."""
    for number in range(count):
        account.wait(minutes=10)
        account.add(INCIDENTS, f"i{number}", category="closed")
        for letter in "ab":
            account.add(ATTACHMENTS, f"i{number}{letter}", incident_id=f"i{number}")
    account.wait(hours=1)
    return account


def with_options(account: Account, count: int = 3) -> Account:
    """Custom fields with three options each."""
    for number in range(count):
        account.add(FIELDS, f"f{number}")
        for letter in "abc":
            account.add(OPTIONS, f"f{number}{letter}", custom_field_id=f"f{number}")
    return account


# The first read


@pytest.mark.parametrize("cursor", [True, False])
def test_the_first_read_is_full_and_activates_the_version_of_its_records(account: Account, cursor: bool) -> None:
    to = destination(with_alerts(account), "alerts", cursor=cursor)
    run = to.sync()
    version = run.version("alerts")
    assert version is not None
    assert run.record_versions("alerts") == {version}
    full_read = to.states["alerts"]["full_read"]
    assert full_read["version"] == version
    assert "done" not in full_read, "the full read has ended"


def test_an_incremental_sync_between_full_reads_keeps_the_version_and_activates_nothing(account: Account) -> None:
    to = destination(with_alerts(account), "alerts", full_read_days=0)
    version = to.sync().version("alerts")
    account.wait(hours=1)
    account.add(ALERTS, "new")
    del account.lists[ALERTS][0]
    run = to.sync()
    assert run.ids("alerts") == ["new"]
    assert run.record_versions("alerts") == {version}
    assert run.version("alerts") is None
    assert "a0" in to.ids("alerts"), "only a full read removes rows"


def test_a_full_read_removes_the_rows_that_the_api_no_longer_has(account: Account) -> None:
    to = destination(with_alerts(account), "alerts", full_read_days=1)
    to.sync()
    account.wait(days=2)
    del account.lists[ALERTS][2:4]
    account.add(ALERTS, "new")
    to.sync()
    assert to.ids("alerts") == {"a0", "a1", "a4", "a5", "a6", "new"}


def test_a_full_read_finds_a_change_that_did_not_move_the_cursor(account: Account) -> None:
    to = destination(with_alerts(account), "alerts", full_read_days=7)
    to.sync()
    account.lists[ALERTS][1]["title"] = "changed in silence"
    account.wait(days=7)
    to.sync()
    assert to.rows["alerts"]["a1"][0]["title"] == "changed in silence"


# When a full read is due


def full_reads(stream: str, days: int, **settings: Any) -> list[datetime]:
    """When a stream that is synced every hour is read in full, in so many days after its first sync."""
    state = StreamState(stream, "updated_at", ("",), None)
    began: list[datetime] = []
    for hour in range(days * 24 + 1):
        now = START + timedelta(hours=hour)
        state.begin(now, settings.get("full_read_days", 7), None)
        if state.is_reading_in_full:
            began.append(now)
            state.reached(("",), (), None, now)
            state.finish_full_read()
        else:
            state.reached(("",), (), None, now)
        state = StreamState(stream, "updated_at", ("",), {**state.dump(), "updated_at": "2026-01-01"})
        state.positions[""] = state.positions[""].finished(now)
    return began


@pytest.mark.parametrize("every", [1, 2, 7])
def test_a_stream_is_read_in_full_once_in_every_period(every: int) -> None:
    first, *rest = full_reads("incidents", 28, full_read_days=every)
    assert first == START
    assert len(rest) == 28 // every
    assert rest[0] - first <= timedelta(days=every)
    assert {later - earlier for earlier, later in itertools.pairwise(rest)} == {timedelta(days=every)}


def test_zero_days_mean_no_further_full_read() -> None:
    assert full_reads("incidents", 400, full_read_days=0) == [START]


def test_the_full_reads_of_the_streams_spread_over_the_period() -> None:
    names = [stream.__name__ for stream in STREAMS]
    second = {name: full_reads(name, 8)[1] for name in names}
    days = {(moment - START) // timedelta(days=1) for moment in second.values()}
    assert days >= {0, 1, 2, 3, 4, 5, 6}
    most = max(sum(moment == other for other in second.values()) for moment in second.values())
    assert most <= 4, "streams start their full reads at different moments"


@pytest.mark.parametrize(("state", "is_full"), [({"updated_at": "2026-02-28T12:00:00Z"}, False), (None, True)])
def test_the_state_of_another_tap_is_continued_and_read_in_full_when_it_is_due(
    account: Account, state: dict[str, Any] | None, is_full: bool
) -> None:
    to = destination(with_alerts(account), "alerts", full_read_days=365)
    if state:
        to.states["alerts"] = state
    run = to.sync()
    assert (run.version("alerts") is not None) == is_full


def test_rows_of_another_tap_that_still_exist_stay_through_the_takeover(account: Account) -> None:
    to = destination(with_alerts(account), "alerts", full_read_days=7)
    to.states["alerts"] = {"updated_at": "2026-03-01T12:30:00Z"}
    to.rows["alerts"] = {id_: ({"id": id_}, None) for id_ in ("a0", "a1", "gone")}
    to.sync()
    assert to.ids("alerts") >= {"a0", "a1", "gone"}
    account.wait(days=8)
    to.sync()
    assert to.ids("alerts") == {f"a{number}" for number in range(7)}


# Kills


@pytest.mark.parametrize("cursor", [True, False])
@pytest.mark.parametrize("singer", [True, False])
@pytest.mark.parametrize("kind", ["list", "children of incidents", "children of a list without pages"])
def test_a_full_read_that_is_killed_at_any_event_goes_on_and_ends_with_what_exists(
    account: Account, kind: str, singer: bool, cursor: bool
) -> None:
    with_options(with_incidents(with_alerts(account)))
    names, paths = {
        "list": (("alerts",), (ALERTS,)),
        "children of incidents": (("incidents", "incident_attachments"), (INCIDENTS, ATTACHMENTS)),
        "children of a list without pages": (("custom_fields", "custom_field_options"), (FIELDS, OPTIONS)),
    }[kind]
    total = len(destination(account, *names, cursor=cursor).sync().events)
    assert total > 5
    for kill_after in range(total + 1):
        to = destination(account, *names, cursor=cursor, full_read_days=0)
        to.singer = singer
        for name in names:
            to.rows[name] = {"gone": ({"id": "gone"}, 1)}
        killed = to.sync(kill_after)
        account.wait(minutes=1)
        resumed = to.sync()
        for name, path in zip(names, paths, strict=True):
            assert to.ids(name) == {record["id"] for record in account.lists[path]}, kill_after
            versions = killed.record_versions(name) | resumed.record_versions(name)
            if not killed.is_finished(name) and any(isinstance(event, Checkpoint) for event in killed.of(name)):
                assert len(versions) == 1, f"a killed full read keeps its version ({kill_after})"


def test_a_full_read_that_is_killed_over_and_over_keeps_its_version_and_ends(account: Account) -> None:
    to = destination(with_alerts(account, 40), "alerts", cursor=False)
    versions: set[int | None] = set()
    for _ in range(30):
        run = to.sync(kill_after=5)
        versions |= run.record_versions("alerts")
        account.wait(hours=5)
        if run.is_finished("alerts"):
            break
    assert run.is_finished("alerts")
    assert len(versions) == 1
    assert to.ids("alerts") == {f"a{number}" for number in range(40)}


@pytest.mark.parametrize("cursor", [True, False])
def test_a_resumed_read_requests_the_pages_after_the_last_checkpoint_only(account: Account, cursor: bool) -> None:
    to = destination(with_alerts(account, 30), "alerts", cursor=cursor)
    killed = to.sync(kill_after=16)
    covered = sum(isinstance(event, Checkpoint) for event in killed.events)
    assert covered >= 5
    account.requests.clear()
    to.sync()
    assert len(account.requests) == 15 - covered


def test_a_resumed_full_refresh_of_children_skips_the_parents_that_were_read(account: Account) -> None:
    to = destination(with_incidents(account, 10), "incident_attachments", cursor=False)
    first = to.sync(kill_after=12)
    read = {record["incident_id"] for event in first.events if isinstance(event, Records) for record in event.records}
    account.requests.clear()
    to.sync()
    again = {params["incident_id"] for path, params in account.requests if path == ATTACHMENTS}
    assert len(read) >= 4
    # At most the parents on the pages that were in flight.
    assert len(read & again) <= 4
    assert to.ids("incident_attachments") == {f"i{number}{letter}" for number in range(10) for letter in "ab"}


def test_the_place_of_a_full_refresh_is_gone_when_it_has_ended(account: Account) -> None:
    to = destination(with_alerts(account), "alerts", cursor=False)
    to.sync(kill_after=5)
    assert to.states["alerts"]["resume"]["after"] == "a1"
    to.sync()
    assert "resume" not in to.states["alerts"]
    assert to.states["alerts"]["__ab_full_refresh_sync_complete"] is True
    assert to.sync().ids("alerts") == [f"a{number}" for number in range(7)]


@pytest.mark.parametrize("became_incremental", [True, False])
def test_the_position_of_another_sync_mode_is_not_continued(account: Account, became_incremental: bool) -> None:
    to = destination(with_alerts(account), "alerts", cursor=not became_incremental, full_read_days=0)
    to.sync(kill_after=5)
    to.cursor = became_incremental
    to.sync()
    assert to.ids("alerts") == {f"a{number}" for number in range(7)}


# What keeps older rows


@pytest.mark.parametrize("gap", ["forbidden parent", "failed parent"])
def test_a_full_read_that_left_out_a_parent_activates_nothing(account: Account, gap: str) -> None:
    to = destination(with_incidents(account), "incident_attachments", full_read_days=1)
    to.sync()
    account.wait(days=2)
    error = forbidden() if gap == "forbidden parent" else unavailable()
    account.fault = lambda path, params: error if params.get("incident_id") == "i3" else None
    run = to.sync()
    assert not [event for event in run.events if isinstance(event, Finished) and event.version is not None]
    assert {"i3a", "i3b"} <= to.ids("incident_attachments")
    account.fault = lambda path, params: None
    account.wait(days=2)
    del account.lists[ATTACHMENTS][0]
    assert to.sync().version("incident_attachments") is not None
    assert "i0a" not in to.ids("incident_attachments")


@pytest.mark.parametrize("cursor", [True, False])
def test_a_gap_before_a_kill_still_keeps_older_rows(account: Account, cursor: bool) -> None:
    with_incidents(account, 10)
    for kill_after in range(3, 16):
        to = destination(account, "incident_attachments", cursor=cursor, full_read_days=0)
        to.rows["incident_attachments"] = {"i0a": ({"id": "i0a"}, 1)}
        account.fault = lambda path, params: forbidden() if params.get("incident_id") == "i0" else None
        to.sync(kill_after)
        run = to.sync()
        assert run.version("incident_attachments") is None, kill_after
        assert "i0a" in to.ids("incident_attachments"), kill_after


@pytest.mark.parametrize("cursor", [True, False])
def test_a_parent_that_is_missing_keeps_older_rows_once(account: Account, cursor: bool) -> None:
    to = destination(with_incidents(account), "incident_attachments", cursor=cursor, full_read_days=1)
    account.fault = lambda path, params: not_found() if params.get("incident_id") == "i3" else None
    assert to.sync().version("incident_attachments") is None
    account.wait(days=2)
    assert to.sync().version("incident_attachments") is not None


def test_a_page_that_fails_activates_nothing_until_it_was_read(account: Account) -> None:
    to = destination(with_alerts(account), "alerts", full_read_days=1)
    to.sync()
    account.wait(days=2)
    account.fault = lambda path, params: unavailable() if params.get("after") == "a3" else None
    failed = to.sync()
    assert failed.failed == {"alerts"}
    assert to.ids("alerts") == {f"a{number}" for number in range(7)}
    account.fault = lambda path, params: None
    done = to.sync()
    assert done.version("alerts") in failed.record_versions("alerts")
    assert done.ids("alerts") == ["a4", "a5", "a6"]
    assert to.ids("alerts") == {f"a{number}" for number in range(7)}


@pytest.mark.parametrize(
    ("stream", "path", "activates"),
    # incidents have a filter by status category, schedules have none.
    [("incidents", "/v2/incidents", [False, True, True]), ("schedules", "/v2/schedules", [False, False, False])],
)
def test_a_total_that_is_always_too_high_keeps_rows_for_ever_only_without_a_filter(
    account: Account, stream: str, path: str, activates: list[bool]
) -> None:
    """The total of a filtered list may count the records that the filter leaves out."""
    account.add(path, "r1")
    body = account.answer(path, {}).body
    account.fault = lambda asked, _: {**body, "pagination_meta": {"total_record_count": 500}} if asked == path else None
    to = destination(account, stream, cursor=False)
    found = []
    for _ in range(3):
        found.append(to.sync().version(stream) is not None)
        account.wait(days=1)
    assert found == activates


def test_an_incident_without_its_nested_columns_keeps_older_rows(account: Account) -> None:
    to = Destination(with_incidents(account), {"incidents": frozenset({"attachments"})}, settings={"full_read_days": 1})
    to.sync()
    account.wait(days=2)
    account.fault = lambda path, params: unavailable() if params.get("incident_id") == "i1" else None
    run = to.sync()
    assert run.failed == {"incidents"}
    assert "i1" in to.ids("incidents")
    account.fault = lambda path, params: None
    account.wait(days=2)
    assert to.sync().version("incidents") is not None


def test_the_first_full_read_with_a_start_date_keeps_older_rows(account: Account) -> None:
    with_alerts(account)
    to = destination(account, "alerts", start_date="2026-03-01T12:30:00Z", full_read_days=1)
    to.rows["alerts"] = {"a0": ({"id": "a0"}, None)}
    assert to.sync().version("alerts") is None
    assert "a0" in to.ids("alerts")


@pytest.mark.parametrize("known_by", ["catalog", "bookmark"])
def test_a_start_date_keeps_the_older_rows_of_another_program(account: Account, known_by: str) -> None:
    with_alerts(account)
    to = destination(account, "alerts", start_date="2026-03-01T12:30:00Z", full_read_days=1)
    to.has_foreign_catalog = known_by == "catalog"
    if known_by == "bookmark":
        to.states["alerts"] = {"updated_at": "2026-03-01T12:00:00.000Z"}
    to.rows["alerts"] = {"a0": ({"id": "a0"}, None)}
    for _ in range(4):
        assert to.sync().version("alerts") is None
        account.wait(days=2)
    assert "a0" in to.ids("alerts")
    del to.settings["start_date"]
    assert to.sync().version("alerts") is not None


def test_a_later_start_date_keeps_the_rows_before_it(account: Account) -> None:
    to = destination(with_alerts(account), "alerts", full_read_days=1)
    to.sync()
    account.wait(days=2)
    to.settings["start_date"] = "2026-03-01T12:30:00Z"
    assert to.sync().version("alerts") is None
    assert to.ids("alerts") == {f"a{number}" for number in range(7)}


def test_a_start_date_does_not_concern_a_stream_that_ignores_it(account: Account) -> None:
    account.add("/v1/severities", "s1")
    account.wait(hours=1)
    to = destination(account, "severities", start_date="2026-03-01T12:30:00Z")
    assert to.sync().version("severities") is not None


def test_a_mode_that_the_config_dropped_keeps_its_rows(account: Account) -> None:
    with_incidents(account)
    account.add(INCIDENTS, "practice", mode="test", category="closed")
    to = destination(account, "incidents", incident_modes=["standard", "test"], full_read_days=1)
    assert to.sync().version("incidents") is not None
    assert "practice" in to.ids("incidents")
    to.settings["incident_modes"] = ["standard"]
    account.wait(days=2)
    assert to.sync().version("incidents") is None
    assert "practice" in to.ids("incidents")


def test_the_entries_of_a_window_never_replace_those_outside_it(account: Account) -> None:
    account.add("/v2/schedules", "s1")
    entry = {"fingerprint": "f", "start_at": "2026-03-01T00:00:00Z"}
    body = {"schedule_entries": {"final": [{"id": "e", **entry}], "overrides": [], "scheduled": []}}
    account.fault = lambda path, params: body if path == "/v2/schedule_entries" else None
    to = destination(account, "schedule_entries", "schedules")
    for _ in range(3):
        run = to.sync()
        assert run.version("schedule_entries") is None
        assert run.version("schedules") is not None
        account.wait(days=1)


# Versions


def test_a_version_grows_although_the_clock_stands_or_goes_back() -> None:
    state = StreamState("severities", None, ("",), None)
    versions = []
    for now in (START, START, START - timedelta(days=1), START + timedelta(days=1)):
        state.begin(now, 7, None)
        assert state.full_read is not None
        versions.append(state.full_read.version)
        state.reached(("",), (), None, now)
        assert state.finish_full_read() == versions[-1]
        state = StreamState("severities", None, ("",), json.loads(json.dumps(state.dump())))
    assert versions == sorted(set(versions))
    assert versions[0] == int(START.timestamp() * 1000)


def test_a_version_is_returned_once() -> None:
    state = StreamState("severities", None, ("",), None)
    state.begin(START, 7, None)
    assert state.finish_full_read() is not None
    assert state.finish_full_read() is None


# The state of a full read


def test_a_state_has_the_documented_form_of_a_full_read() -> None:
    full_read = {
        "version": 1772366400000,
        "began": "2026-03-01T12:00:00.000Z",
        "start_date": "2026-01-01T00:00:00.000Z",
        "done": ["standard"],
        "keeps_older_rows": True,
        "skipped_parents": True,
        "skipped_before": True,
        "ended_early": True,
        "ended_early_before": True,
        "has_gap": True,
    }
    state = StreamState("incidents", "updated_at", ("standard", "test"), {"full_read": full_read})
    assert state.full_read == FullRead(
        1772366400000,
        START,
        datetime(2026, 1, 1, tzinfo=START.tzinfo),
        frozenset({"standard"}),
        keeps_older_rows=True,
        skipped_parents=True,
        skipped_before=True,
        ended_early=True,
        ended_early_before=True,
        has_gap=True,
    )
    assert state.dump()["full_read"] == full_read


@pytest.mark.parametrize("stream", ["incident_attachments", "incidents"])
@pytest.mark.parametrize("cursor", [True, False])
def test_the_state_does_not_grow_with_the_list(account: Account, stream: str, cursor: bool) -> None:
    sizes = []
    for count in (4, 150):
        account.lists.clear()
        to = Destination(
            with_incidents(account, count),
            {stream: frozenset({"attachments"}) if stream == "incidents" else frozenset()},
            cursor,
        )
        run = to.sync()
        states = [event.state for event in run.of(stream) if isinstance(event, Checkpoint | Finished)]
        sizes.append(max(len(json.dumps(state)) for state in states))
    assert sizes[1] <= sizes[0] + 8, sizes


def test_a_stream_that_fails_emits_no_version(account: Account) -> None:
    to = destination(with_alerts(account), "alerts")
    account.fault = lambda path, params: unavailable() if params.get("after") else None
    run = to.sync()
    assert isinstance(run.error("alerts"), ApiError)
    assert isinstance(run.events[-1], Failed)
    assert not [event for event in run.events if isinstance(event, Finished)]


def test_a_full_refresh_that_starts_again_still_keeps_the_rows_from_before_a_new_start_date(account: Account) -> None:
    to = destination(
        with_incidents(account, 8), "incident_attachments", cursor=False, start_date="2026-03-01T12:15:00Z"
    )
    to.rows["incident_attachments"] = {"i0a": ({"id": "i0a"}, None)}
    account.fault = lambda path, params: unavailable() if params.get("incident_id") == "i2" else None
    to.sync(kill_after=10)
    assert to.states["incident_attachments"]["retry"]["ids"] == ["i2"]
    account.fault = lambda path, params: None
    run = to.sync()
    assert "i2a" in run.ids("incident_attachments")
    assert run.version("incident_attachments") is None
    assert "i0a" in to.ids("incident_attachments")
