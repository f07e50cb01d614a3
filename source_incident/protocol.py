"""What both protocols agree on: the state of a full refresh, and which stream names a catalog can hold."""

from collections.abc import Collection

from source_incident.errors import InputError

# The state that the CDK writes at the end of a resumable full refresh.
FULL_REFRESH_COMPLETE_STATE = {"__ab_full_refresh_sync_complete": True}
# States that the Airbyte platform and the CDK write for a full refresh. They hold no position.
FULL_REFRESH_MARKERS = frozenset({"__ab_no_cursor_state_message", "__ab_full_refresh_sync_complete"})


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
