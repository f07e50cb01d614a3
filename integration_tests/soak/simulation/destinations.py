"""What a destination makes of the connector's output, in both protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]


class ProtocolError(Exception):
    """The output breaks its protocol."""


class SingerTarget:
    """A Singer target: rows by key, with their versions.

    Args:
        removed: called with the stream and the keys that ACTIVATE_VERSION removes.

    Attributes:
        state: the value of the last STATE.
    """

    def __init__(self, removed: Callable[[str, list[Key]], None]) -> None:
        self._removed = removed
        self._keys: dict[str, list[str]] = {}
        self._tables: dict[str, dict[Key, tuple[dict[str, Any], int | None]]] = {}
        self.state: Any = None

    def begin(self) -> None:
        """Start a run: each has its own SCHEMA messages."""
        self._keys.clear()

    def kept_state(self) -> Any:
        return self.state

    def restore_state(self, state: Any) -> None:
        """Go back to a state that was kept before."""
        self.state = state

    def rows(self, stream: str) -> Rows:
        return {key: row for key, (row, _) in self._tables.get(stream, {}).items()}

    def take(self, line: bytes) -> bool:
        """Apply a line. Returns whether it is a state."""
        message = orjson.loads(line)
        match message["type"]:
            case "SCHEMA":
                self._keys[message["stream"]] = message["key_properties"]
            case "RECORD":
                name = message["stream"]
                if name not in self._keys:
                    raise ProtocolError(f"a RECORD of {name} before its SCHEMA")
                record = message["record"]
                table = self._tables.setdefault(name, {})
                table[tuple(record[key] for key in self._keys[name])] = (record, message.get("version"))
            case "ACTIVATE_VERSION":
                name, version = message["stream"], message["version"]
                if name not in self._keys:
                    raise ProtocolError(f"ACTIVATE_VERSION of {name} before its SCHEMA")
                table = self._tables.setdefault(name, {})
                old = [key for key, (_, row_version) in table.items() if row_version != version]
                self._removed(name, old)
                for key in old:
                    del table[key]
            case "STATE":
                self.state = message["value"]
                return True
            case kind:
                raise ProtocolError(f"an unknown message {kind}")
        return False


class AirbyteDestination:
    """An Airbyte destination: overwrite with deduplication for a full refresh, deduplication otherwise.

    Args:
        keys: the key of each stream.
        full_refresh: the streams that are read in full and overwritten.

    Attributes:
        states: the last state of each stream, as a message.
    """

    def __init__(self, keys: Mapping[str, list[str]], full_refresh: frozenset[str]) -> None:
        self._keys = keys
        self._full_refresh = full_refresh
        self._tables: dict[str, Rows] = {}
        # The tables of full refreshes that are not complete.
        self._next_tables: dict[str, Rows] = {}
        self.states: dict[str, Any] = {}

    def begin(self) -> None:
        pass

    def kept_state(self) -> Any:
        return dict(self.states)

    def restore_state(self, state: Any) -> None:
        """Go back to a state that was kept before. The state of a full refresh belongs to its table."""
        for name in self.states.keys() - self._full_refresh:
            self.states.pop(name)
        self.states.update({name: message for name, message in state.items() if name not in self._full_refresh})

    @property
    def state(self) -> list[Any]:
        return list(self.states.values())

    def rows(self, stream: str) -> Rows:
        return dict(self._tables.get(stream, {}))

    def take(self, line: bytes) -> bool:
        """Apply a line. Returns whether it is a state."""
        message = orjson.loads(line)
        match message["type"]:
            case "RECORD":
                record = message["record"]
                name, data = record["stream"], record["data"]
                tables = self._next_tables if name in self._full_refresh else self._tables
                tables.setdefault(name, {})[tuple(data[key] for key in self._keys[name])] = data
            case "STATE":
                name = message["state"]["stream"]["stream_descriptor"]["name"]
                self.states[name] = message
                return True
            case "TRACE":
                status = message["trace"].get("stream_status") or {}
                name = (status.get("stream_descriptor") or {}).get("name")
                if status.get("status") == "COMPLETE" and name in self._full_refresh:
                    self._tables[name] = self._next_tables.pop(name, {})
            case kind:
                raise ProtocolError(f"an unknown message {kind}")
        return False
