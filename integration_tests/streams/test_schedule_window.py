"""The time window of schedule entries, and the pagination that only this list has."""

from __future__ import annotations

from datetime import datetime, timedelta

from integration_tests.support.account import get
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import assert_same_records
from integration_tests.support.sandboxes import queries
from integration_tests.support.tap import MakeTap
from sandbox import Sandbox


def test_reads_all_pages_of_the_window(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    shared_sandbox.reset()
    tap = tap_of(shared_sandbox, schedule_entries_past_days=40, schedule_entries_future_days=10)
    run = tap.read(catalog.of(protocol, ["schedule_entries"])).ok()
    requests = queries(shared_sandbox, "/v2/schedule_entries")
    assert requests
    (end,) = {query["entry_window_end"][0] for query in requests}  # the end is the same for every page
    by_schedule: dict[str, list[str]] = {}
    for query in requests:
        by_schedule.setdefault(query["schedule_id"][0], []).append(query["entry_window_start"][0])
        assert "after" not in query
    for starts in by_schedule.values():
        assert len(starts) == 6, "101 shifts of 12 hours overlap 50 days; a page has 20"
        assert all(start.startswith("cursor:") for start in starts[1:])
        assert datetime.fromisoformat(end) - datetime.fromisoformat(starts[0]) == timedelta(days=50)
    expected = [
        {**entry, "schedule_id": query["schedule_id"][0], "list": name}
        for query in requests
        for name, entries in get(
            shared_sandbox,
            f"/v2/schedule_entries?schedule_id={query['schedule_id'][0]}"
            f"&entry_window_start={query['entry_window_start'][0]}&entry_window_end={query['entry_window_end'][0]}",
        )["schedule_entries"].items()
        for entry in entries
    ]
    assert {entry["list"] for entry in expected} == {"final", "overrides", "scheduled"}
    assert_same_records(run.records["schedule_entries"], expected, catalog.keys["schedule_entries"], "schedule_entries")
