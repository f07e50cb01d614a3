"""Bookmarks, resume points, filters: what a sync asks for, given the state of the one before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.support.account import NESTED, Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, SINGER, Catalog, Destination, Run, stream_states
from sandbox import Sandbox

StartSandbox = Callable[..., Sandbox]
FILTERED = {"incidents": "/v2/incidents", "actions": "/v3/actions", "alerts": "/v2/alerts"}
LOOKBACK = timedelta(minutes=5)
# The API's Date header and the bookmark may lie on either side of a second.
SECOND = timedelta(seconds=1)


# Resuming


@pytest.mark.parametrize(("protocol", "workers"), [(AIRBYTE, 1), (SINGER, 20)])
def test_a_killed_sync_goes_on_from_its_page_with_the_same_filter(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, workers: int
) -> None:
    sandbox = new_sandbox(alerts=1000, plain=True)
    tap, chosen = tap_of(sandbox, num_workers=workers), catalog.of(protocol, ["alerts"])
    started = datetime.now(UTC)
    killed = tap.read_until(620, *tap.read_arguments(chosen, start_date="2020-02-03"), drain=False)
    assert killed.code == -9
    place = place_of(killed.states["alerts"])
    assert place["resume"]["since"] == "2020-02-03T00:00:00.000Z"
    sandbox.reset()
    resumed = tap.read(chosen, killed.state, start_date="2020-02-03").ok()
    requests = queries(sandbox, "/v2/alerts")
    assert requests[0]["after"] == [place["resume"]["after"]]
    assert {request["updated_at[gte]"][0] for request in requests} == {"2020-02-03T00:00:00.000Z"}
    assert len(requests) < 12  # of 20 pages
    destination = Destination(catalog.keys)
    destination.load(killed)
    destination.load(resumed)
    assert not list(differences(destination, {"alerts": sandbox.records("alerts")}))
    assert destination.doubled() <= 3 * 50
    # The bookmark is the moment that the killed one began.
    assert started - SECOND <= bookmark(resumed, "alerts") <= started + timedelta(seconds=10)
    assert bookmark(resumed, "alerts") == moment(place["resume"]["began"])
    assert "resume" not in place_of(resumed.states["alerts"])


def test_a_page_that_is_gone_starts_the_pass_again_and_says_so(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=500)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["alerts"])
    killed = tap.read_until(220, *tap.read_arguments(chosen), drain=False)
    after = place_of(killed.states["alerts"])["resume"]["after"]
    assert sandbox.delete("alerts", [after]) == 1
    sandbox.reset()
    resumed = tap.read(chosen, killed.state).ok()
    assert "alerts: the page to go on from is gone" in resumed.log
    assert queries(sandbox, "/v2/alerts")[0]["after"] == [after]
    assert queries(sandbox, "/v2/alerts")[1].keys() == {"page_size"}
    assert {record["id"] for record in resumed.records["alerts"]} == {row["id"] for row in sandbox.records("alerts")}
    assert "resume" not in place_of(resumed.states["alerts"])


@pytest.mark.parametrize(("protocol", "other"), [(AIRBYTE, SINGER), (SINGER, AIRBYTE)])
def test_a_state_of_one_protocol_goes_on_in_the_other(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, other: str
) -> None:
    """The resume point and the bookmarks included."""
    sandbox = new_sandbox(alerts=500)
    writer, reader = tap_of(sandbox, speaks=other), tap_of(sandbox)
    names = ["alerts", "actions"]
    state = writer.read(catalog.of(other, ["actions"])).ok().state
    killed = writer.read_until(220, *writer.read_arguments(catalog.of(other, names), state), drain=False)
    states = {**stream_states(state), **killed.states}
    written = killed.state if other == SINGER else [*state, *killed.state]
    sandbox.reset()
    run = reader.read(catalog.of(protocol, names), written).ok()
    assert queries(sandbox, "/v2/alerts")[0]["after"] == [place_of(states["alerts"])["resume"]["after"]]
    assert not run.records["actions"]
    assert bookmark(run, "alerts") == moment(place_of(states["alerts"])["resume"]["began"])


@pytest.mark.parametrize("protocol", [SINGER])
def test_streams_that_are_not_read_now_keep_their_bookmarks(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Airbyte's platform keeps the state of each stream itself."""
    tap = tap_of(shared_sandbox)
    first = tap.read(catalog.of(protocol, ["alerts", "actions"])).ok()
    second = tap.read(catalog.of(protocol, ["actions"]), first.state).ok()
    assert second.states["alerts"] == first.states["alerts"]


# Filters


def test_a_first_sync_sends_no_filter(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox()
    tap_of(sandbox).read(catalog.of(protocol, FILTERED)).ok()
    for entry in sandbox.requests()["log"]:
        assert "_at" not in entry["query"]


def test_the_start_date_bounds_the_first_sync(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=200, updates=400)
    names = [*FILTERED, "incident_updates"]
    held = Account(sandbox).of(names)
    start = sorted(record["updated_at"] for record in held["incidents"])[150]
    run = tap_of(sandbox, start_date=f"{start[:19]}Z").read(catalog.of(protocol, names)).ok()
    for name in names:
        cursor = "created_at" if name == "incident_updates" else "updated_at"
        wanted = {row["id"] for row in held[name] if moment(row[cursor]) >= moment(f"{start[:19]}Z")}
        assert {record["id"] for record in run.records[name]} == wanted
        assert 0 < len(wanted) < len(held[name])
    (incidents,) = queries(sandbox, "/v2/incidents")
    assert len(incidents["updated_at[gte]"][0]) == len("2024-01-01")
    assert queries(sandbox, "/v2/alerts")[0]["updated_at[gte]"][0].startswith(start[:19])


@pytest.mark.parametrize(("protocol", "minutes"), [(AIRBYTE, 0), (SINGER, 5), (AIRBYTE, 600)])
def test_the_filter_is_the_bookmark_less_the_lookback(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, minutes: int
) -> None:
    sandbox = new_sandbox(incidents=20)
    tap, chosen = tap_of(sandbox, lookback_window=minutes), catalog.of(protocol, FILTERED)
    first = tap.read(chosen).ok()
    sandbox.reset()
    tap.read(chosen, first.state).ok()
    for name in ("actions", "alerts"):
        (query,) = queries(sandbox, FILTERED[name])
        assert moment(query["updated_at[gte]"][0]) == bookmark(first, name) - timedelta(minutes=minutes)
    (query,) = queries(sandbox, "/v2/incidents")
    day = moment(query["updated_at[gte]"][0])
    assert day <= bookmark(first, "incidents") - timedelta(minutes=minutes) < day + timedelta(days=2)


def test_a_row_that_was_stamped_before_and_appears_after_is_not_lost(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=20)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["alerts", "incident_updates"])
    first = tap.read(chosen).ok()
    stamp = (bookmark(first, "alerts") - timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    late = {**sandbox.records("alerts")[0], "id": "01ZLATE", "created_at": stamp, "updated_at": stamp}
    sandbox.put("alerts", [late])
    update = {**sandbox.records("incident_updates")[0], "id": "01ZLATEUPDATE", "created_at": stamp}
    sandbox.put("incident_updates", [update])
    second = tap.read(chosen, first.state).ok()
    assert "01ZLATE" in {record["id"] for record in second.records["alerts"]}
    assert "01ZLATEUPDATE" in {record["id"] for record in second.records["incident_updates"]}


# Bookmarks


@pytest.mark.parametrize(("protocol", "skew"), [(AIRBYTE, -3600), (SINGER, 0), (SINGER, 3600)])
def test_the_bookmark_is_never_later_than_the_sync_began(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, skew: int
) -> None:
    """By the server's clock, and by this machine's where the server's is ahead."""
    sandbox = new_sandbox(incidents=10, alerts=100)
    sandbox.config(date_offset=skew)
    began = datetime.now(UTC)
    run = tap_of(sandbox).read(catalog.of(protocol, [*FILTERED, "incident_updates"])).ok()
    ended = datetime.now(UTC)
    offset = timedelta(seconds=min(skew, 0))
    for name in (*FILTERED, "incident_updates"):
        # The first request comes within the start of the program.
        assert began + offset - SECOND <= bookmark(run, name) <= ended + offset
    assert len({bookmark(run, name) for name in FILTERED}) == 1


def test_the_bookmark_never_moves_back(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=10)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, [*FILTERED, "incident_updates"])
    first = tap.read(chosen).ok()
    sandbox.config(date_offset=-86400)
    second = tap.read(chosen, first.state).ok()
    for name in (*FILTERED, "incident_updates"):
        assert bookmark(second, name) == bookmark(first, name)


def test_what_changes_while_the_sync_runs_comes_again_in_the_next(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(alerts=400)
    tap, chosen = tap_of(sandbox, lookback_window=0), catalog.of(protocol, ["alerts"])
    process = tap.start(*tap.read_arguments(chosen))
    assert process.stdout is not None
    taken = b""
    while taken.count(b'"RECORD"') < 60:
        taken += process.stdout.readline()
    read_already = sandbox.records("alerts")[0]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    sandbox.put("alerts", [{**read_already, "title": "changed meanwhile", "updated_at": now}])
    first = tap.ended(process, taken).ok()
    second = tap.read(chosen, first.state).ok()
    assert [r["title"] for r in second.records["alerts"] if r["id"] == read_already["id"]] == ["changed meanwhile"]


# Incident modes


def test_the_default_modes_are_one_series_and_each_other_mode_one(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox()
    chosen = catalog.of(protocol, ["actions", "follow_ups"])
    tap_of(sandbox, incident_modes=["standard", "retrospective", "test", "tutorial"]).read(chosen).ok()
    for path in ("/v3/actions", "/v3/follow_ups"):
        modes = sorted(str(query.get("incident_mode", [""])[0]) for query in queries(sandbox, path))
        assert modes == ["", "test", "tutorial"]


@pytest.mark.parametrize(("protocol", "start_date"), [(AIRBYTE, None), (SINGER, "2020-05-06")])
def test_a_mode_that_is_added_later_is_read_from_the_start_date(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, start_date: str | None
) -> None:
    sandbox = new_sandbox(incidents=200, actions=300)
    config = {"start_date": start_date} if start_date else {}
    tap = tap_of(sandbox, **config)
    chosen = catalog.of(protocol, ["incidents", "actions"], without={"incidents": list(NESTED)})
    first = tap.read(chosen).ok()
    sandbox.reset()
    modes = ["standard", "retrospective", "tutorial"]
    second = tap.read(chosen, first.state, incident_modes=modes).ok()
    added = Account(sandbox, ("tutorial",)).of(["incidents", "actions"])
    recent = bookmark(first, "incidents") - timedelta(days=2)
    for name in added:
        wanted = {record["id"] for record in added[name]}
        assert wanted
        assert wanted <= {record["id"] for record in second.records[name]}
    assert all(
        moment(record["updated_at"]) > recent for record in second.records["incidents"] if record["mode"] != "tutorial"
    )
    sent = queries(sandbox, "/v3/actions")
    filters = {query.get("incident_mode", [""])[0]: query.get("updated_at[gte]") for query in sent}
    assert filters["tutorial"] == ([f"{start_date}T00:00:00.000Z"] if start_date else None)
    assert filters[""] is not None
    # and it has a place of its own from now on
    sandbox.reset()
    tap.read(chosen, second.state, incident_modes=modes).ok()
    assert all("updated_at[gte]" in query for query in queries(sandbox, "/v3/actions"))


# How a stream is to be read


def test_a_full_read_of_an_incremental_stream_leaves_no_bookmark(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    tap = tap_of(shared_sandbox)
    state = tap.read(catalog.of(protocol, ["alerts"])).ok().state
    full = tap.read(catalog.of(protocol, ["alerts"], full=["alerts"]), state).ok()
    assert len(full.records["alerts"]) == len(shared_sandbox.records("alerts"))
    left = full.states.get("alerts", {})
    assert "updated_at" not in left
    assert "resume" not in left
    if protocol == SINGER:
        assert "alerts" not in full.state["bookmarks"]
    else:
        # what the CDK writes for a stream without a cursor; it says nothing to the next sync
        again = tap.read(catalog.of(protocol, ["alerts"]), full.state).ok()
        assert len(again.records["alerts"]) == len(full.records["alerts"])


@pytest.mark.parametrize("protocol", [SINGER])
def test_a_stream_that_cannot_be_incremental_says_so(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    run = tap_of(shared_sandbox).read(catalog.of(protocol, ["severities"], incremental=["severities"]))
    assert run.code == 2
    assert not run.records
    assert "'severities' can't be read incrementally" in run.log


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_pyairbyte_asks_for_every_stream_incrementally_and_gets_in_full_what_cannot_be(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    wanted = catalog.of(protocol, ["severities"], incremental=["severities"])
    first = tap_of(shared_sandbox).read(wanted).ok()
    again = tap_of(shared_sandbox).read(wanted, first.state).ok()
    assert len(first.records["severities"]) == len(again.records["severities"]) > 0


# States of others


def test_a_bookmark_of_another_tap_works(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=20)
    value = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"bookmarks": {name: {"replication_key_value": value} for name in FILTERED}}
    run = tap_of(sandbox).read(catalog.of(protocol, FILTERED), state).ok()
    for name in ("actions", "alerts"):
        assert moment(queries(sandbox, FILTERED[name])[0]["updated_at[gte]"][0]) == moment(value) - LOOKBACK
    assert bookmark(run, "alerts") > moment(value)


@pytest.mark.parametrize("where", ["state", "config"])
def test_the_year_1_means_everything(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, where: str
) -> None:
    """Go's zero time, which a program that has no bookmark yet writes; in the year 1, no lookback goes back further."""
    zero, names = "0001-01-01T00:00:00Z", [*FILTERED, "follow_ups"]
    state = {"bookmarks": {name: {catalog.airbyte[name]["default_cursor_field"][0]: zero} for name in names}}
    tap, chosen = tap_of(shared_sandbox), catalog.of(protocol, names)
    run = tap.read(chosen, state).ok() if where == "state" else tap.read(chosen, start_date=zero).ok()
    assert run.counts == tap.read(chosen).ok().counts


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
    ids=["text", "no date", "a number", "another key", "after", "began"],
)
def test_a_state_that_cannot_be_understood_names_the_stream(
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


def queries(sandbox: Sandbox, path: str) -> list[dict[str, list[str]]]:
    """The queries that were sent to a path, in order."""
    return [parse_qs(entry["query"]) for entry in sandbox.requests()["log"] if entry["path"] == path]


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def place_of(state: dict[str, Any]) -> dict[str, Any]:
    """The place in a stream's state: of the one group of modes, or of the stream."""
    if "modes" in state:
        (place,) = state["modes"].values()
        return dict(place)
    return state


def bookmark(run: Run, stream: str) -> datetime:
    state = run.states[stream]
    return moment(state["created_at"] if stream == "incident_updates" else state["updated_at"])
