"""What a sync costs when nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integration_tests.conftest import MakeTap
from integration_tests.support.tap import Catalog
from integration_tests.sync.test_reading import SIXTEEN
from sandbox import Sandbox

MOST = 40


def test_the_second_sync_of_a_quiet_account_takes_at_most_40_requests(
    new_sandbox: Callable[..., Sandbox],
    tap_of: MakeTap,
    catalog: Catalog,
    protocol: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The 16 streams of the Go tap, 10 custom fields, 2,000 updates, the last change a week ago."""
    sandbox = quiet(new_sandbox, custom_fields=10, updates=2000, incidents=500, actions=500, alerts=800)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, SIXTEEN)
    first = tap.read(chosen).ok()
    of_first = sandbox.requests(log=False)["counts"]
    sandbox.reset()
    second = tap.read(chosen, first.state).ok()
    of_second = sandbox.requests(log=False)["counts"]
    with capsys.disabled():
        print(f"\n{protocol}: requests of a first sync and of a second where nothing changed")
        for request in sorted(of_first):
            print(f"  {request:40} {of_first[request]:5} {of_second.get(request, 0):5}")
        print(f"  {'in all':40} {sum(of_first.values()):5} {sum(of_second.values()):5}")
    assert sum(of_second.values()) <= MOST
    # a request a list, one a custom field, and the pages of the list that only the client can compare
    assert of_second == {
        **dict.fromkeys((request for request in of_first if "attachments" not in request), 1),
        "GET /v1/custom_field_options": 10,
        "GET /v2/incident_updates": 8,
    }
    assert not set(second.records) & {"incidents", "actions", "follow_ups", "alerts", "escalations", "incident_updates"}
    assert set(second.records) >= {"severities", "users", "custom_field_options"}


def test_a_few_changed_incidents_cost_requests_for_those_alone(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet(new_sandbox, incidents=500, updates=3000, actions=500)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["incidents"])
    state = tap.read(chosen).ok().state
    changed = changed_incidents(sandbox, 2)
    sandbox.reset()
    run = tap.read(chosen, state).ok()
    assert {record["id"] for record in run.records["incidents"]} == changed
    log = sandbox.requests()["log"]
    assert len(log) == 1 + 2 * 3 - (2 if _whole(log, "/v3/actions") else 0) + _whole(log, "/v3/actions")
    assert sum(entry["path"] == "/v1/incident_attachments" for entry in log) == 2
    assert sum(entry["path"] == "/v2/incident_updates" for entry in log) == 2
    assert all("incident_id=" in entry["query"] for entry in log if entry["path"] == "/v2/incident_updates")


def test_many_changed_incidents_cost_one_pass_over_the_whole_list(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet(new_sandbox, incidents=500, updates=1000, actions=500)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["incidents"])
    state = tap.read(chosen).ok().state
    changed = changed_incidents(sandbox, 50)
    sandbox.reset()
    run = tap.read(chosen, state).ok()
    assert {record["id"] for record in run.records["incidents"]} == changed
    counts = sandbox.requests()["counts"]
    assert counts["GET /v2/incident_updates"] == 4
    assert counts["GET /v3/actions"] <= 2
    assert counts["GET /v1/incident_attachments"] == 50


def test_children_of_incidents_that_changed_or_are_open_are_read_again(
    new_sandbox: Callable[..., Sandbox], tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    sandbox = quiet(new_sandbox, incidents=120)
    tap, chosen = tap_of(sandbox), catalog.of(protocol, ["incident_attachments", "call_sessions"])
    state = tap.read(chosen).ok().state
    shown = [row for row in sandbox.records("incidents") if row.get("mode") in ("standard", "retrospective")]
    open_parent_query = {
        row["id"] for row in shown if row["incident_status"]["category"] in ("triage", "live", "paused", "learning")
    }
    changed = changed_incidents(sandbox, 3)
    sandbox.reset()
    tap.read(chosen, state).ok()
    log = sandbox.requests()["log"]
    for path in ("/v1/incident_attachments", "/v2/call_sessions"):
        asked = [parameter(entry, "incident_id") for entry in log if entry["path"] == path]
        assert len(asked) == len(set(asked))
        assert set(asked) == changed | open_parent_query
    assert sum(entry["path"] == "/v2/incidents" for entry in log) == 2


def quiet(new_sandbox: Callable[..., Sandbox], **options: Any) -> Sandbox:
    """An account whose last change was a week ago."""
    week = timedelta(days=7)
    sandbox = new_sandbox(now=(datetime.now(UTC) - week).strftime("%Y-%m-%dT%H:%M:%SZ"), **options)
    sandbox.config(date_offset=week.total_seconds())
    return sandbox


def changed_incidents(sandbox: Sandbox, count: int) -> set[str]:
    """Stamps so many incidents as changed just now; their ids."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    closed = [
        record
        for record in sandbox.records("incidents")
        if record["mode"] == "standard" and record["incident_status"]["category"] == "closed"
    ][:count]
    assert len(closed) == count
    sandbox.put("incidents", [{**record, "updated_at": now} for record in closed])
    return {record["id"] for record in closed}


def _whole(log: list[dict[str, Any]], path: str) -> int:
    """The requests for pages of a whole list."""
    return sum(entry["path"] == path and "incident_id=" not in entry["query"] for entry in log)


def parameter(entry: dict[str, Any], name: str) -> str:
    (value,) = [part.split("=", 1)[1] for part in entry["query"].split("&") if part.startswith(f"{name}=")]
    return str(value)
