"""Changes and deletes that no filter sees arrive with the next full read, after `full_read_days`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from integration_tests.support.account import NESTED, Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences, key_of
from integration_tests.support.sandboxes import StartSandbox, queries, quiet_sandbox
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap, Run, Tap
from sandbox import Sandbox

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
NAMES = ("incidents", "alerts", "incident_updates", "call_sessions", "incident_attachments")
INCREMENTAL = (
    "incidents", "actions", "follow_ups", "incident_updates", "alerts", "escalations", "workflow_runs",
    "postmortem_documents",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not FAKETIME and not os.environ.get("CI"),
    reason="libfaketime is not installed (Debian: apt-get install libfaketime)",
)


def read_later(tap: Tap, sandbox: Sandbox, days: float, catalog: Any, state: Any, **config: Any) -> Run:
    """Run a sync some days from now, by the clocks of the machine and of the API."""
    sandbox.config(date_offset=days * 86400)
    sandbox.reset()
    environment = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME": f"{days * 86400:+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return tap.run(*tap.read_arguments(catalog, state, **config), environment=environment).ok()


def activated(run: Run) -> set[str]:
    """Return the streams whose older rows a run replaces."""
    return {message["stream"] for message in run.of_type("ACTIVATE_VERSION")}


def load(destination: Destination, versions: dict[tuple[str, ...], int], run: Run) -> None:
    """Load a run as a target does that removes the older rows of an activated version."""
    destination.load(run)
    for message in run.messages:
        if run.protocol == SINGER and message["type"] == "RECORD":
            key = key_of(message["record"], destination.keys[message["stream"]])
            versions[(message["stream"], *key)] = message.get("version", 0)
        elif message["type"] == "ACTIVATE_VERSION":
            name = message["stream"]
            for key in list(destination.rows[name]):
                if versions[(name, *key)] < message["version"]:
                    del destination.rows[name][key]


def change_without_a_trace(sandbox: Sandbox, account: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Change and delete records so that no `updated_at` moves. Return the id of a deleted record by stream."""
    closed = [record for record in account["incidents"] if record["incident_status"]["category"] == "closed"]
    alerts, updates = account["alerts"], account["incident_updates"]
    alert = next(record for record in sandbox.records("alerts") if record["id"] == alerts[0]["id"])
    sandbox.put("alerts", [{**alert, "title": "Changed without a trace"}])
    update = next(record for record in sandbox.records("incident_updates") if record["id"] == updates[0]["id"])
    sandbox.put("incident_updates", [{**update, "message": "Changed without a trace"}])
    attachment = account["incident_attachments"][0]
    sandbox.put(
        "incident_attachments",
        [{**attachment, "id": "01ZZNEW", "incident_id": closed[0]["id"]}],
        {"incident_id": closed[0]["id"]},
    )
    session = next(
        record
        for record in account["call_sessions"]
        if record["incident_id"] in {incident["id"] for incident in closed}
    )
    sandbox.delete("call_sessions", [session["id"]], {"incident_id": session["incident_id"]})
    sandbox.delete("alerts", [alerts[1]["id"]])
    return {"alerts": alerts[1]["id"], "call_sessions": session["id"]}


def test_a_full_read_finds_changes_and_deletes_that_no_filter_sees(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=30)
    tap, selected = tap_of(sandbox), catalog.of(protocol, NAMES)
    destination, versions = Destination(catalog.keys), dict[tuple[str, ...], int]()
    first = tap.read(selected).ok()
    load(destination, versions, first)
    account = Account(sandbox).of(NAMES)
    assert not list(differences(destination, account))
    deleted = change_without_a_trace(sandbox, account)
    changed = Account(sandbox).of(NAMES)
    # Before the full reads are due, nothing arrives.
    soon = tap.read(selected, first.state).ok()
    load(destination, versions, soon)
    found = list(differences(destination, changed))
    assert {line.split()[0] for line in found} == set(NAMES)
    assert activated(soon) == set()
    later = read_later(tap, sandbox, 7.5, selected, soon.state)
    load(destination, versions, later)
    left = list(differences(destination, changed))
    if protocol == SINGER:
        assert left == []
        assert activated(later) == set(NAMES)
    else:
        # Airbyte has no message for deleted records.
        assert left == [f"{name} ({id_!r},): the account does not have it" for name, id_ in sorted(deleted.items())]
    after = read_later(tap, sandbox, 7.6, selected, later.state)
    assert activated(after) == set()
    assert after.counts.get("alerts", 0) == 0


@pytest.mark.parametrize("protocol", [AIRBYTE])
def test_a_full_refresh_with_overwrite_loses_deleted_rows_at_once(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=30)
    selected = catalog.of(AIRBYTE, NAMES, full=NAMES)
    first = tap_of(sandbox).read(selected).ok()
    change_without_a_trace(sandbox, Account(sandbox).of(NAMES))
    second = tap_of(sandbox).read(selected, first.state).ok()
    destination = Destination(catalog.keys)
    destination.load(second)
    assert not list(differences(destination, Account(sandbox).of(NAMES)))


@pytest.mark.parametrize(("protocol", "days"), [(SINGER, 0), (AIRBYTE, 1), (SINGER, 30)])
def test_full_read_days_sets_the_interval(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, days: int
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=10)
    tap, selected = tap_of(sandbox, full_read_days=days), catalog.of(protocol, ["alerts"])
    state = tap.read(selected).ok().state

    def reads_in_full(after: float) -> bool:
        nonlocal state
        state = read_later(tap, sandbox, after, selected, state).state
        return not any("updated_at[gte]" in query for query in queries(sandbox, "/v2/alerts"))

    if days == 0:
        assert not reads_in_full(300)
        return
    # The first full read comes within the interval, every other one an interval later.
    assert reads_in_full(days + 0.01)
    assert not reads_in_full(days + 0.02)
    assert reads_in_full(2 * days + 0.03)


@pytest.mark.parametrize("protocol", [SINGER])
def test_full_reads_are_spread_over_the_days(new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=10)
    selected = catalog.of(SINGER, INCREMENTAL, without={"incidents": list(NESTED)})
    tap = tap_of(sandbox)
    state = tap.read(selected).ok().state
    days: Counter[int] = Counter()
    streams: Counter[str] = Counter()
    for day in range(1, 8):
        run = read_later(tap, sandbox, day, selected, state)
        streams.update(activated(run))
        days[day] = len(activated(run))
        state = run.state
    assert streams == dict.fromkeys(INCREMENTAL, 1)
    assert max(days.values()) <= len(INCREMENTAL) / 2
    assert sum(count > 0 for count in days.values()) >= 3


@pytest.mark.parametrize("protocol", [SINGER])
def test_rows_from_before_a_later_start_date_are_never_removed(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    """The API still has their records, although they are not read any more."""
    sandbox = quiet_sandbox(new_sandbox, incidents=10, alerts=200)
    tap, selected = tap_of(sandbox), catalog.of(SINGER, ["alerts"], full=["alerts"])
    state = tap.read(selected).ok().state
    start_date = sorted(alert["updated_at"] for alert in sandbox.records("alerts"))[100]
    for _ in range(3):
        run = tap.read(selected, state, start_date=start_date).ok()
        assert 0 < len(run.records["alerts"]) < 150
        assert activated(run) == set()
        state = run.state
    assert activated(tap.read(selected, state).ok()) == {"alerts"}


@pytest.mark.parametrize("protocol", [SINGER])
def test_with_the_same_start_date_from_the_start_the_second_full_read_removes_rows(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    """The first one does not know whether another program filled the table."""
    sandbox = quiet_sandbox(new_sandbox, incidents=10, alerts=100)
    tap, selected = tap_of(sandbox, start_date="2020-01-01"), catalog.of(SINGER, ["alerts"], full=["alerts"])
    first = tap.read(selected).ok()
    assert activated(first) == set()
    assert activated(tap.read(selected, first.state).ok()) == {"alerts"}


@pytest.mark.parametrize("protocol", [SINGER])
def test_a_killed_full_read_goes_on_with_its_version(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=10, alerts=600)
    tap, selected = tap_of(sandbox), catalog.of(SINGER, ["alerts"])
    state = tap.read(selected).ok().state
    gone = sandbox.records("alerts")[-1]["id"]
    sandbox.delete("alerts", [gone])
    sandbox.config(fault=["500:path=/v2/alerts,query=after=,nth=5-"])
    sandbox.config(date_offset=7.5 * 86400)
    environment = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME": f"{7.5 * 86400:+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    failed = tap.run(*tap.read_arguments(selected, state, max_retries=0), environment=environment)
    assert failed.code == 1
    assert activated(failed) == set()
    sandbox.config(fault=[])
    resumed = read_later(tap, sandbox, 7.6, selected, failed.state)
    assert queries(sandbox, "/v2/alerts")[0].get("after")
    (message,) = resumed.of_type("ACTIVATE_VERSION")
    emitted = {
        record["record"]["id"]
        for run in (failed, resumed)
        for record in run.of_type("RECORD")
        if record["version"] == message["version"]
    }
    assert emitted == {record["id"] for record in sandbox.records("alerts")}
