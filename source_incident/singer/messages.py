"""Messages: a run's Airbyte messages to Singer's SCHEMA, RECORD and STATE lines."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import orjson
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    TraceType,
    Type,
)

from source_incident.batches import RECORD, RecordBatch, json_lines
from source_incident.singer.state import SavedState, singer_state

logger = logging.getLogger("airbyte.incident.singer")
# Apart from the rest: only programs read metrics.
metrics = logging.getLogger("airbyte.incident.metrics")

# The Airbyte state of a stream that was read in full: Singer has no bookmark for it.
NO_BOOKMARK = frozenset({"__ab_no_cursor_state_message", "__ab_full_refresh_sync_complete"})


class Projection:
    """Keeps of records what a schema has, at any depth. Records that have nothing else are not copied.

    Args:
        schema: the columns that are wanted.
        whole: the same schema with the columns that are known but not wanted.
        unknown: is told the path of each field that `whole` does not have.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        whole: Mapping[str, Any],
        unknown: Callable[[str], None],
        path: str = "",
    ) -> None:
        self._columns = frozenset(schema["properties"])
        self._known = frozenset(_properties(whole) or ()) | self._columns
        self._unknown = unknown
        self._path = path
        self._nested: list[tuple[str, Projection]] = []
        for column, of_column in schema["properties"].items():
            whole_column = (_properties(whole) or {}).get(column, of_column)
            below, whole_below = _object_schema(of_column), _object_schema(whole_column)
            if below is None and whole_below is not None and _innermost(of_column).get("properties") == {}:
                below = _innermost(of_column)  # no column of the object is selected
            if below is not None:
                inner = Projection(below, whole_below or below, unknown, f"{path}{column}.")
                self._nested.append((column, inner))

    def rows(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records, each with nothing but its columns."""
        return records if self._has_all(records) else [self._kept(record) for record in records]

    def _has_all(self, records: list[dict[str, Any]]) -> bool:
        """Whether the schema has all that the records have: as a rule, so it is seen for whole columns at once."""
        if not self._columns.issuperset(chain.from_iterable(records)):
            return False
        for column, inner in self._nested:
            values = [value for record in records if (value := record.get(column))]
            while list in (types := set(map(type, values))):
                values = list(chain.from_iterable(value if type(value) is list else (value,) for value in values))
            objects = values if types <= {dict} else [value for value in values if type(value) is dict]
            if objects and not inner._has_all(objects):
                return False
        return True

    def _kept(self, record: dict[str, Any]) -> dict[str, Any]:
        kept = {column: value for column, value in record.items() if column in self._columns}
        for column in record.keys() - self._known:
            self._unknown(self._path + column)
        for column, inner in self._nested:
            if value := kept.get(column):
                kept[column] = inner._kept_below(value)
        return kept

    def _kept_below(self, value: Any) -> Any:
        if type(value) is list:
            return [self._kept_below(row) for row in value]
        return self._kept(value) if type(value) is dict else value


class SingerMessages:
    """Turns the messages of one run into Singer's lines.

    Args:
        catalog: the selected streams, with the schemas of their selected columns.
        schemas: by stream, the whole schema: a field that is in neither is dropped, and named once in the log.
        state: the state that the run started from: the bookmarks of streams that are not read now stay in it.
        cursors: by stream, the cursor's name in its state.
    """

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog,
        schemas: Mapping[str, Mapping[str, Any]],
        state: SavedState,
        cursors: Mapping[str, str],
    ) -> None:
        self._streams = {item.stream.name: item for item in catalog.streams}
        self._cursors = cursors
        self._bookmarks = dict(state.streams)
        self._unknown: set[str] = set()
        self._open: dict[str, float] = {}
        self._told: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._projections = {
            name: Projection(
                item.stream.json_schema,
                schemas.get(name, item.stream.json_schema),
                self._note_unknown(name),
            )
            for name, item in self._streams.items()
        }

    def lines(self, messages: Iterable[AirbyteMessage | RecordBatch]) -> Iterator[bytes]:
        """The lines, each with its line break; whole STATE lines follow the records that they are true of.

        Args:
            messages: of the Airbyte protocol; records also in batches.
        """
        for message in messages:
            if isinstance(message, RecordBatch):
                yield from self._records(message)
            elif message.type == Type.RECORD and (record := message.record):
                yield from self._records(RecordBatch(record.stream, [record.data], record.emitted_at))
            elif message.type == Type.STATE and message.state and (stream := message.state.stream):
                blob = vars(stream.stream_state) if stream.stream_state else {}
                name = stream.stream_descriptor.name
                if NO_BOOKMARK & blob.keys():
                    self._bookmarks.pop(name, None)
                else:
                    self._bookmarks[name] = dict(blob)
                    yield self._state()
            elif message.type == Type.TRACE and message.trace and message.trace.type == TraceType.STREAM_STATUS:
                status = message.trace.stream_status
                if status:
                    yield from self._status(status.stream_descriptor.name, status.status)

    def _records(self, batch: RecordBatch) -> Iterator[bytes]:
        name = batch.stream
        if name not in self._told:
            yield self._schema(name)
        self._counts[name] += len(batch.records)
        extracted = _rfc3339(batch.emitted_at)
        yield json_lines(
            {"type": "RECORD", "stream": name, "record": RECORD, "time_extracted": extracted},
            self._projections[name].rows(batch.records),
        )

    def _status(self, name: str, status: AirbyteStreamStatus) -> Iterator[bytes]:
        if status == AirbyteStreamStatus.STARTED:
            self._open[name] = time.monotonic()
            if name not in self._told:
                yield self._schema(name)
        elif status in (AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE):
            started = self._open.pop(name, time.monotonic())
            complete = status == AirbyteStreamStatus.COMPLETE
            _metric("counter", "record_count", self._counts[name], {"endpoint": name})
            _metric(
                "timer",
                "job_duration",
                round(time.monotonic() - started, 3),
                {"job_type": name, "status": "succeeded" if complete else "failed"},
            )
            if complete:
                yield self._state()

    def _schema(self, name: str) -> bytes:
        self._told.add(name)
        item = self._streams[name]
        message = {
            "type": "SCHEMA",
            "stream": name,
            "schema": item.stream.json_schema,
            "key_properties": _keys(item),
        }
        if item.stream.default_cursor_field and item.stream.default_cursor_field[0] in _columns(item):
            message["bookmark_properties"] = list(item.stream.default_cursor_field)
        return _line(message)

    def _state(self) -> bytes:
        syncing = next(iter(self._open), None)
        return _line(
            {
                "type": "STATE",
                "value": singer_state(SavedState(self._bookmarks, syncing), self._cursors),
            }
        )

    def _note_unknown(self, stream: str) -> Callable[[str], None]:
        def note(path: str) -> None:
            field = f"{stream}.{path}"
            if field not in self._unknown:
                self._unknown.add(field)
                logger.warning(
                    "%s is not in the catalog's schema, it is dropped. Run --discover to get it",
                    field,
                )

        return note


def _keys(item: ConfiguredAirbyteStream) -> list[str]:
    return [path[0] for path in item.stream.source_defined_primary_key or item.primary_key or []]


def _columns(item: ConfiguredAirbyteStream) -> Mapping[str, Any]:
    columns: Mapping[str, Any] = item.stream.json_schema.get("properties", {})
    return columns


def _properties(schema: Any) -> Mapping[str, Any] | None:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) and properties else None


def _object_schema(schema: Any) -> Mapping[str, Any] | None:
    """The object schema with properties that a column holds, itself or in its lists; None: it holds none."""
    innermost = _innermost(schema)
    return innermost if _properties(innermost) else None


def _innermost(schema: Any) -> Mapping[str, Any]:
    while isinstance(schema, Mapping) and isinstance(schema.get("items"), Mapping):
        schema = schema["items"]
    return schema if isinstance(schema, Mapping) else {}


def _line(message: Mapping[str, Any]) -> bytes:
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _metric(kind: str, metric: str, value: float, tags: Mapping[str, str]) -> None:
    """A metric as the Singer specification's best practices write it to the log."""
    metrics.info("METRIC: %s", json.dumps({"type": kind, "metric": metric, "value": value, "tags": tags}))
