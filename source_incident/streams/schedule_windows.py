"""Shifts that a time window cuts: finds their true start, or leaves them to the window that has them whole.

In `final` and `overrides`, a shift that is running when the window starts begins at the window's start, with another
fingerprint. `scheduled` has its true start (docs/api.md, schedule entries).
"""

from collections.abc import Iterable
from datetime import datetime

from source_incident.streams.page import Record, cursor_of


def uncut_entries(entries: Iterable[Record], requested_from: datetime | None, emitted_from: datetime) -> list[Record]:
    """Return the entries of a page as they are in every other window.

    Args:
        entries: entries with `list`, `start_at`, `end_at`, `fingerprint`, `rotation_id`, `user`.
        requested_from: the start of the requested window; None: the page continues one, after its start.
        emitted_from: entries that ended before this moment are left out.
    """
    entries = list(entries)
    planned = {_shift(entry): entry for entry in entries if entry["list"] == "scheduled"}
    whole = []
    for entry in entries:
        start, end = cursor_of(entry, "start_at"), cursor_of(entry, "end_at")
        if end is not None and end <= emitted_from:
            continue
        if (
            requested_from is not None
            and start is not None
            and start <= requested_from
            and entry["list"] != "scheduled"
        ):
            plan = planned.get(_shift(entry))
            if plan is None:
                # It began before the window, nobody knows when. An earlier sync emitted it whole.
                continue
            entry = {**entry, "start_at": plan["start_at"], "fingerprint": plan.get("fingerprint")}
        whole.append(entry)
    return whole


def _shift(entry: Record) -> tuple[object, ...]:
    """What a shift in `final` and the same shift in `scheduled` have in common when one is cut."""
    user = entry.get("user")
    return entry.get("end_at"), entry.get("rotation_id"), user.get("id") if isinstance(user, dict) else None
