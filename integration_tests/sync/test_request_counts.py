"""The number of requests of a sync when little or nothing changed."""

from __future__ import annotations

from typing import Any

import pytest

from integration_tests.support.catalog import GO_TAP_STREAMS, Catalog
from integration_tests.support.sandboxes import (
    StartSandbox,
    change_incidents,
    first_pages,
    open_incidents,
    queries,
    quiet_sandbox,
)
from integration_tests.support.tap import MakeTap

MAX_REQUESTS = 40


def test_second_sync_of_an_unchanged_account_sends_at_most_40_requests(
    new_sandbox: StartSandbox,
    tap_of: MakeTap,
    catalog: Catalog,
    protocol: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The account has 10 custom fields and 2,000 updates, and last changed a week ago."""
    sandbox = quiet_sandbox(new_sandbox, custom_fields=10, updates=2000, incidents=500, actions=500, alerts=800)
    tap, selected = tap_of(sandbox), catalog.of(protocol, GO_TAP_STREAMS)
    first = tap.read(selected).ok()
    first_counts = sandbox.requests(log=False)["counts"]
    sandbox.reset()
    second = tap.read(selected, first.state).ok()
    second_counts = sandbox.requests(log=False)["counts"]
    with capsys.disabled():
        print(f"\n{protocol}: requests of the first sync and of the second, with nothing changed")
        for request in sorted(first_counts):
            print(f"  {request:40} {first_counts[request]:5} {second_counts.get(request, 0):5}")
        print(f"  {'total':40} {sum(first_counts.values()):5} {sum(second_counts.values()):5}")
    assert sum(second_counts.values()) <= MAX_REQUESTS
    fields_with_options = {option["custom_field_id"] for option in sandbox.records("custom_field_options")}
    # one request per list, one per custom field, and every page of the list that the API can't filter. Lists with pages
    # and rows need one more, because their last page has an `after` and no total proves their end.
    assert second_counts == {
        **dict.fromkeys((request for request in first_counts if "attachments" not in request), 1),
        "GET /v1/custom_field_options": 10 + len(fields_with_options),
        "GET /v2/incident_updates": 8 + 1,
        "GET /v2/users": 1 + 1,
    }
    assert not set(second.records) & {"incidents", "actions", "follow_ups", "alerts", "escalations", "incident_updates"}
    assert set(second.records) >= {"severities", "users", "custom_field_options"}


def test_requests_nested_records_of_a_few_changed_incidents_only(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=500, updates=3000, actions=500)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["incidents"])
    state = tap.read(selected).ok().state
    changed = change_incidents(sandbox, 2)
    sandbox.reset()
    run = tap.read(selected, state).ok()
    assert {record["id"] for record in run.records["incidents"]} == changed
    log = sandbox.requests()["log"]
    full_actions = full_list_requests(log, "/v3/actions")
    # After the rows of an incident's updates or actions, there is an empty page: their last page has an `after`.
    empty_pages = sum("after=" in entry["query"] and "incident_id=" in entry["query"] for entry in log)
    assert empty_pages <= 2 * (1 if full_actions else 2)
    # With the list of incident statuses, whose categories the filter has to name
    assert len(log) == 2 + 2 * 3 - (2 if full_actions else 0) + full_actions + empty_pages
    assert first_pages(sandbox)["/v1/incident_attachments"] == 2
    assert first_pages(sandbox)["/v2/incident_updates"] == 2
    assert all("incident_id=" in entry["query"] for entry in log if entry["path"] == "/v2/incident_updates")


def test_reads_the_full_nested_list_if_many_incidents_changed(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=500, updates=1000, actions=500)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["incidents"])
    state = tap.read(selected).ok().state
    changed = change_incidents(sandbox, 50)
    sandbox.reset()
    run = tap.read(selected, state).ok()
    assert {record["id"] for record in run.records["incidents"]} == changed
    counts = sandbox.requests()["counts"]
    # 4 and 2 pages with rows, and an empty one: the last page with rows has an `after`.
    assert counts["GET /v2/incident_updates"] == 4 + 1
    assert counts["GET /v3/actions"] <= 2 + 1
    assert counts["GET /v1/incident_attachments"] == 50


def test_reads_children_again_for_changed_and_open_incidents(
    new_sandbox: StartSandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet_sandbox(new_sandbox, incidents=120)
    tap, selected = tap_of(sandbox), catalog.of(protocol, ["incident_attachments", "call_sessions"])
    state = tap.read(selected).ok().state
    modes = ("standard", "retrospective")
    is_open = open_incidents(incident for incident in sandbox.records("incidents") if incident.get("mode") in modes)
    changed = change_incidents(sandbox, 3)
    sandbox.reset()
    tap.read(selected, state).ok()
    for path in ("/v1/incident_attachments", "/v2/call_sessions"):
        first = [query for query in queries(sandbox, path) if "after" not in query]
        incidents = [incident for query in first for incident in query["incident_id"]]
        assert len(incidents) == len(set(incidents))
        assert set(incidents) == changed | is_open
    assert sandbox.requests()["counts"]["GET /v2/incidents"] == 2


def full_list_requests(log: list[dict[str, Any]], path: str) -> int:
    """Return the number of requests for pages of the list of all incidents' records."""
    return sum(entry["path"] == path and "incident_id=" not in entry["query"] for entry in log)
