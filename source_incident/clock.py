"""The current time. Everything asks this module, so that a simulation can replace the clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)
