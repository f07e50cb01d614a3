"""Converts the messages of a run to Singer's SCHEMA, RECORD and STATE lines."""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from airbyte_protocol_dataclasses.models import (
    AirbyteStreamStatus,
    AirbyteStreamStatusTraceMessage,
    ConfiguredAirbyteCatalog,
)

from source_incident.batches import RECORD_PLACEHOLDER, CompleteVersion, Message, RecordBatch, StateUpdate, json_lines
from source_incident.protocol import FULL_REFRESH_MARKERS
from source_incident.singer.state import SavedState, singer_state
from source_incident.timestamps import format_timestamp

# A logger of its own: only programs read metrics.
metrics = logging.getLogger("airbyte.incident.metrics")


class SingerMessages:
    """Converts the messages of one run to Singer's lines.

    Args:
        catalog: the selected streams, with the schemas of their selected columns.
        state: the state that the run started from. Bookmarks of streams that this run does not read stay in it.
        replication_keys: by stream, the name of the cursor in its state.
        activate_versions: send the version with each record, and ACTIVATE_VERSION after a full read without a gap.
            Streams with a column of that name never get them: target-postgres fails on ACTIVATE_VERSION for them.
    """

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog,
        state: SavedState,
        replication_keys: Mapping[str, str],
        activate_versions: bool = True,
    ) -> None:
        self._streams = {configured.stream.name: configured for configured in catalog.streams}
        self._replication_keys = replication_keys
        self._versioned = {
            name
            for name, configured in self._streams.items()
            if activate_versions and "version" not in configured.stream.json_schema.get("properties", {})
        }
        self._stream_states = dict(state.streams)
        self._started_at: dict[str, float] = {}  # of the streams that are being read
        self._with_schema: set[str] = set()
        self._record_counts: Counter[str] = Counter()

    def lines(self, messages: Iterable[Message]) -> Iterator[bytes]:
        """Yield the lines, each with its line break. A STATE line follows the records that it covers.

        Args:
            messages: what a read yields.
        """
        for message in messages:
            if isinstance(message, RecordBatch):
                yield from self._records(message)
            elif isinstance(message, StateUpdate):
                yield from self._stream_state(message)
            elif isinstance(message, CompleteVersion):
                if message.stream in self._versioned:
                    yield from self._schema(message.stream)
                    yield _line({"type": "ACTIVATE_VERSION", "stream": message.stream, "version": message.version})
            elif message.stream_status:
                yield from self._status(message.stream_status)

    def _records(self, batch: RecordBatch) -> Iterator[bytes]:
        name = batch.stream
        yield from self._schema(name)
        self._record_counts[name] += len(batch.records)
        emitted_at = datetime.fromtimestamp(batch.emitted_at / 1000, UTC)
        envelope = {
            "type": "RECORD",
            "stream": name,
            "record": RECORD_PLACEHOLDER,
            "time_extracted": format_timestamp(emitted_at),
            **({"version": batch.version} if name in self._versioned and batch.version is not None else {}),
        }
        yield json_lines(envelope, batch.records)

    def _stream_state(self, update: StateUpdate) -> Iterator[bytes]:
        kept = {key: value for key, value in update.state.items() if key not in FULL_REFRESH_MARKERS}
        if kept:
            self._stream_states[update.stream] = kept
            yield self._state()
        else:
            self._stream_states.pop(update.stream, None)

    def _status(self, message: AirbyteStreamStatusTraceMessage) -> Iterator[bytes]:
        name, status = message.stream_descriptor.name, message.status
        if status == AirbyteStreamStatus.STARTED:
            self._started_at[name] = time.monotonic()
            yield from self._schema(name)
        elif status in (AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE):
            is_complete = status == AirbyteStreamStatus.COMPLETE
            started_at = self._started_at.pop(name, time.monotonic())
            _log_metric("counter", "record_count", self._record_counts[name], {"endpoint": name})
            _log_metric(
                "timer",
                "job_duration",
                round(time.monotonic() - started_at, 3),
                {"job_type": name, "status": "succeeded" if is_complete else "failed"},
            )
            if is_complete:
                yield self._state()

    def _schema(self, name: str) -> Iterator[bytes]:
        """Yield the stream's SCHEMA line, the first time that it is called for the stream."""
        if name in self._with_schema:
            return
        self._with_schema.add(name)
        configured = self._streams[name]
        stream = configured.stream
        primary_key = stream.source_defined_primary_key or configured.primary_key or []
        message = {
            "type": "SCHEMA",
            "stream": name,
            "schema": stream.json_schema,
            "key_properties": [path[0] for path in primary_key],
        }
        if stream.default_cursor_field and stream.default_cursor_field[0] in stream.json_schema.get("properties", {}):
            message["bookmark_properties"] = list(stream.default_cursor_field)
        yield _line(message)

    def _state(self) -> bytes:
        currently_syncing = next(iter(self._started_at), None)
        state = SavedState(self._stream_states, currently_syncing)
        return _line({"type": "STATE", "value": singer_state(state, self._replication_keys)})


def _line(message: Mapping[str, Any]) -> bytes:
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def _log_metric(kind: str, metric: str, value: float, tags: Mapping[str, str]) -> None:
    """Log a metric in the format of the Singer specification's best practices."""
    metrics.info("METRIC: %s", json.dumps({"type": kind, "metric": metric, "value": value, "tags": tags}))
