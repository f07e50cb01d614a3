"""Calendar months, as windows of a request."""

from datetime import UTC, datetime, timedelta

# Besides the current month.
PAST_MONTHS = 12


def months(now: datetime) -> list[str]:
    """The past months and the current one, such as `2026-03`, oldest first.

    The current month ends with the last complete day, so on its first day it is left out.
    """
    today = _midnight(now)
    last = today.year * 12 + today.month - 1
    found = [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(last - PAST_MONTHS, last + 1)]
    return found if today.day > 1 else found[:-1]


def month_bounds(month: str, now: datetime) -> tuple[datetime, datetime]:
    """The first moment of a month (UTC), and its end: that of the month, or midnight of today if that is earlier."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    following = (start + timedelta(days=31)).replace(day=1)
    return start, min(following, _midnight(now))


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
