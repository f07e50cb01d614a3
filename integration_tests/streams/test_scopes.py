"""Keys without some of the scopes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from integration_tests.support.account import Account, ChildStream, declarations
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import Destination, differences
from integration_tests.support.sandboxes import EVERY_SCOPE, SCOPES, StartSandbox
from integration_tests.support.tap import AIRBYTE, MakeTap

WORKERS = 4


def scopes_of(stream: type[Any]) -> set[str]:
    """Return the scopes that a key needs to read a stream and its parents."""
    paths = {re.sub(r"{\w+}", "{}", path): scopes for path, scopes in SCOPES.items()}
    scopes = set(paths[re.sub(r"{\w+}", "{}", stream.endpoint)])
    return scopes | scopes_of(stream.parent) if issubclass(stream, ChildStream) else scopes


def test_check_and_read_warn_of_each_stream_without_a_scope(
    new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, forbid=sorted(EVERY_SCOPE - {"incidents.view", "catalog_types.view"}))
    check = tap_of(sandbox).command("check").ok()
    read = tap_of(sandbox).read().ok()
    missing = {
        name: scopes_of(stream)
        for name, stream in declarations().items()
        if stream.selected_by_default and scopes_of(stream) - {"incidents.view", "catalog_types.view"}
    }
    assert {"users", "custom_field_options", "catalog_entries"} <= missing.keys()
    for run, consequence in ((check, "can't be read"), (read, "is left out")):
        lines = [line for line in run.log.splitlines() if consequence in line]
        assert len(lines) == len(missing), "one warning per stream"
        for name, scopes_of_stream in missing.items():
            (line,) = [line for line in lines if re.search(rf"\b{name} {consequence}", line)]
            assert any(scope in line for scope in scopes_of_stream)
    assert read.records["incidents"]
    assert not missing.keys() & read.records.keys()
    assert protocol != AIRBYTE or not read.traces("ERROR")


def test_a_child_stream_without_its_scope_fails_after_a_few_requests(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(users=200, forbid=["notification_rules.view"])
    selected = ["users", "user_notification_rules", "user_paging_providers", "severities"]
    run = tap_of(sandbox, num_workers=WORKERS).read(catalog.of(protocol, selected))
    assert run.code == 1
    assert run.counts == {"users": 200, "user_paging_providers": 200, "severities": 4}
    assert "notification_rules.view" in run.log
    refused = [entry for entry in sandbox.requests()["log"] if entry["status"] == 403]
    # The third refusal fails the stream. By then each thread has at most one more request.
    assert 1 <= len(refused) <= 2 + WORKERS
    if protocol == AIRBYTE:
        (trace,) = [item["error"] for item in run.traces("ERROR") if item["error"].get("stream_descriptor")]
        assert trace["stream_descriptor"]["name"] == "user_notification_rules"
        assert trace["failure_type"] == "config_error"
        last_statuses = {name: run.statuses(name)[-1] for name in selected}
        assert last_statuses == {
            name: "INCOMPLETE" if name == "user_notification_rules" else "COMPLETE" for name in selected
        }


def test_reports_the_parent_that_a_child_stream_cannot_read(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=3, forbid=["schedules.view"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["schedule_overrides", "schedule_entries", "severities"]))
    assert run.code == 1
    assert set(run.records) == {"severities"}
    for name in ("schedule_overrides", "schedule_entries"):
        (line,) = [line for line in run.log.splitlines() if f"{name}:" in line and "schedules.view" in line]
        assert "/v2/schedules" in line


def test_check_succeeds_if_a_list_answers_500(new_sandbox: StartSandbox, tap_of: MakeTap, protocol: str) -> None:
    sandbox = new_sandbox(incidents=3, fault=["500:path=/v2/workflows"])
    run = tap_of(sandbox, max_retries=0).command("check").ok()
    (line,) = [line for line in run.log.splitlines() if "workflows" in line]
    assert "500" in line
    assert "left out" not in line


@pytest.mark.parametrize(
    ("path", "nth"), [("/v3/actions", "2-"), ("/v2/incident_updates", "3-"), ("/v1/incident_attachments", "30-")]
)
def test_a_403_on_a_later_page_of_a_nested_list_never_empties_the_column(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str, path: str, nth: str
) -> None:
    sandbox = new_sandbox(incidents=300, actions=600, updates=900, fault=[f"403:path={path},nth={nth}"])
    selected = catalog.of(protocol, ["incidents", "severities"])
    refused = tap_of(sandbox).read(selected)
    assert refused.code == 1
    assert "lacks" in refused.log
    assert refused.counts["severities"] == 4
    sandbox.config(fault=[])
    destination = Destination(catalog.keys)
    destination.load(refused)
    lines = differences(destination, Account(sandbox).of(["incidents"]))
    assert [line for line in lines if not line.endswith(": missing")] == []
    destination.load(tap_of(sandbox).read(selected, refused.state).ok())
    assert not list(differences(destination, Account(sandbox).of(["incidents", "severities"])))


def test_a_nested_list_without_its_scope_leaves_its_column_empty(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = new_sandbox(incidents=60, forbid=["attachments.view"])
    run = tap_of(sandbox).read(catalog.of(protocol, ["incidents"])).ok()
    assert {record["attachments"] for record in run.records["incidents"]} == {None}
    assert any(record["updates"] for record in run.records["incidents"])
    assert len([line for line in run.log.splitlines() if "attachments" in line and "stays empty" in line]) == 1
