"""Moments as the sandbox counts them (milliseconds since 1970) and as the API writes them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})",
)


class Clock:
    """The company's clock: the machine's, or one that starts at a given moment and runs on."""

    def __init__(self, now: str | None = None) -> None:
        """`now` is an RFC 3339 timestamp or a date; ValueError when it is neither."""
        started_at = None if now is None else parse_moment(now)
        if now is not None and started_at is None:
            raise ValueError(f"not a timestamp: {now!r}")
        self.offset_ms = 0 if started_at is None else started_at - int(time.time() * 1000)

    def now_ms(self) -> int:
        return int(time.time() * 1000) + self.offset_ms


def format_moment(ms: int) -> str:
    """RFC 3339 in UTC, without trailing zeros in the fraction, as the API writes it."""
    text = (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")[:-6]
    if ms % 10 == 0:
        text = text.rstrip("0").rstrip(".") if ms % 1000 else text[:-4]
    return text + "Z"


def format_date(ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=ms)).date().isoformat()


def parse_date(text: str) -> int | None:
    """The start of a day written as yyyy-mm-dd; None when it is not one."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None


def parse_moment(text: str) -> int | None:
    """An RFC 3339 timestamp (or a date, as its start) to the millisecond; None when it is none."""
    if (day := parse_date(text)) is not None:
        return day
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day_part, time_part, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        whole = datetime.fromisoformat(f"{day_part}T{time_part}{zone}")
    except ValueError:
        return None
    return int(whole.timestamp()) * 1000 + int(float(fraction or 0) * 1000 + 1e-6)
