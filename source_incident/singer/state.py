"""State: Airbyte's per-stream messages to Singer's bookmarks and back.

A bookmark is the stream's Airbyte state, with its cursor under the names that Singer's tools look for:
`replication_key` and `replication_key_value`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.models import (
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    StreamDescriptor,
)

logger = logging.getLogger("airbyte.incident.singer")

KEY, VALUE = "replication_key", "replication_key_value"
# A state that has these names itself is kept whole under this one.
WHOLE = "airbyte_state"
# What taps of the Singer SDK keep beside a bookmark; it means nothing to another tap.
SDK_NOTES = frozenset({"starting_replication_value", "replication_key_signpost", "progress_markers"})


class StateFormatError(ValueError):
    """A state that can't be used. The message is one line: what is wrong, where, what to do."""


@dataclass(frozen=True)
class SavedState:
    """A state as it was given, in the Airbyte protocol's terms.

    Attributes:
        streams: each stream's state.
        currently_syncing: the stream that was being read when it was written, where it says so.
    """

    streams: Mapping[str, Mapping[str, Any]]
    currently_syncing: str | None = None

    def messages(self) -> list[AirbyteStateMessage]:
        """The state as the Airbyte protocol's messages."""
        return [
            AirbyteStateMessage(
                type=AirbyteStateType.STREAM,
                stream=AirbyteStreamState(
                    stream_descriptor=StreamDescriptor(name=name),
                    stream_state=AirbyteStateBlob(dict(state)),
                ),
            )
            for name, state in self.streams.items()
        ]


def read_state(document: Any, cursors: Mapping[str, str]) -> SavedState:
    """Reads a state file of either format, told apart by its shape.

    Args:
        document: Singer's state, the STATE message around it included; or Airbyte's list of state messages, or one.
        cursors: by stream, the cursor's name in its state: for a bookmark that has only the cursor's value.

    Raises:
        StateFormatError: it is none of these.
    """
    if isinstance(document, Mapping):
        document = document.get("singer_state", document)  # as Meltano keeps it
    if isinstance(document, Mapping) and document.get("type") == "STATE" and "value" in document:
        document = document["value"]
    if document is None or document == {} or document == []:
        return SavedState({})
    if isinstance(document, Mapping) and "bookmarks" in document:
        return _from_singer(document, cursors)
    messages = document if isinstance(document, list) else [document]
    return SavedState(dict(_from_airbyte(message) for message in messages))


def singer_state(state: SavedState, cursors: Mapping[str, str]) -> dict[str, Any]:
    """The Singer state of a state.

    Args:
        cursors: by stream, the cursor's name in its state.
    """
    result: dict[str, Any] = {
        "bookmarks": {name: bookmark(of_stream, cursors.get(name)) for name, of_stream in state.streams.items()}
    }
    if state.currently_syncing is not None:
        result["currently_syncing"] = state.currently_syncing
    return result


def bookmark(state: Mapping[str, Any], cursor: str | None) -> dict[str, Any]:
    """A stream's Singer bookmark."""
    if state.keys() & {KEY, VALUE, WHOLE, *SDK_NOTES}:
        return {WHOLE: dict(state)}
    if cursor is None or state.get(cursor) is None:
        return dict(state)
    rest = {key: value for key, value in state.items() if key != cursor}
    return {KEY: cursor, VALUE: state[cursor], **rest}


def _from_singer(document: Mapping[str, Any], cursors: Mapping[str, str]) -> SavedState:
    bookmarks = document["bookmarks"]
    if not isinstance(bookmarks, Mapping):
        raise StateFormatError("state: bookmarks is not an object. Start without the state, or with an older one")
    syncing = document.get("currently_syncing")
    return SavedState(
        {name: _unbookmarked(name, value, cursors.get(name)) for name, value in bookmarks.items()},
        syncing if isinstance(syncing, str) else None,
    )


def _unbookmarked(stream: str, value: Any, cursor: str | None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise StateFormatError(
            f"state: the bookmark of the stream {stream!r} is not an object. Take it out of the state to read the "
            "stream from the start"
        )
    if WHOLE in value:
        whole = value[WHOLE]
        if not isinstance(whole, Mapping):
            raise StateFormatError(
                f"state: {WHOLE} of the stream {stream!r} is not an object. Take it out of the state"
            )
        return whole
    rest = {key: item for key, item in value.items() if key not in {KEY, VALUE, *SDK_NOTES}}
    if value.get(VALUE) is None:
        if VALUE in value and not rest:
            logger.warning("state: the bookmark of %r has no value, the stream is read from the start", stream)
        return rest
    key = value.get(KEY) or cursor
    if not isinstance(key, str):
        raise StateFormatError(
            f"state: the bookmark of the stream {stream!r} has a {VALUE}, but the stream has no replication key. Take "
            "it out of the state"
        )
    return {key: value[VALUE], **rest}


def _from_airbyte(message: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(message, Mapping) and isinstance(message.get("state"), Mapping):
        message = message["state"]
    if not isinstance(message, Mapping) or message.get("type") not in ("STREAM", None) or "stream" not in message:
        raise StateFormatError(
            'state: it is neither a Singer state ({"bookmarks": ...}) nor a list of Airbyte state messages of the type '
            "STREAM. Start without the state, or with an older one"
        )
    stream = message["stream"]
    descriptor = stream.get("stream_descriptor") if isinstance(stream, Mapping) else None
    name = descriptor.get("name") if isinstance(descriptor, Mapping) else None
    if not isinstance(name, str):
        raise StateFormatError("state: a message has no stream_descriptor.name. Start without the state")
    of_stream = stream.get("stream_state")
    if of_stream is not None and not isinstance(of_stream, Mapping):
        raise StateFormatError(
            f"state: the state of the stream {name!r} is not an object. Take it out of the state to read the stream "
            "from the start"
        )
    return name, of_stream or {}
