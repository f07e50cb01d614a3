"""The mock account of the tests, and changes to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from sandbox import Sandbox
from sandbox.contract import Contract

KEY = "sandbox-key-4711"
SMALL: dict[str, Any] = {
    "incidents": 60,
    "updates": 300,
    "actions": 80,
    "follow_ups": 80,
    "alerts": 120,
    "escalations": 60,
    "users": 20,
}
OPEN_CATEGORIES = ("triage", "live", "paused", "learning")
SCOPES = {endpoint.path: list(endpoint.scopes) for endpoint in Contract().endpoints.values()}
EVERY_SCOPE = {scope for scopes in SCOPES.values() for scope in scopes}

StartSandbox = Callable[..., Sandbox]


def quiet_sandbox(new_sandbox: StartSandbox, **options: Any) -> Sandbox:
    """Start a sandbox whose account last changed a week ago."""
    week = timedelta(days=7)
    sandbox = new_sandbox(now=timestamp(datetime.now(UTC) - week), **options)
    sandbox.config(date_offset=week.total_seconds())
    return sandbox


def change_incidents(sandbox: Sandbox, count: int) -> set[str]:
    """Set `updated_at` of some closed standard incidents to now; return their ids."""
    closed = [
        record
        for record in sandbox.records("incidents")
        if record["mode"] == "standard" and record["incident_status"]["category"] == "closed"
    ][:count]
    assert len(closed) == count
    return change(sandbox, "incidents", closed)


def change(sandbox: Sandbox, name: str, records: Iterable[dict[str, Any]]) -> set[str]:
    """Set `updated_at` of some records to now; return their ids."""
    changed = [{**record, "updated_at": timestamp(datetime.now(UTC))} for record in records]
    sandbox.put(name, changed)
    return {record["id"] for record in changed}


def open_incidents(incidents: Iterable[dict[str, Any]]) -> set[str]:
    """Return the ids of the incidents that are not closed."""
    return {record["id"] for record in incidents if record["incident_status"]["category"] in OPEN_CATEGORIES}


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def first_pages(sandbox: Sandbox) -> Counter[str]:
    """Return the number of requests for the first page of a list, by path: one per list that is read."""
    return Counter(entry["path"] for entry in sandbox.requests()["log"] if "after=" not in entry["query"])


def queries(sandbox: Sandbox, path: str) -> list[dict[str, list[str]]]:
    """Return the query of each request for a path, in order."""
    return [parse_qs(entry["query"]) for entry in sandbox.requests()["log"] if entry["path"] == path]
