"""The schedule entries' window, and the paging of its own that the list has."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import parse_qs

from integration_tests.conftest import MakeTap
from integration_tests.streams.test_all_streams import ask
from integration_tests.support.tap import Catalog
from integration_tests.sync.test_reading import assert_same
from sandbox import Sandbox


def test_schedule_entries_follow_their_own_paging_within_the_window(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    shared_sandbox.reset()
    tap = tap_of(shared_sandbox, schedule_entries_past_days=40, schedule_entries_future_days=10)
    run = tap.read(catalog.of(protocol, ["schedule_entries"])).ok()
    asked = [parse_qs(e["query"]) for e in shared_sandbox.requests()["log"] if e["path"] == "/v2/schedule_entries"]
    assert asked
    (end,) = {query["entry_window_end"][0] for query in asked}  # it stays the same from page to page
    by_schedule: dict[str, list[str]] = {}
    for query in asked:
        by_schedule.setdefault(query["schedule_id"][0], []).append(query["entry_window_start"][0])
        assert "after" not in query
    for starts in by_schedule.values():
        assert len(starts) == 6, "the 101 shifts of 12 hours that overlap 50 days, in pages of 20"
        assert all(start.startswith("cursor:") for start in starts[1:])
        assert datetime.fromisoformat(end) - datetime.fromisoformat(starts[0]) == timedelta(days=50)
    held = [
        {**entry, "schedule_id": query["schedule_id"][0], "list": name}
        for query in asked
        for name, entries in ask(
            shared_sandbox,
            f"/v2/schedule_entries?schedule_id={query['schedule_id'][0]}"
            f"&entry_window_start={query['entry_window_start'][0]}&entry_window_end={query['entry_window_end'][0]}",
        )["schedule_entries"].items()
        for entry in entries
    ]
    assert {entry["list"] for entry in held} == {"final", "overrides", "scheduled"}
    assert_same(run.records["schedule_entries"], held, catalog.keys["schedule_entries"], "schedule_entries")
