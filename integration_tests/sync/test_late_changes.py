"""Records that change or can be read only after their parent was read: workloads, notes, forbidden columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, assert_same_records, differences
from integration_tests.support.sandboxes import (
    StartSandbox,
    change,
    change_incidents,
    queries,
    quiet_sandbox,
    timestamp,
)
from integration_tests.support.tap import SINGER, MakeTap
from sandbox import Sandbox


def test_reads_workloads_again_until_they_are_complete(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """They are calculated periodically; the answer says up to when they are complete."""
    sandbox = quiet_sandbox(new_sandbox, incidents=20)
    names = ["incident_participant_workloads"]
    tap, selected = tap_of(sandbox, lookback_window=0), catalog.of(protocol, names)
    state = tap.read(selected).ok().state
    # A closed incident changes. The workloads are as of an hour before.
    (changed,) = change_incidents(sandbox, 1)
    now = datetime.now(UTC)
    sandbox.config(data_synced_at=timestamp(now - timedelta(hours=1)))

    def is_read() -> bool:
        nonlocal state
        sandbox.reset()
        state = tap.read(selected, state).ok().state
        requests = queries(sandbox, "/v2/incident_participant_workloads")
        return changed in {query["incident_id"][0] for query in requests}

    assert is_read()
    assert is_read(), "the workloads were not complete"
    sandbox.config(data_synced_at=timestamp(now + timedelta(hours=1)))
    assert is_read(), "the last sync did not see that the workloads are complete"
    assert not is_read()


def first_page_queries(sandbox: Sandbox, path: str) -> list[dict[str, list[str]]]:
    """The queries for the first page of each list. After the last page with rows there is an empty one."""
    return [query for query in queries(sandbox, path) if "after" not in query]


def test_reads_a_new_note_on_an_old_alert(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Neither the alert's `updated_at` nor anything else of the alert changes."""
    sandbox = quiet_sandbox(new_sandbox, incidents=5, alerts=200)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alert_notes"])
    destination = Destination(catalog.keys)
    first = tap.read(selected).ok()
    destination.load(first)
    notes = sandbox.records("alert_notes")
    with_notes = {note["alert_id"] for note in notes}
    without = next(alert["id"] for alert in sandbox.records("alerts") if alert["id"] not in with_notes)
    for number, alert in enumerate((notes[0]["alert_id"], without)):
        sandbox.put("alert_notes", [{**notes[0], "id": f"01ZZNEWNOTE{number}", "alert_id": alert}], {"alert_id": alert})
    sandbox.reset()
    destination.load(tap.read(selected, first.state).ok())
    assert not list(differences(destination, Account(sandbox).of(["alert_notes"])))
    requests = first_page_queries(sandbox, "/v1/alert_notes")
    assert sum("alert_id" in query for query in requests) == len(with_notes) + 1


def test_reads_notes_on_alert_groups_once(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """A group has several alerts, and few of them have notes of their own. A changed alert has its group read again."""
    sandbox = quiet_sandbox(new_sandbox, incidents=5, alerts=200)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["alerts", "alert_notes"])
    first = tap.read(selected).ok()
    assert_same_records(first.records["alert_notes"], Account(sandbox).stream("alert_notes"), ["id"], "alert_notes")
    notes = [note for note in first.records["alert_notes"] if note.get("alert_group_id")]
    assert notes
    assert not any(note.get("alert_id") for note in notes)
    alerts = sandbox.records("alerts")
    groups = [group for alert in alerts for group in alert.get("alert_group_ids", ())]
    requests = first_page_queries(sandbox, "/v1/alert_notes")
    requested = [query["alert_group_id"][0] for query in requests if "alert_group_id" in query]
    assert sorted(requested) == sorted(set(groups))
    assert len(groups) > len(requested)
    assert len(first_page_queries(sandbox, "/v2/alerts")) == 2, "all alerts, and those with notes"

    alert = next(alert for alert in alerts if notes[0]["alert_group_id"] in alert.get("alert_group_ids", ()))
    change(sandbox, "alerts", [alert])
    new = {**notes[0], "id": "01ZZNEWNOTE"}
    sandbox.put("alert_group_notes", [new], {"alert_group_id": new["alert_group_id"]})
    second = tap.read(selected, first.state).ok()
    assert "01ZZNEWNOTE" in {note["id"] for note in second.records["alert_notes"]}


def test_fills_a_nested_column_once_the_key_may_read_it(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """The sync after the scope was granted notices it at the first changed incident. The one after that reads all."""
    sandbox = quiet_sandbox(new_sandbox, incidents=30, forbid=["attachments.view"])
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["incidents"])
    destination = Destination(catalog.keys)
    refused = tap.read(selected).ok()
    assert "attachments.view" in refused.log
    destination.load(refused)
    change_incidents(sandbox, 1)
    still = tap.read(selected, refused.state).ok()
    assert len(still.records["incidents"]) == 1
    destination.load(still)
    sandbox.config(forbid=[])
    change_incidents(sandbox, 1)
    granted = tap.read(selected, still.state).ok()
    destination.load(granted)
    filled = tap.read(selected, granted.state).ok()
    destination.load(filled)
    assert not list(differences(destination, Account(sandbox).of(["incidents"])))
    after = tap.read(selected, filled.state).ok()
    assert len(after.records["incidents"]) <= 2, "the changes of the last minutes come again"
    if protocol == SINGER:
        versions = [len(run.of_type("ACTIVATE_VERSION")) for run in (refused, still, granted, filled, after)]
        assert versions == [1, 0, 0, 1, 0]
