"""What both protocols agree on: objects of the Airbyte protocol as JSON, the state of a full refresh, stream names."""

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from source_incident.errors import InputError

# The state that the CDK writes at the end of a resumable full refresh.
FULL_REFRESH_COMPLETE_STATE = {"__ab_full_refresh_sync_complete": True}
# States that the Airbyte platform and the CDK write for a full refresh. They hold no position.
FULL_REFRESH_MARKERS = frozenset({"__ab_no_cursor_state_message", "__ab_full_refresh_sync_complete"})


def to_json(value: Any) -> Any:
    """Return an object of the Airbyte protocol as JSON, without the fields that are None. JSON in it stays as it is."""
    if is_dataclass(value):
        items = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: to_json(item) for name, item in items if item is not None}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def check_stream_name(name: str, known: Collection[str], seen: Collection[str]) -> None:
    """Check that a stream of a catalog exists and comes once.

    Args:
        name: the stream's name in the catalog.
        known: the names of all streams.
        seen: the names that the catalog had before this one.

    Raises:
        InputError: the stream is unknown or a duplicate.
    """
    if name not in known:
        raise InputError(
            "catalog", f"there is no stream {name!r}", "Run discover again, or remove the stream from the catalog"
        )
    if name in seen:
        raise InputError("catalog", f"the stream {name!r} is listed twice", "Remove one of them")
