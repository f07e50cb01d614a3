"""A 404 for a page after the first: the record that it hangs on is gone, what lies behind it is not."""

from __future__ import annotations

from collections.abc import Callable

from integration_tests.conftest import MakeTap
from integration_tests.support.account import Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import Catalog, Destination
from integration_tests.sync.test_idle import changed_incidents, quiet
from sandbox import Sandbox

StartSandbox = Callable[..., Sandbox]
MANY = 600


def test_a_page_that_is_gone_from_a_child_list_starts_that_list_again(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=5)
    held = sandbox.snapshot("catalog_entries")
    sandbox.put(
        "catalog_entries",
        [{**held["records"][0], "id": f"01ZZ{number:022}"} for number in range(MANY)],
        held["parents"][0],
    )
    sandbox.config(fault=["404:path=/v3/catalog_entries,query=after=,times=1"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["catalog_entries"])).ok()
    assert "catalog_entries: the page to go on from is gone" in run.log
    ids = {record["id"] for record in run.records["catalog_entries"]}
    assert ids == {record["id"] for record in sandbox.records("catalog_entries")}


def test_a_page_that_is_gone_from_a_nested_list_leaves_nothing_out_of_the_column(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet(new_sandbox, incidents=60, updates=300)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["incidents"])
    state = tap.read(chosen).ok().state
    (changed,) = changed_incidents(sandbox, 1)
    row = sandbox.records("incident_updates")[0]
    sandbox.put(
        "incident_updates",
        [{**row, "id": f"01ZZ{number:022}", "incident_id": changed} for number in range(MANY)],
    )
    sandbox.config(fault=["404:path=/v2/incident_updates,query=after=,times=1"])
    run = tap.read(chosen, state).ok()
    (record,) = [record for record in run.records["incidents"] if record["id"] == changed]
    (account,) = [one for one in Account(sandbox).of(["incidents"])["incidents"] if one["id"] == changed]
    assert len(record["updates"]) == len(account["updates"]) >= MANY


def test_a_page_that_is_gone_from_the_open_incidents_starts_them_again(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet(new_sandbox, incidents=420)
    incidents = sandbox.records("incidents")
    live = next(one["incident_status"] for one in incidents if one["incident_status"]["category"] == "live")
    sandbox.put("incidents", [{**one, "incident_status": live} for one in incidents])
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["call_sessions"])
    first = tap.read(chosen).ok()
    sandbox.config(fault=["404:path=/v2/incidents,query=after=,times=1"])
    second = tap.read(chosen, first.state).ok()
    assert "incidents: the page to go on from is gone" in second.log
    destination = Destination(catalog.keys)
    destination.load(second)
    assert not list(differences(destination, Account(sandbox).of(["call_sessions"])))


# What hangs below open incidents


def test_children_of_open_incidents_leave_the_bookmark_as_it_is(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet(new_sandbox, incidents=120)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["incident_attachments", "call_sessions"])
    first = tap.read(chosen).ok()
    second = tap.read(chosen, first.state).ok()
    sandbox.reset()
    third = tap.read(chosen, second.state).ok()
    for run in (first, second, third):
        assert all(state["incident_updated_at"] for state in run.states.values())
        assert run.states.keys() == {"incident_attachments", "call_sessions"}
    assert third.counts == second.counts
    assert third.counts["incident_attachments"] < first.counts["incident_attachments"]


def test_children_of_open_incidents_are_read_beside_incidents_in_full(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet(new_sandbox, incidents=120)
    chosen = catalog.of(protocol, ["incidents", "call_sessions"], full=["incidents"])
    first = tap_of(sandbox).read(chosen).ok()
    sandbox.reset()
    second = tap_of(sandbox).read(chosen, first.state).ok()
    asked = [entry for entry in sandbox.requests()["log"] if entry["path"] == "/v2/call_sessions"]
    assert 0 < len(asked) < 120
    assert len(second.records["incidents"]) == len(first.records["incidents"])
