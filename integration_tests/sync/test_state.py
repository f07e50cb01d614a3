"""Bookmarks, resume points and filters: the requests of a sync that starts from a state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integration_tests.support.account import NESTED, Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox, queries, timestamp
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap, Run, stream_states
from sandbox import Sandbox

FILTERED = {"incidents": "/v2/incidents", "actions": "/v3/actions", "alerts": "/v2/alerts"}
LOOKBACK = timedelta(minutes=5)
# The API's Date header has whole seconds.
SECOND = timedelta(seconds=1)


# Resuming


@pytest.mark.parametrize(("protocol", "workers"), [(AIRBYTE, 1), (SINGER, 20)])
def test_resumes_a_killed_sync_at_its_page_with_the_same_filter(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, workers: int
) -> None:
    sandbox = new_sandbox(alerts=1000, plain=True)
    tap, selected = tap_of(sandbox, num_workers=workers), catalog.of(protocol, ["alerts"])
    started_at = datetime.now(UTC)
    killed = tap.read_until(620, *tap.read_arguments(selected, start_date="2020-02-03"), drain=False)
    killed_at = datetime.now(UTC)
    assert killed.code == -9
    position = position_of(killed.states["alerts"])
    assert position["resume"]["since"] == "2020-02-03T00:00:00.000Z"
    sandbox.reset()
    resumed = tap.read(selected, killed.state, start_date="2020-02-03").ok()
    requests = queries(sandbox, "/v2/alerts")
    assert requests[0]["after"] == [position["resume"]["after"]]
    assert {request["updated_at[gte]"][0] for request in requests} == {"2020-02-03T00:00:00.000Z"}
    assert len(requests) < 12  # the list has 20 pages
    destination = Destination(catalog.keys)
    destination.load(killed)
    destination.load(resumed)
    assert not list(differences(destination, {"alerts": sandbox.records("alerts")}))
    assert destination.duplicates() <= 3 * 50
    # The bookmark is the start of the killed sync.
    assert started_at - SECOND <= bookmark(resumed, "alerts") <= killed_at
    assert bookmark(resumed, "alerts") == moment(position["resume"]["began"])
    assert "resume" not in position_of(resumed.states["alerts"])


def test_restarts_the_list_and_warns_if_the_page_has_expired(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=500)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alerts"])
    killed = tap.read_until(220, *tap.read_arguments(selected), drain=False)
    after = position_of(killed.states["alerts"])["resume"]["after"]
    assert sandbox.delete("alerts", [after]) == 1
    sandbox.reset()
    resumed = tap.read(selected, killed.state).ok()
    assert resumed.log_lines("alerts: ", "page", "request_id")
    assert queries(sandbox, "/v2/alerts")[0]["after"] == [after]
    assert queries(sandbox, "/v2/alerts")[1].keys() == {"page_size"}
    assert {record["id"] for record in resumed.records["alerts"]} == {
        alert["id"] for alert in sandbox.records("alerts")
    }
    assert "resume" not in position_of(resumed.states["alerts"])


@pytest.mark.parametrize(("protocol", "other"), [(AIRBYTE, SINGER), (SINGER, AIRBYTE)])
def test_accepts_a_state_of_the_other_protocol(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, other: str
) -> None:
    """With its resume point and bookmarks."""
    sandbox = new_sandbox(alerts=500)
    writer, reader = tap_of(sandbox, in_protocol=other), tap_of(sandbox)
    names = ["alerts", "actions"]
    state = writer.read(catalog.of(other, ["actions"])).ok().state
    killed = writer.read_until(220, *writer.read_arguments(catalog.of(other, names), state), drain=False)
    states = {**stream_states(state), **killed.states}
    written = killed.state if other == SINGER else [*state, *killed.state]
    sandbox.reset()
    run = reader.read(catalog.of(protocol, names), written).ok()
    assert queries(sandbox, "/v2/alerts")[0]["after"] == [position_of(states["alerts"])["resume"]["after"]]
    assert not run.records["actions"]
    assert bookmark(run, "alerts") == moment(position_of(states["alerts"])["resume"]["began"])


@pytest.mark.parametrize("protocol", [SINGER])
def test_keeps_the_bookmarks_of_streams_that_are_not_selected(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Singer only: Airbyte's platform keeps the state of each stream itself."""
    tap = tap_of(shared_sandbox)
    first = tap.read(catalog.of(protocol, ["alerts", "actions"])).ok()
    second = tap.read(catalog.of(protocol, ["actions"]), first.state).ok()
    assert second.states["alerts"] == first.states["alerts"]


# Filters


def test_the_first_sync_sends_no_filter(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox()
    tap_of(sandbox).read(catalog.of(protocol, FILTERED)).ok()
    for entry in sandbox.requests()["log"]:
        assert "_at" not in entry["query"]


def test_the_first_sync_starts_at_the_start_date(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=200, updates=400)
    names = [*FILTERED, "incident_updates"]
    account = Account(sandbox).of(names)
    start = sorted(record["updated_at"] for record in account["incidents"])[150]
    run = tap_of(sandbox, start_date=f"{start[:19]}Z").read(catalog.of(protocol, names)).ok()
    for name in names:
        cursor = "created_at" if name == "incident_updates" else "updated_at"
        expected = {record["id"] for record in account[name] if moment(record[cursor]) >= moment(f"{start[:19]}Z")}
        assert {record["id"] for record in run.records[name]} == expected
        assert 0 < len(expected) < len(account[name])
    (incidents,) = queries(sandbox, "/v2/incidents")
    assert len(incidents["updated_at[gte]"][0]) == len("2024-01-01")
    assert queries(sandbox, "/v2/alerts")[0]["updated_at[gte]"][0].startswith(start[:19])


@pytest.mark.parametrize(("protocol", "minutes"), [(AIRBYTE, 0), (SINGER, 5), (AIRBYTE, 600)])
def test_the_filter_is_the_bookmark_less_the_lookback(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, minutes: int
) -> None:
    sandbox = new_sandbox(incidents=20)
    tap, selected = tap_of(sandbox, lookback_window=minutes), catalog.of(protocol, FILTERED)
    first = tap.read(selected).ok()
    sandbox.reset()
    tap.read(selected, first.state).ok()
    for name in ("actions", "alerts"):
        (query,) = queries(sandbox, FILTERED[name])
        assert moment(query["updated_at[gte]"][0]) == bookmark(first, name) - timedelta(minutes=minutes)
    (query,) = queries(sandbox, "/v2/incidents")
    day = moment(query["updated_at[gte]"][0])
    assert day <= bookmark(first, "incidents") - timedelta(minutes=minutes) < day + timedelta(days=2)


def test_the_lookback_finds_records_that_appear_late(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=20)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alerts", "incident_updates"])
    first = tap.read(selected).ok()
    stamp = (bookmark(first, "alerts") - timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    late = {**sandbox.records("alerts")[0], "id": "01ZLATE", "created_at": stamp, "updated_at": stamp}
    sandbox.put("alerts", [late])
    update = {**sandbox.records("incident_updates")[0], "id": "01ZLATEUPDATE", "created_at": stamp}
    sandbox.put("incident_updates", [update])
    second = tap.read(selected, first.state).ok()
    assert "01ZLATE" in {record["id"] for record in second.records["alerts"]}
    assert "01ZLATEUPDATE" in {record["id"] for record in second.records["incident_updates"]}


# Bookmarks


@pytest.mark.parametrize(("protocol", "skew"), [(AIRBYTE, -3600), (SINGER, 0), (SINGER, 3600)])
def test_the_bookmark_is_the_start_of_the_sync(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, skew: int
) -> None:
    """By the server's clock, or by this machine's clock if the server's is ahead."""
    sandbox = new_sandbox(incidents=10, alerts=100)
    sandbox.config(date_offset=skew)
    started_at = datetime.now(UTC)
    run = tap_of(sandbox).read(catalog.of(protocol, [*FILTERED, "incident_updates"])).ok()
    ended_at = datetime.now(UTC)
    offset = timedelta(seconds=min(skew, 0))
    for name in (*FILTERED, "incident_updates"):
        assert started_at + offset - SECOND <= bookmark(run, name) <= ended_at + offset
    assert len({bookmark(run, name) for name in FILTERED}) == 1


def test_the_bookmark_never_moves_back(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=10)
    tap, selected = tap_of(sandbox), catalog.of(protocol, [*FILTERED, "incident_updates"])
    first = tap.read(selected).ok()
    sandbox.config(date_offset=-86400)
    second = tap.read(selected, first.state).ok()
    for name in (*FILTERED, "incident_updates"):
        assert bookmark(second, name) == bookmark(first, name)


def test_the_next_sync_emits_what_changed_during_the_sync(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=400)
    tap, selected = tap_of(sandbox, lookback_window=0), catalog.of(protocol, ["alerts"])
    process = tap.start(*tap.read_arguments(selected))
    output = tap.read_lines(process, until=lambda output: output.count(b'"RECORD"') >= 60)
    alert = sandbox.records("alerts")[0]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    sandbox.put("alerts", [{**alert, "title": "changed meanwhile", "updated_at": now}])
    first = tap.wait(process, output).ok()
    second = tap.read(selected, first.state).ok()
    titles = [record["title"] for record in second.records["alerts"] if record["id"] == alert["id"]]
    assert titles == ["changed meanwhile"]


# Incident modes


def test_reads_default_modes_together_and_each_other_mode_separately(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox()
    selected = catalog.of(protocol, ["actions", "follow_ups"])
    tap_of(sandbox, incident_modes=["standard", "retrospective", "test", "tutorial"]).read(selected).ok()
    for path in ("/v3/actions", "/v3/follow_ups"):
        first_pages = [query for query in queries(sandbox, path) if "after" not in query]
        modes = sorted(str(query.get("incident_mode", [""])[0]) for query in first_pages)
        assert modes == ["", "test", "tutorial"]


@pytest.mark.parametrize(("protocol", "start_date"), [(AIRBYTE, None), (SINGER, "2020-05-06")])
def test_reads_an_added_mode_from_the_start_date(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, start_date: str | None
) -> None:
    sandbox = new_sandbox(incidents=200, actions=300)
    config = {"start_date": start_date} if start_date else {}
    tap = tap_of(sandbox, **config)
    selected = catalog.of(protocol, ["incidents", "actions"], without={"incidents": list(NESTED)})
    first = tap.read(selected).ok()
    sandbox.reset()
    modes = ["standard", "retrospective", "tutorial"]
    second = tap.read(selected, first.state, incident_modes=modes).ok()
    added = Account(sandbox, ("tutorial",)).of(["incidents", "actions"])
    recent = bookmark(first, "incidents") - timedelta(days=2)
    for name in added:
        expected = {record["id"] for record in added[name]}
        assert expected
        assert expected <= {record["id"] for record in second.records[name]}
    assert all(
        moment(record["updated_at"]) > recent for record in second.records["incidents"] if record["mode"] != "tutorial"
    )
    filters = {
        query.get("incident_mode", [""])[0]: query.get("updated_at[gte]") for query in queries(sandbox, "/v3/actions")
    }
    assert filters["tutorial"] == ([f"{start_date}T00:00:00.000Z"] if start_date else None)
    assert filters[""] is not None
    # From now on the mode has its own position.
    sandbox.reset()
    tap.read(selected, second.state, incident_modes=modes).ok()
    assert all("updated_at[gte]" in query for query in queries(sandbox, "/v3/actions"))


@pytest.mark.parametrize(("protocol", "edited"), [(AIRBYTE, "earlier"), (SINGER, "earlier"), (SINGER, "later")])
def test_an_edited_bookmark_is_used_for_every_mode(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, edited: str
) -> None:
    """The state has a bookmark for each group of modes below the one that people edit."""
    sandbox = new_sandbox(incidents=20)
    modes = ["standard", "retrospective", "test"]
    tap, selected = tap_of(sandbox, incident_modes=modes), catalog.of(protocol, ["actions"])
    state = tap.read(selected).ok().state
    # Two syncs give the modes different bookmarks.
    state = tap.read(selected, state, incident_modes=modes[:2]).ok().state
    value = "2026-01-02T03:04:05Z" if edited == "earlier" else timestamp(datetime.now(UTC) + timedelta(hours=1))
    if protocol == SINGER:
        assert "modes" in state["bookmarks"]["actions"]
        state["bookmarks"]["actions"]["replication_key_value"] = value
    else:
        assert "modes" in state[0]["stream"]["stream_state"]
        state[0]["stream"]["stream_state"]["updated_at"] = value
    sandbox.reset()
    run = tap.read(selected, state).ok()
    first_pages = [query for query in queries(sandbox, "/v3/actions") if "after" not in query]
    filters = [moment(query["updated_at[gte]"][0]) for query in first_pages]
    assert len(filters) == 2
    assert set(filters) == {moment(value) - LOOKBACK}
    assert run.log_lines("edited bookmark")


# Sync modes


def test_a_full_read_of_an_incremental_stream_leaves_no_bookmark(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    tap = tap_of(shared_sandbox)
    state = tap.read(catalog.of(protocol, ["alerts"])).ok().state
    full = tap.read(catalog.of(protocol, ["alerts"], full=["alerts"]), state).ok()
    assert len(full.records["alerts"]) == len(shared_sandbox.records("alerts"))
    state_after = full.states.get("alerts", {})
    assert "updated_at" not in state_after
    assert "resume" not in state_after
    if protocol == SINGER:
        assert full.state["bookmarks"]["alerts"].keys() == {"full_read"}
    else:
        # The state has the CDK's marker of a stream without a cursor. The next sync ignores it.
        again = tap.read(catalog.of(protocol, ["alerts"]), full.state).ok()
        assert len(again.records["alerts"]) == len(full.records["alerts"])


@pytest.mark.parametrize("protocol", [SINGER])
def test_rejects_an_incremental_read_of_a_full_table_stream(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    run = tap_of(shared_sandbox).read(catalog.of(protocol, ["severities"], incremental=["severities"]))
    assert run.code == 2
    assert not run.records
    assert "severities" in run.log
    assert "incremental" in run.log


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_reads_a_full_table_stream_in_full_if_airbyte_requests_incremental(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """PyAirbyte requests every stream incrementally."""
    selected = catalog.of(protocol, ["severities"], incremental=["severities"])
    first = tap_of(shared_sandbox).read(selected).ok()
    second = tap_of(shared_sandbox).read(selected, first.state).ok()
    assert len(first.records["severities"]) == len(second.records["severities"]) > 0


# States of other taps


def test_accepts_a_bookmark_of_another_tap(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=20)
    value = timestamp(datetime.now(UTC) - timedelta(days=1))
    state = {"bookmarks": {name: {"replication_key_value": value} for name in FILTERED}}
    run = tap_of(sandbox).read(catalog.of(protocol, FILTERED), state).ok()
    for name in ("actions", "alerts"):
        assert moment(queries(sandbox, FILTERED[name])[0]["updated_at[gte]"][0]) == moment(value) - LOOKBACK
    assert bookmark(run, "alerts") > moment(value)


@pytest.mark.parametrize("source", ["state", "config"])
def test_the_year_1_reads_everything(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, source: str
) -> None:
    """Programs in Go write their zero time if they have no bookmark. The lookback can't go back further."""
    zero, names = "0001-01-01T00:00:00Z", [*FILTERED, "follow_ups"]
    state = {"bookmarks": {name: {catalog.airbyte[name]["default_cursor_field"][0]: zero} for name in names}}
    tap, selected = tap_of(shared_sandbox), catalog.of(protocol, names)
    run = tap.read(selected, state).ok() if source == "state" else tap.read(selected, start_date=zero).ok()
    assert run.counts == tap.read(selected).ok().counts


@pytest.mark.parametrize(
    ("protocol", "bookmark_of_alerts"),
    [
        (AIRBYTE, "yesterday"),
        (SINGER, {"replication_key": "updated_at", "replication_key_value": "yesterday"}),
        (AIRBYTE, {"replication_key": "updated_at", "replication_key_value": 7}),
        (SINGER, {"replication_key": "version", "replication_key_value": "2026-01-01T00:00:00Z"}),
        (AIRBYTE, {"updated_at": "2026-01-01T00:00:00Z", "resume": {"after": 3}}),
        (SINGER, {"updated_at": "2026-01-01T00:00:00Z", "resume": {"after": "x", "began": None}}),
    ],
    ids=["text", "invalid date", "number", "wrong key", "invalid after", "invalid began"],
)
def test_an_invalid_state_is_reported_with_its_stream(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, bookmark_of_alerts: Any
) -> None:
    state = {"bookmarks": {"alerts": bookmark_of_alerts}}
    tap = tap_of(shared_sandbox)
    run = tap.read(catalog.of(protocol, ["alerts"]), state)
    assert run.code == 2
    assert not run.records
    assert "'alerts'" in run.log
    assert "state" in run.log
    assert "Traceback" not in run.stderr


def moment(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def position_of(state: dict[str, Any]) -> dict[str, Any]:
    """Return the position in a stream's state: that of the only group of modes, or that of the stream."""
    if "modes" in state:
        (position,) = state["modes"].values()
        return dict(position)
    return state


def bookmark(run: Run, stream: str) -> datetime:
    state = run.states[stream]
    return moment(state["created_at"] if stream == "incident_updates" else state["updated_at"])
