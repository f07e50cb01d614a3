"""The schedule entries' window, and the paging of its own that the list has."""

from __future__ import annotations

from urllib.parse import parse_qs

from integration_tests.conftest import MakeTap
from integration_tests.sandbox import Sandbox
from integration_tests.sync.tap import Catalog


def test_schedule_entries_follow_their_own_paging_within_the_window(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    shared_sandbox.reset()
    tap = tap_of(shared_sandbox, schedule_entries_past_days=40, schedule_entries_future_days=10)
    run = tap.read(catalog.of(protocol, ["schedule_entries"])).ok()
    asked = [parse_qs(e["query"]) for e in shared_sandbox.requests()["log"] if e["path"] == "/v2/schedule_entries"]
    assert asked
    ends = {query["entry_window_end"][0] for query in asked}
    assert len(ends) == 1, "the window's end stays the same from page to page"
    by_schedule: dict[str, list[str]] = {}
    for query in asked:
        by_schedule.setdefault(query["schedule_id"][0], []).append(query["entry_window_start"][0])
        assert "after" not in query
    for starts in by_schedule.values():
        assert len(starts) == 6, "the 101 shifts of 12 hours that overlap 50 days, in pages of 20"
        assert all(start.startswith("cursor:") for start in starts[1:])
    assert {record["list"] for record in run.records["schedule_entries"]} == {"final", "overrides", "scheduled"}
