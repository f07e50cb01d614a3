"""Each possible answer where the real one is not known (docs/api.md, what is not known)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from integration_tests.support.account import Account, declarations
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, assert_same_records, differences
from integration_tests.support.sandboxes import StartSandbox, change_incidents
from integration_tests.support.tap import AIRBYTE, SINGER, MakeTap
from sandbox import Sandbox
from sandbox.unknown_answers import ON_CALL

ON_CALL_STREAMS = {
    name
    for name, stream in declarations().items()
    if stream.__module__.endswith(".on_call") and name.replace("providers", "provider") in ON_CALL
}
MODES = ["standard", "retrospective", "stream"]
WORKLOADS = "incident_participant_workloads"


def test_the_sandbox_knows_every_list_of_on_call() -> None:
    assert len(ON_CALL_STREAMS) == len(ON_CALL)
    assert {name for name, stream in declarations().items() if stream.__module__.endswith("on_call")} == ON_CALL_STREAMS


@pytest.mark.parametrize("answer", ["403", "404", "empty"])
def test_a_default_sync_reads_everything_else_without_on_call(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, answer: str
) -> None:
    sandbox = new_sandbox(incidents=10, on_call=answer)
    run = tap_of(sandbox).read().ok()
    assert run.records.keys() == set(catalog.by_default) - ON_CALL_STREAMS
    on_call = ON_CALL_STREAMS & set(catalog.by_default)
    left_out = {match[1] for line in run.log.splitlines() if (match := re.search(r"(\w+) is left out", line))}
    assert left_out == (set() if answer == "empty" else on_call)
    assert tap_of(sandbox).command("check").code == 0


@pytest.mark.parametrize("answer", ["403", "404"])
def test_selected_streams_of_on_call_fail_with_a_clear_line_each(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, answer: str
) -> None:
    sandbox = new_sandbox(incidents=3, on_call=answer)
    run = tap_of(sandbox).read(catalog.of(protocol, [*ON_CALL_STREAMS, "users", "severities"]))
    assert run.code == 1
    assert run.records.keys() == {"users", "severities"}
    for name in ON_CALL_STREAMS:
        (line,) = [
            line
            for line in run.log.splitlines()
            if re.match(rf"(ERROR )?{name}: .*deselect the stream", line) and "is skipped" not in line
        ]
        assert re.search("account (may lack|lacks) this feature", line)
        assert "request_id" in line
        assert answer == "404" or "This account does not have On-call" in line
    if protocol == AIRBYTE:
        failures = {trace["error"]["failure_type"] for trace in run.traces("ERROR")}
        assert failures == {"config_error"}


def test_selected_streams_of_on_call_can_be_empty(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, on_call="empty")
    run = tap_of(sandbox).read(catalog.of(protocol, [*ON_CALL_STREAMS, "users", "severities"])).ok()
    assert run.records.keys() == {"users", "severities", "user_paging_providers"}


@pytest.mark.parametrize("answer", ["403", "404"])
def test_no_row_is_lost_while_on_call_is_refused(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, answer: str
) -> None:
    names = ["escalations", "schedules", "schedule_overrides", "user_notification_rules", "severities"]
    sandbox = new_sandbox(incidents=3, escalations=60)
    tap, selected, destination = tap_of(sandbox), catalog.of(protocol, names), Destination(catalog.keys)
    first = tap.read(selected).ok()
    sandbox.config(on_call=answer)
    refused = tap.read(selected, first.state)
    assert refused.code == 1
    assert protocol != SINGER or {item["stream"] for item in refused.of_type("ACTIVATE_VERSION")} == {"severities"}
    sandbox.config(on_call="available")
    state = refused.state if protocol == SINGER else merged(first.state, refused.state)
    last = tap.read(selected, state).ok()
    for run in (first, refused, last):
        destination.load(run)
    assert not list(differences(destination, Account(sandbox).of(names)))


def merged(before: list[dict[str, Any]], after: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The states that Airbyte keeps: the last of each stream."""
    by_name = {state["stream"]["stream_descriptor"]["name"]: state for state in [*before, *(after or [])]}
    return list(by_name.values())


@pytest.mark.parametrize("answer", ["available", "403", "empty"])
def test_the_workload_of_a_private_incident_costs_no_other_row(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, answer: str
) -> None:
    sandbox = new_sandbox()
    # The newest incidents are public, so that a refusal is not the first answer.
    private = make_private(sandbox, count=3)
    sandbox.config(private_workloads=answer)
    run = tap_of(sandbox, num_workers=1).read(catalog.of(protocol, [WORKLOADS])).ok()
    expected = [
        record
        for record in Account(sandbox).expected(WORKLOADS)
        if answer == "available" or record["incident_id"] not in private
    ]
    assert_same_records(run.records[WORKLOADS], expected, catalog.keys[WORKLOADS], WORKLOADS)
    skipped = run.log_lines("is skipped")
    if answer == "403":
        assert {id_ for id_ in private if any(id_ in line for line in skipped)} == private
        assert all("incident_workloads.view_private" in line for line in skipped)
        assert run.log_lines(f"{WORKLOADS}: 3 parents may not be read (403)")
    else:
        assert not skipped


def make_private(sandbox: Sandbox, count: int) -> set[str]:
    """Make some old incidents private, and all others public; return the ids of the private ones."""
    incidents = [record for record in sandbox.records("incidents") if record["mode"] == "standard"]
    sandbox.put("incidents", [{**record, "visibility": "public"} for record in sandbox.records("incidents")])
    private = [{**record, "visibility": "private"} for record in incidents[5 : 5 + count]]
    sandbox.put("incidents", private)
    return {record["id"] for record in private}


def test_reads_incidents_of_the_mode_stream(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox()
    move_to_stream(sandbox)
    names = ["incidents", "actions", "incident_attachments"]
    run = tap_of(sandbox, incident_modes=MODES).read(catalog.of(protocol, names)).ok()
    account = Account(sandbox, tuple(MODES))
    for name in names:
        assert_same_records(run.records[name], account.expected(name), catalog.keys[name], name)


def test_a_refused_mode_costs_no_row_of_the_other_modes(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """Once the API accepts the mode, its incidents are read from the beginning."""
    sandbox = new_sandbox(stream_mode="422")
    moved = move_to_stream(sandbox)
    tap = tap_of(sandbox, incident_modes=MODES)
    names = ["incidents", "incident_attachments", "call_sessions"]
    selected, destination = catalog.of(protocol, names), Destination(catalog.keys)
    first = tap.read(selected).ok()
    destination.load(first)
    assert not list(differences(destination, Account(sandbox).of(names)))
    assert len(first.log_lines("incidents", "mode stream", "422")) == 1
    change_incidents(sandbox, 2)
    second = tap.read(selected, first.state).ok()
    destination.load(second)
    assert not list(differences(destination, Account(sandbox).of(names)))
    assert len(second.log_lines("incidents", "mode stream", "422")) == 1
    sandbox.config(stream_mode="accepted")
    third = tap.read(selected, second.state).ok()
    destination.load(third)
    assert moved <= {record["id"] for record in third.records["incidents"]}
    assert not list(differences(destination, Account(sandbox, tuple(MODES)).of(names)))


def test_fails_if_the_only_mode_is_refused(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, stream_mode="422")
    run = tap_of(sandbox, incident_modes=["stream"]).read(catalog.of(protocol, ["incidents", "severities"]))
    assert run.code == 1
    assert run.counts == {"severities": 4}
    assert run.log_lines("incidents: ", "422", "incident_modes")
    assert not run.log_lines("please report it")


def move_to_stream(sandbox: Sandbox) -> set[str]:
    """Give some incidents the mode stream; return their ids."""
    incidents = [record for record in sandbox.records("incidents") if record["mode"] == "standard"][5:10]
    sandbox.put("incidents", [{**record, "mode": "stream"} for record in incidents])
    return {record["id"] for record in incidents}
