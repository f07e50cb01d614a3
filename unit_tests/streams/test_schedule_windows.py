"""Shifts that the start of a time window cuts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from source_incident.streams.schedule_windows import uncut_entries

MONDAY = datetime(2026, 1, 5, 7, tzinfo=UTC)
SHIFT = timedelta(hours=12)


def entry(name: str, number: int, **changes: Any) -> dict[str, Any]:
    """A shift of one rotation, as the API returns it in a window that does not cut it."""
    start = MONDAY + number * SHIFT
    return {
        "list": name,
        "start_at": start.isoformat(),
        "end_at": (start + SHIFT).isoformat(),
        "fingerprint": f"shift-{number}",
        "rotation_id": "01R",
        "user": {"id": f"01U{number % 3}"},
        **changes,
    }


def window(start: datetime, overridden: set[int]) -> list[dict[str, Any]]:
    """The API's entries of shifts 0 to 9 in a window from `start` on (docs/api.md, schedule entries)."""
    entries = []
    for number in range(10):
        if MONDAY + (number + 1) * SHIFT <= start:
            continue
        cut = {"start_at": start.isoformat(), "fingerprint": f"cut-{number}"} if MONDAY + number * SHIFT < start else {}
        entries.append(entry("scheduled", number))
        if number in overridden:
            change = {"fingerprint": f"override-{number}", "user": {"id": "01V"}, **cut}
            entries += [entry("overrides", number, **change), entry("final", number, **change)]
        else:
            entries.append(entry("final", number, **cut))
    return entries


def test_a_cut_shift_has_the_start_and_the_fingerprint_of_the_plan() -> None:
    start = MONDAY + timedelta(hours=3)
    entries = uncut_entries(window(start, set()), start, start)
    assert next(row for row in entries if row["list"] == "final") == entry("final", 0)


def test_leaves_out_a_cut_override_whose_start_is_unknown() -> None:
    start = MONDAY + timedelta(hours=3)
    entries = uncut_entries(window(start, {0}), start, start)
    assert [row["list"] for row in entries if row["end_at"] == entry("final", 0)["end_at"]] == ["scheduled"]


def test_leaves_out_shifts_that_ended_before_the_emitted_window() -> None:
    entries = uncut_entries(window(MONDAY, set()), MONDAY, MONDAY + 4 * SHIFT)
    assert {row["fingerprint"] for row in entries} == {f"shift-{number}" for number in range(4, 10)}


def test_keeps_every_entry_of_a_page_that_continues_a_window() -> None:
    page = window(MONDAY, {2})
    assert uncut_entries(page, None, MONDAY) == page


@given(st.lists(st.integers(0, 108), min_size=1, max_size=6), st.sets(st.integers(0, 9)))
def test_a_shift_is_the_same_row_in_every_window(starts: list[int], overridden: set[int]) -> None:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for hours in starts:
        start = MONDAY + timedelta(hours=hours)
        for row in uncut_entries(window(start, overridden), start, start):
            assert rows.setdefault((row["list"], row["fingerprint"]), row) == row
            assert not row["fingerprint"].startswith("cut")
