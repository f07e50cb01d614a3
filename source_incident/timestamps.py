"""Timestamps as the API, the state and the protocols write them: RFC 3339 in UTC."""

from datetime import UTC, datetime

# Before the first incident of any account: incident.io was founded in 2021.
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)


def parse_timestamp(text: str) -> datetime:
    """Parse a date or an RFC 3339 timestamp. A text without a time zone is in UTC.

    Raises:
        ValueError: the text is neither.
        OverflowError: the moment is outside the years 1 to 9999 in UTC.
    """
    moment = datetime.fromisoformat(text.strip())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_timestamp(moment: datetime) -> str:
    """Format a moment in UTC with milliseconds, such as `2026-01-02T03:04:05.678Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
