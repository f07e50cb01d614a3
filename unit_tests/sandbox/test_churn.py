"""Records that are created and changed while the account is read."""

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

CHANGING = ("incidents", "actions", "follow_ups", "alerts", "escalations", "incident_updates")
SIZE = {"incidents": 40, "updates": 100, "actions": 60, "follow_ups": 60, "alerts": 80}


def records_by_id(records: RecordList) -> dict[str, dict[str, Any]]:
    return {records.id_of(handle): records.record(handle) for handle in records.handles()}


def test_creates_and_changes_records_with_current_timestamps() -> None:
    options = Options(**SIZE)  # type: ignore[arg-type]
    clock = Clock()
    company = Company(Contract(), options, clock)
    lists = {name: company.lists[name] for name in CHANGING}
    before = {name: records_by_id(records) for name, records in lists.items()}  # type: ignore[arg-type]
    churn = Churn(company, options, clock)
    for _ in range(600):
        churn.change()
    now = datetime.now(UTC)
    behind = 0
    for name, records in lists.items():
        after = records_by_id(records)  # type: ignore[arg-type]
        assert before[name].keys() < after.keys(), f"no record was created in {name}"
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
    created = []
    for _ in range(2):
        options = Options(**SIZE)  # type: ignore[arg-type]
        clock = Clock("2026-03-02T10:00:00Z")
        company = Company(Contract(), options, clock)
        churn = Churn(company, options, clock)
        before = {name: set(records_by_id(company.lists[name])) for name in CHANGING}  # type: ignore[arg-type]
        for _ in range(100):
            churn.change()
        created.append(
            {
                name: len(records_by_id(company.lists[name])) - len(before[name])  # type: ignore[arg-type]
                for name in CHANGING
            }
        )
    assert created[0] == created[1]


def test_pages_stay_ordered_and_free_of_duplicates_during_churn(start: Start) -> None:
    sandbox, client = start(**SIZE, now=None, churn=300)
    count_before = sandbox.snapshot("actions")["count"]
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        ids = [r["id"] for r in client.all("/v3/actions", "actions", page_size=20)]
        assert len(set(ids)) == len(ids)
        assert ids == sorted(ids)
    sandbox.config(churn=0)
    count_after = sandbox.snapshot("actions")["count"]
    assert count_after > count_before
    time.sleep(0.1)
    assert sandbox.snapshot("actions")["count"] == count_after


def test_the_updated_at_filter_finds_all_changes(start: Start) -> None:
    sandbox, client = start(**SIZE, now=None)
    before = {r["id"]: r for r in sandbox.records("alerts")}
    since = (datetime.now(UTC) - timedelta(minutes=6)).isoformat().replace("+00:00", "Z")
    query = {"page_size": 50, "updated_at[gte]": since}
    assert client.all("/v2/alerts", "alerts", **query) == []
    sandbox.config(churn=400)
    time.sleep(0.5)
    sandbox.config(churn=0)
    changed = {r["id"]: r for r in sandbox.records("alerts") if before.get(r["id"]) != r}
    found = {r["id"]: r for r in client.all("/v2/alerts", "alerts", **query)}
    assert found == changed
    assert changed
