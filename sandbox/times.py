"""The clock, and conversion between milliseconds since 1970 and RFC 3339 timestamps."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

from sandbox.ids import mix

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

UNSET = "0001-01-01T00:00:00Z"
"""Go's zero time. The API sends it for some times that are not set."""

# By the second of a time: the milliseconds that its fraction is cut to. 0: it has microseconds.
_PRECISIONS = (SECOND, 10, 1, 1, 0, 0)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})",
)


class Clock:
    """The sandbox's clock: the system clock, or a clock that starts at a given time."""

    def __init__(self, now: str | None = None) -> None:
        """`now` is an RFC 3339 timestamp or a date. Raises ValueError if it is neither."""
        started_at = None if now is None else parse_moment(now)
        if now is not None and started_at is None:
            raise ValueError(f"now: {now!r} is not an RFC 3339 timestamp or a date")
        self.offset_ms = 0 if started_at is None else started_at - int(time.time() * 1000)

    def now_ms(self) -> int:
        return int(time.time() * 1000) + self.offset_ms


def format_moment(ms: int) -> str:
    """RFC 3339 in UTC, without trailing zeros in the fraction, in the API's format."""
    text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")[:-6]
    if ms % 10 == 0:
        text = text.rstrip("0").rstrip(".") if ms % 1000 else text[:-4]
    return text + "Z"


def _precision(ms: int) -> int:
    # The same for all times of a second, so that a cut keeps their order.
    return _PRECISIONS[mix(ms // SECOND) % len(_PRECISIONS)]


def cut_fraction(ms: int) -> int:
    """Cut a time to the precision with which `format_record_time` writes it. Keeps the order of times."""
    precision = _precision(ms)
    return ms - ms % precision if precision else ms


def format_record_time(ms: int) -> str:
    """RFC 3339 with a varying fraction, as in the API's records: none, two or three digits, or microseconds."""
    text = format_moment(cut_fraction(ms))
    if _precision(ms) or ms % SECOND == 0:
        return text
    return format_moment(ms - ms % SECOND)[:-1] + f".{ms % SECOND:03}{mix(ms) % 999 + 1:03}Z"


def format_date(ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=ms)).date().isoformat()


def parse_date(text: str) -> int | None:
    """The start of a day written as yyyy-mm-dd; None if the text is not a date."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None


def parse_moment(text: str) -> int | None:
    """An RFC 3339 timestamp, or the start of a date, in milliseconds; None if the text is neither."""
    if (day := parse_date(text)) is not None:
        return day
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day_part, time_part, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        seconds = datetime.fromisoformat(f"{day_part}T{time_part}{zone}")
    except ValueError:
        return None
    return int(seconds.timestamp()) * 1000 + int(float(fraction or 0) * 1000 + 1e-6)
