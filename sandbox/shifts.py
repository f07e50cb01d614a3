"""Who is on call when: the entries of a schedule, over a window, page by page.

The cursor of this list goes into `entry_window_start`, not into `after`.
"""

from __future__ import annotations

from typing import Any

from . import errors
from .filters import Query
from .ids import make_id, mix, salt_of
from .lists import Record, RecordList
from .times import DAY, HOUR, format_moment, parse_moment

_SHIFT = 12 * HOUR
_PAGE = 20  # shifts
_CURSOR = "cursor:"
_USER_KEYS = ("id", "name", "email", "role", "slack_user_id")


def entries(schedule: Record, users: RecordList, query: Query, now_ms: int) -> dict[str, Any]:
    """The answer: three lists of entries that overlap the window, and the cursor for the rest."""
    start, resumed = _start(query, now_ms)
    end = _moment(query, "entry_window_end", now_ms + 14 * DAY)
    if end < start:
        raise errors.invalid("entry_window_end", "must not be before entry_window_start")
    first = start // _SHIFT
    if resumed and start % _SHIFT:
        first += 1
    last = -(-end // _SHIFT)
    made: dict[str, list[Record]] = {"final": [], "overrides": [], "scheduled": []}
    for number in range(first, min(last, first + _PAGE)):
        for name, shift in _shift(schedule["id"], users, number).items():
            made[name].append(shift)
    answer: dict[str, Any] = {"schedule_entries": made}
    if last > first + _PAGE:
        after = f"{_CURSOR}{(first + _PAGE) * _SHIFT:x}"
        answer["pagination_meta"] = {
            "after": after,
            "after_url": f"/v2/schedule_entries?schedule_id={schedule['id']}&entry_window_start={after}",
        }
    return answer


def _start(query: Query, now_ms: int) -> tuple[int, bool]:
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


def _shift(schedule_id: str, users: RecordList, number: int) -> dict[str, Record]:
    salt = salt_of(number, schedule_id)
    shift: Record = {
        "entry_id": make_id(salt, 0, number * _SHIFT),
        "fingerprint": f"{mix(salt):016x}",
        "rotation_id": f"ROTATION{schedule_id[-6:]}",
        "start_at": format_moment(number * _SHIFT),
        "end_at": format_moment((number + 1) * _SHIFT),
    }
    people = [_user(users, salt >> shifted) for shifted in (0, 7)]
    scheduled = {**shift, **people[0]}
    if mix(salt) % 9:
        return {"final": scheduled, "scheduled": scheduled}
    override = {**shift, "fingerprint": f"{mix(salt + 1):016x}", **people[1]}
    return {"final": override, "overrides": override, "scheduled": scheduled}


def _user(users: RecordList, number: int) -> Record:
    if not users.source.count:
        return {}
    user = users.record(number % users.source.count)
    return {"user": {key: user[key] for key in _USER_KEYS if key in user}}
