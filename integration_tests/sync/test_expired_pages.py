"""Pages that answer 404 because the record in `after` was deleted. The records after it are still read."""

from __future__ import annotations

from integration_tests.support.account import Account
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import StartSandbox, change_incidents, quiet_sandbox
from integration_tests.support.tap import MakeTap

# More records than one page has.
SEVERAL_PAGES = 600


def test_restarts_a_child_list_whose_page_has_expired(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=5)
    snapshot = sandbox.snapshot("catalog_entries")
    sandbox.put(
        "catalog_entries",
        [{**snapshot["records"][0], "id": f"01ZZ{number:022}"} for number in range(SEVERAL_PAGES)],
        snapshot["parents"][0],
    )
    sandbox.config(fault=["404:path=/v3/catalog_entries,query=after=,times=1"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["catalog_entries"])).ok()
    assert run.log_lines("catalog_entries: ", "page", "request_id")
    ids = {record["id"] for record in run.records["catalog_entries"]}
    assert ids == {record["id"] for record in sandbox.records("catalog_entries")}


def test_nested_columns_are_complete_after_an_expired_page(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=60, updates=300)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["incidents"])
    state = tap.read(selected).ok().state
    (changed,) = change_incidents(sandbox, 1)
    update = sandbox.records("incident_updates")[0]
    sandbox.put(
        "incident_updates",
        [{**update, "id": f"01ZZ{number:022}", "incident_id": changed} for number in range(SEVERAL_PAGES)],
    )
    sandbox.config(fault=["404:path=/v2/incident_updates,query=after=,times=1"])
    run = tap.read(selected, state).ok()
    (record,) = [record for record in run.records["incidents"] if record["id"] == changed]
    (expected,) = [incident for incident in Account(sandbox).stream("incidents") if incident["id"] == changed]
    assert len(record["updates"]) == len(expected["updates"]) >= SEVERAL_PAGES


def test_restarts_the_list_of_open_incidents_whose_page_has_expired(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=420)
    incidents = sandbox.records("incidents")
    statuses = [incident["incident_status"] for incident in incidents]
    live = next(status for status in statuses if status["category"] == "live")
    sandbox.put("incidents", [{**incident, "incident_status": live} for incident in incidents])
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["call_sessions"])
    first = tap.read(selected).ok()
    sandbox.config(fault=["404:path=/v2/incidents,query=after=,times=1"])
    second = tap.read(selected, first.state).ok()
    assert second.log_lines("incidents: ", "page", "request_id")
    destination = Destination(catalog.keys)
    destination.load(second)
    assert not list(differences(destination, Account(sandbox).of(["call_sessions"])))


# Children of open incidents


def test_children_of_open_incidents_do_not_move_the_bookmark(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=120)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["incident_attachments", "call_sessions"])
    first = tap.read(selected).ok()
    second = tap.read(selected, first.state).ok()
    sandbox.reset()
    third = tap.read(selected, second.state).ok()
    for run in (first, second, third):
        assert all(state["incident_updated_at"] for state in run.states.values())
        assert run.states.keys() == {"incident_attachments", "call_sessions"}
    assert third.counts == second.counts
    assert third.counts["incident_attachments"] < first.counts["incident_attachments"]


def test_reads_children_of_open_incidents_when_incidents_are_read_in_full(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=120)
    selected = catalog.of(protocol, ["incidents", "call_sessions"], full=["incidents"])
    first = tap_of(sandbox).read(selected).ok()
    sandbox.reset()
    second = tap_of(sandbox).read(selected, first.state).ok()
    assert 0 < sandbox.requests()["counts"]["GET /v2/call_sessions"] < 120
    assert len(second.records["incidents"]) == len(first.records["incidents"])
