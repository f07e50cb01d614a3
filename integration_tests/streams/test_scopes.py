"""What a key may not read."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.support.account import Account
from integration_tests.support.compare import differences
from integration_tests.support.tap import AIRBYTE, Catalog, Destination
from sandbox import Sandbox
from sandbox.contract import Contract
from source_incident.streams import STREAMS
from tools.docs import scopes
from tools.schemas import stream_name

StartSandbox = Callable[..., Sandbox]
EVERY_SCOPE = {scope for endpoint in Contract().endpoints.values() for scope in endpoint.scopes}
BY_NAME = {stream_name(stream): stream for stream in STREAMS}
WORKERS = 4


def test_check_names_what_a_sync_of_the_default_streams_leaves_out(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, forbid=sorted(EVERY_SCOPE - {"incidents.view", "catalog_types.view"}))
    check = tap_of(sandbox).command("check").ok()
    read = tap_of(sandbox).read().ok()
    needing = {
        name: scopes(stream)
        for name, stream in BY_NAME.items()
        if stream.selected_by_default and set(scopes(stream)) - {"incidents.view", "catalog_types.view"}
    }
    assert {"users", "custom_field_options", "catalog_entries"} <= needing.keys()
    for said, what in ((check, "can't be read"), (read, "is left out")):
        lines = [line for line in said.log.splitlines() if what in line]
        assert len(lines) == len(needing), "one warning a stream"
        for name, wanted in needing.items():
            (line,) = [line for line in lines if re.search(rf"\b{name} {what}", line)]
            assert any(scope in line for scope in wanted)
    assert read.records["incidents"]
    assert not needing.keys() & read.records.keys()
    assert protocol != AIRBYTE or not read.traces("ERROR")


def test_a_chosen_child_that_the_key_may_not_read_fails_after_a_few_requests(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(users=200, forbid=["notification_rules.view"])
    chosen = ["users", "user_notification_rules", "user_paging_providers", "severities"]
    run = tap_of(sandbox, num_workers=WORKERS).read(catalog.of(protocol, chosen))
    assert run.code == 1
    assert run.counts == {"users": 200, "user_paging_providers": 200, "severities": 4}
    assert "notification_rules.view" in run.log
    refused = [entry for entry in sandbox.requests()["log"] if entry["status"] == 403]
    assert 1 <= len(refused) <= WORKERS
    if protocol == AIRBYTE:
        (trace,) = [item["error"] for item in run.traces("ERROR") if item["error"].get("stream_descriptor")]
        assert trace["stream_descriptor"]["name"] == "user_notification_rules"
        assert trace["failure_type"] == "config_error"
        ends = {name: run.statuses(name)[-1] for name in chosen}
        assert ends == {name: "INCOMPLETE" if name == "user_notification_rules" else "COMPLETE" for name in chosen}


def test_where_the_parent_may_not_be_read_its_children_say_so(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, forbid=["schedules.view"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["schedule_overrides", "schedule_entries", "severities"]))
    assert run.code == 1
    assert set(run.records) == {"severities"}
    for name in ("schedule_overrides", "schedule_entries"):
        (line,) = [line for line in run.log.splitlines() if f"{name}:" in line and "schedules.view" in line]
        assert "/v2/schedules" in line


def test_check_does_not_fail_for_a_list_that_cannot_be_asked(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, fault=["500:path=/v2/workflows"])
    run = tap_of(sandbox, max_retries=0).command("check").ok()
    (line,) = [line for line in run.log.splitlines() if "workflows" in line]
    assert "500" in line
    assert "left out" not in line


@pytest.mark.parametrize(
    ("path", "nth"), [("/v3/actions", "2-"), ("/v2/incident_updates", "3-"), ("/v1/incident_attachments", "30-")]
)
def test_a_refusal_in_the_middle_of_a_nested_list_never_empties_the_column(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, path: str, nth: str
) -> None:
    sandbox = new_sandbox(incidents=300, actions=600, updates=900, fault=[f"403:path={path},nth={nth}"])
    chosen = catalog.of(protocol, ["incidents", "severities"])
    refused = tap_of(sandbox).read(chosen)
    assert refused.code == 1
    assert "lacks" in refused.log
    assert refused.counts["severities"] == 4
    sandbox.config(fault=[])
    destination = Destination(catalog.keys)
    destination.load(refused)
    found = differences(destination, Account(sandbox).of(["incidents"]))
    assert [line for line in found if not line.endswith(": missing")] == []
    destination.load(tap_of(sandbox).read(chosen, refused.state).ok())
    assert not list(differences(destination, Account(sandbox).of(["incidents", "severities"])))


def test_a_refused_nested_list_leaves_its_column_empty(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=60, forbid=["attachments.view"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["incidents"])).ok()
    assert {record["attachments"] for record in run.records["incidents"]} == {None}
    assert any(record["updates"] for record in run.records["incidents"])
    assert len([line for line in run.log.splitlines() if "the nested column attachments stays empty" in line]) == 1
