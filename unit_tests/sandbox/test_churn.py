"""An account that moves while it is read."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.churn import Churn
from sandbox.company import Company
from sandbox.contract import Contract
from sandbox.lists import RecordList
from sandbox.options import Options
from sandbox.times import Clock

from .conftest import Start

MOVING = ("incidents", "actions", "follow_ups", "alerts", "escalations", "incident_updates")
SIZE = {"incidents": 40, "updates": 100, "actions": 60, "follow_ups": 60, "alerts": 80}


def held(records: RecordList) -> dict[str, dict[str, Any]]:
    return {records.id_of(handle): records.record(handle) for handle in records.handles()}


def test_records_are_created_and_changed_and_stamped() -> None:
    options = Options(**SIZE)  # type: ignore[arg-type]
    clock = Clock()
    company = Company(Contract(), options, clock)
    lists = {name: company.lists[name] for name in MOVING}
    before = {name: held(records) for name, records in lists.items()}  # type: ignore[arg-type]
    churn = Churn(company, options, clock)
    for _ in range(600):
        churn.change()
    now = datetime.now(UTC)
    behind = 0
    for name, records in lists.items():
        after = held(records)  # type: ignore[arg-type]
        assert before[name].keys() < after.keys(), f"nothing was created in {name}"
        changed = [i for i in before[name] if after[i] != before[name][i]]
        assert bool(changed) is (name != "incident_updates")
        field = "created_at" if name == "incident_updates" else "updated_at"
        for record_id in [*changed, *(after.keys() - before[name].keys())]:
            record = after[record_id]
            age = now - datetime.fromisoformat(record[field])
            assert timedelta(seconds=-1) <= age <= timedelta(seconds=245)
            behind += age > timedelta(seconds=30)
            assert record["created_at"] <= record.get("updated_at", "9")
    assert behind > 50


def test_the_same_seed_changes_the_same_records() -> None:
    found = []
    for _ in range(2):
        options = Options(**SIZE)  # type: ignore[arg-type]
        clock = Clock("2026-03-02T10:00:00Z")
        company = Company(Contract(), options, clock)
        churn = Churn(company, options, clock)
        before = {name: set(held(company.lists[name])) for name in MOVING}  # type: ignore[arg-type]
        for _ in range(100):
            churn.change()
        found.append(
            {
                name: len(held(company.lists[name])) - len(before[name])  # type: ignore[arg-type]
                for name in MOVING
            }
        )
    assert found[0] == found[1]


def test_it_moves_at_the_rate_asked_for_and_pages_stay_sound(start: Start) -> None:
    sandbox, client = start(**SIZE, now=None, churn=300)
    began = sandbox.snapshot("actions")["count"]
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        ids = [r["id"] for r in client.all("/v3/actions", "actions", page_size=20)]
        assert len(set(ids)) == len(ids)
        assert ids == sorted(ids)
    sandbox.config(churn=0)
    held_now = sandbox.snapshot("actions")["count"]
    assert held_now > began
    time.sleep(0.1)
    assert sandbox.snapshot("actions")["count"] == held_now


def test_what_changed_is_found_by_the_filter(start: Start) -> None:
    sandbox, client = start(**SIZE, now=None)
    quiet = {r["id"]: r for r in sandbox.records("alerts")}
    since = (datetime.now(UTC) - timedelta(minutes=6)).isoformat().replace("+00:00", "Z")
    query = {"page_size": 50, "updated_at[gte]": since}
    assert client.all("/v2/alerts", "alerts", **query) == []
    sandbox.config(churn=400)
    time.sleep(0.5)
    sandbox.config(churn=0)
    moved = {r["id"]: r for r in sandbox.records("alerts") if quiet.get(r["id"]) != r}
    found = {r["id"]: r for r in client.all("/v2/alerts", "alerts", **query)}
    assert found == moved
    assert moved
