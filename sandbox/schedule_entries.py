"""The entries of an on-call schedule: who is on call in a time window, page by page.

The cursor of this list goes into `entry_window_start` instead of `after`.
"""

from __future__ import annotations

from typing import Any

from sandbox import errors
from sandbox.account import embedded_user
from sandbox.filters import Query
from sandbox.ids import make_salt, mix
from sandbox.lists import Record, RecordList
from sandbox.times import DAY, HOUR, format_moment, parse_moment

_SHIFT = 12 * HOUR
_HANDOVER = 7 * HOUR  # after midnight UTC
_PAGE_SIZE = 20  # shifts
_CURSOR = "cursor:"


def schedule_entries(schedule: Record, users: RecordList, query: Query, now_ms: int) -> dict[str, Any]:
    """The body: the three lists of entries that overlap the window, and the cursor of the next page."""
    start, resumed = _start(query, now_ms)
    end = _moment(query, "entry_window_end", now_ms + 14 * DAY)
    if end < start:
        raise errors.invalid("entry_window_end", "must not be before entry_window_start")
    first = (start - _HANDOVER) // _SHIFT
    if resumed and (start - _HANDOVER) % _SHIFT:
        first += 1
    last = -(-(end - _HANDOVER) // _SHIFT)
    entries: dict[str, list[Record]] = {"final": [], "overrides": [], "scheduled": []}
    for number in range(first, min(last, first + _PAGE_SIZE)):
        for name, entry in _shift(schedule["id"], users, number).items():
            entries[name].append(entry if name == "scheduled" else _cut(entry, _starts_at(number), start))
    body: dict[str, Any] = {"schedule_entries": entries}
    if last > first + _PAGE_SIZE:
        after = f"{_CURSOR}{_starts_at(first + _PAGE_SIZE):x}"
        body["pagination_meta"] = {
            "after": after,
            "after_url": f"/v2/schedule_entries?schedule_id={schedule['id']}&entry_window_start={after}",
        }
    return body


def _start(query: Query, now_ms: int) -> tuple[int, bool]:
    """Start of the window, and whether it comes from a cursor."""
    text = query.get("entry_window_start", [""])[-1]
    if text.startswith(_CURSOR):
        try:
            return int(text.removeprefix(_CURSOR), 16), True
        except ValueError:
            raise errors.invalid("entry_window_start", "is not a cursor") from None
    return _moment(query, "entry_window_start", now_ms), False


def _moment(query: Query, name: str, default: int) -> int:
    if name not in query:
        return default
    moment = parse_moment(query[name][-1])
    if moment is None:
        raise errors.invalid(name, "must be an RFC 3339 timestamp")
    return moment


def _starts_at(number: int) -> int:
    return number * _SHIFT + _HANDOVER


def _shift(schedule_id: str, users: RecordList, number: int) -> dict[str, Record]:
    """The entries of one shift, by the list that each belongs to."""
    salt = make_salt(number, schedule_id)
    shift: Record = {
        "fingerprint": f"{mix(salt):016x}",
        "rotation_id": f"ROTATION{schedule_id[-6:]}",
        "start_at": format_moment(_starts_at(number)),
        "end_at": format_moment(_starts_at(number + 1)),
    }
    people = [_user(users, salt >> shifted) for shifted in (0, 7)]
    scheduled = {**shift, **people[0]}
    if mix(salt) % 9:
        return {"final": scheduled, "scheduled": scheduled}
    override = {**shift, "fingerprint": f"{mix(salt + 1):016x}", **people[1]}
    return {"final": override, "overrides": override, "scheduled": scheduled}


def _cut(entry: Record, shift_start: int, window_start: int) -> Record:
    """The entry as the API returns it outside of `scheduled`: cut at the start of the window (docs/api.md)."""
    if shift_start >= window_start:
        return entry
    fingerprint = f"{mix(int(entry['fingerprint'], 16) ^ window_start):016x}"
    return {**entry, "start_at": format_moment(window_start), "fingerprint": fingerprint}


def _user(users: RecordList, number: int) -> Record:
    if not users.source.count:
        return {}
    return {"user": embedded_user(users.record(number % users.source.count))}
