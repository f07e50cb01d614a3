"""Converts states between the Airbyte protocol and Singer.

A Singer bookmark is the stream's Airbyte state, with the cursor under the names that Singer's tools expect:
`replication_key` and `replication_key_value`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from source_incident.errors import InputError

logger = logging.getLogger("airbyte.incident.singer")

REPLICATION_KEY, REPLICATION_KEY_VALUE = "replication_key", "replication_key_value"
# Holds a state that uses one of the reserved names itself.
AIRBYTE_STATE = "airbyte_state"
# What taps made with the Singer SDK store beside a bookmark. It means nothing to another tap.
SDK_KEYS = frozenset({"starting_replication_value", "replication_key_signpost", "progress_markers"})
RESERVED = SDK_KEYS | {REPLICATION_KEY, REPLICATION_KEY_VALUE, AIRBYTE_STATE}

START_OVER = "Start without the state, or with an older one"
REMOVE_STREAM = "Remove it from the state to read the stream from the start"


@dataclass(frozen=True)
class SavedState:
    """A state that the user gave, in terms of the Airbyte protocol.

    Attributes:
        streams: the state of each stream, by name.
        currently_syncing: the stream that the earlier run was reading when it wrote the state, if the state has it.
    """

    streams: Mapping[str, Mapping[str, Any]]
    currently_syncing: str | None = None


def read_state(document: Any, replication_keys: Mapping[str, str]) -> SavedState:
    """Read a state of either format. The format is recognized by its structure.

    Args:
        document: a Singer state, with or without the STATE message around it; or one Airbyte state message, or a list
            of them.
        replication_keys: by stream, the name of the cursor in its state. A bookmark can lack it.

    Raises:
        InputError: the document is none of these.
    """
    if isinstance(document, Mapping):
        document = document.get("singer_state", document)  # Meltano's format
    if isinstance(document, Mapping) and document.get("type") == "STATE" and "value" in document:
        document = document["value"]
    if document is None or document == {} or document == []:
        return SavedState({})
    if isinstance(document, Mapping) and "bookmarks" in document:
        return _from_singer(document, replication_keys)
    messages = document if isinstance(document, list) else [document]
    return SavedState(dict(_from_airbyte(message) for message in messages))


def singer_state(state: SavedState, replication_keys: Mapping[str, str]) -> dict[str, Any]:
    """Convert a state to the value of a Singer STATE message.

    Args:
        replication_keys: by stream, the name of the cursor in its state.
    """
    bookmarks = {name: _bookmark(stream, replication_keys.get(name)) for name, stream in state.streams.items()}
    value: dict[str, Any] = {"bookmarks": bookmarks}
    if state.currently_syncing is not None:
        value["currently_syncing"] = state.currently_syncing
    return value


def _bookmark(state: Mapping[str, Any], replication_key: str | None) -> dict[str, Any]:
    if state.keys() & RESERVED:
        return {AIRBYTE_STATE: dict(state)}
    if replication_key is None or state.get(replication_key) is None:
        return dict(state)
    rest = {key: value for key, value in state.items() if key != replication_key}
    return {REPLICATION_KEY: replication_key, REPLICATION_KEY_VALUE: state[replication_key], **rest}


def _from_singer(document: Mapping[str, Any], replication_keys: Mapping[str, str]) -> SavedState:
    bookmarks = document["bookmarks"]
    if not isinstance(bookmarks, Mapping):
        raise InputError("state", "bookmarks is not an object", START_OVER)
    currently_syncing = document.get("currently_syncing")
    return SavedState(
        {name: _from_bookmark(name, bookmark, replication_keys.get(name)) for name, bookmark in bookmarks.items()},
        currently_syncing if isinstance(currently_syncing, str) else None,
    )


def _from_bookmark(stream: str, bookmark: Any, replication_key: str | None) -> Mapping[str, Any]:
    if not isinstance(bookmark, Mapping):
        raise InputError("state", f"the bookmark of the stream {stream!r} is not an object", REMOVE_STREAM)
    if AIRBYTE_STATE in bookmark:
        airbyte_state = bookmark[AIRBYTE_STATE]
        if not isinstance(airbyte_state, Mapping):
            raise InputError("state", f"{AIRBYTE_STATE} of the stream {stream!r} is not an object", REMOVE_STREAM)
        return airbyte_state
    rest = {key: value for key, value in bookmark.items() if key not in RESERVED}
    if bookmark.get(REPLICATION_KEY_VALUE) is None:
        if REPLICATION_KEY_VALUE in bookmark and not rest:
            logger.warning(
                "state: the bookmark of the stream %r has no value. The stream is read from the start", stream
            )
        return rest
    key = bookmark.get(REPLICATION_KEY) or replication_key
    if not isinstance(key, str):
        problem = f"the bookmark of the stream {stream!r} has a {REPLICATION_KEY_VALUE} but no valid {REPLICATION_KEY}"
        raise InputError("state", problem, REMOVE_STREAM)
    return {key: bookmark[REPLICATION_KEY_VALUE], **rest}


def _from_airbyte(message: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(message, Mapping) and isinstance(message.get("state"), Mapping):
        message = message["state"]
    if not isinstance(message, Mapping) or message.get("type") not in ("STREAM", None) or "stream" not in message:
        problem = (
            'it is neither a Singer state ({"bookmarks": ...}) nor a list of Airbyte state messages of the type STREAM'
        )
        raise InputError("state", problem, START_OVER)
    stream = message["stream"]
    descriptor = stream.get("stream_descriptor") if isinstance(stream, Mapping) else None
    name = descriptor.get("name") if isinstance(descriptor, Mapping) else None
    if not isinstance(name, str):
        raise InputError("state", "a message has no stream_descriptor.name", START_OVER)
    stream_state = stream.get("stream_state")
    if stream_state is not None and not isinstance(stream_state, Mapping):
        raise InputError("state", f"the state of the stream {name!r} is not an object", REMOVE_STREAM)
    return name, stream_state or {}
