"""The time window of schedule entries: its pages, and shifts that its start would cut."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from integration_tests.support.account import get
from integration_tests.support.catalog import Catalog
from integration_tests.support.compare import assert_same_records
from integration_tests.support.sandboxes import queries
from integration_tests.support.tap import MakeTap
from sandbox import Sandbox

STREAM = "schedule_entries"
# How much earlier than the emitted window the requested one starts.
MARGIN = timedelta(days=31)


def uncut_entries(sandbox: Sandbox, schedule_id: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The entries of a schedule that overlap a window, read from a window that starts much earlier."""
    entries = []
    page = f"{start - timedelta(days=90):%Y-%m-%dT%H:%M:%SZ}"
    while page:
        path = f"/v2/schedule_entries?schedule_id={schedule_id}&entry_window_start={page}"
        body = get(sandbox, f"{path}&entry_window_end={end:%Y-%m-%dT%H:%M:%SZ}")
        for name, listed in body["schedule_entries"].items():
            entries += [{**entry, "schedule_id": schedule_id, "list": name} for entry in listed]
        page = body.get("pagination_meta", {}).get("after")
    return [entry for entry in entries if datetime.fromisoformat(entry["end_at"]) > start]


def test_emits_each_shift_of_the_window_whole(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    shared_sandbox.reset()
    tap = tap_of(shared_sandbox, schedule_entries_past_days=4, schedule_entries_future_days=5)
    run = tap.read(catalog.of(protocol, [STREAM])).ok()
    requests = queries(shared_sandbox, "/v2/schedule_entries")
    first_pages = [query for query in requests if not query["entry_window_start"][0].startswith("cursor:")]
    (start,) = {datetime.fromisoformat(query["entry_window_start"][0]) for query in first_pages}
    (end,) = {datetime.fromisoformat(query["entry_window_end"][0]) for query in requests}
    assert (start.hour, start.minute, start.microsecond) == (0, 0, 0)
    assert end - start == MARGIN + timedelta(days=4 + 1 + 5)
    assert all("after" not in query for query in requests)
    expected = [
        entry
        for query in first_pages
        for entry in uncut_entries(shared_sandbox, query["schedule_id"][0], start + MARGIN, end)
    ]
    assert {entry["list"] for entry in expected} == {"final", "overrides", "scheduled"}
    assert_same_records(run.records[STREAM], expected, catalog.keys[STREAM], STREAM)


def test_windows_that_move_from_day_to_day_leave_no_torn_rows(
    shared_sandbox: Sandbox, tap_of: MakeTap, catalog: Catalog, protocol: str
) -> None:
    """A later window has the same rows as an earlier one, as far as both see them."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for past_days in (3, 2, 1, 0):
        run = tap_of(shared_sandbox, schedule_entries_past_days=past_days).read(catalog.of(protocol, [STREAM])).ok()
        for record in run.records[STREAM]:
            key = tuple(record[field] for field in catalog.keys[STREAM])
            assert rows.setdefault(key, record) == record
    shifts = {(row["schedule_id"], row["list"], row["start_at"], row["end_at"]) for row in rows.values()}
    assert len(shifts) == len(rows), "one row per shift"
