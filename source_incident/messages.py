"""Converts what a sync emits to messages."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from airbyte_protocol_dataclasses.models import (
    AirbyteErrorTraceMessage,
    AirbyteEstimateTraceMessage,
    AirbyteStreamStatus,
    AirbyteStreamStatusTraceMessage,
    AirbyteTraceMessage,
    ConfiguredAirbyteCatalog,
    EstimateType,
    FailureType,
    StreamDescriptor,
    TraceType,
)

from source_incident import clock
from source_incident.api import (
    ApiError,
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    RedirectError,
    TransientError,
    UnreachableError,
)
from source_incident.batches import CompleteVersion, Message, RecordBatch, StateUpdate
from source_incident.sync import Checkpoint, Event, Expected, Failed, Finished, LeftOut, Records, Started
from source_incident.sync.stats import StreamStats

# The failure type of a run whose streams failed for several reasons: the first of these that occurred.
FAILURE_TYPES = (FailureType.system_error, FailureType.config_error, FailureType.transient_error)


class ReadFailed(Exception):
    """A read failed. Everything that it yielded is valid.

    Args:
        message: the reason, in one line.
        failure_type: what the Airbyte platform does about it.
    """

    def __init__(self, message: str, failure_type: FailureType) -> None:
        super().__init__(message)
        self.message = message
        self.failure_type = failure_type


class MessageConverter:
    """Converts the events of one sync.

    Args:
        catalog: the configured catalog.
        logger: takes a line for each stream that ends.
    """

    def __init__(self, catalog: ConfiguredAirbyteCatalog, logger: logging.Logger) -> None:
        self._streams = {configured.stream.name: configured.stream for configured in catalog.streams}
        self._logger = logger
        self._states: dict[str, Mapping[str, Any]] = {}
        # Records since the last state, by stream.
        self._counts: Counter[str] = Counter()
        self._failures: dict[str, FailureType] = {}
        self._left_out: dict[str, str] = {}
        self._common_error: ApiError | None = None

    def to_messages(self, event: Event, stats: StreamStats) -> Iterator[Message]:
        """Convert one event.

        Args:
            event: the event.
            stats: the counters of its stream, the event included.
        """
        name = event.stream
        match event:
            case Started():
                yield _status(name, AirbyteStreamStatus.STARTED)
            case Records():
                if stats.records == len(event.records):
                    yield _status(name, AirbyteStreamStatus.RUNNING)
                self._counts[name] += len(event.records)
                yield RecordBatch(name, event.records, _milliseconds(clock.now()), event.version)
            case Checkpoint():
                self._states[name] = event.state
                yield self._state(name)
            case Expected():
                yield _estimate(name, stats.total)
            case Finished():
                # Before the last state: a run that is killed in between sends it again.
                if event.version is not None:
                    yield CompleteVersion(name, event.version)
                if event.state is not None:
                    self._states[name] = event.state
                # Records of children of open incidents come after the last checkpoint.
                if event.state is not None or self._counts[name]:
                    yield self._state(name)
                self._logger.info("%s: %d records", name, stats.records)
                yield _status(name, AirbyteStreamStatus.COMPLETE)
            case LeftOut():
                self._left_out[name] = event.reason
                self._logger.warning("%s is left out: %s", name, event.reason)
            case Failed():
                yield from self._failed(name, event.error)

    def raise_for_failures(self) -> None:
        """Raise if the sync as a whole failed.

        Raises:
            ReadFailed: a stream failed, or none could be read.
        """
        if self._common_error:
            raise ReadFailed(self._common_error.message, failure_type(self._common_error))
        if self._left_out and len(self._left_out) == len(self._streams):
            message = (
                "no stream could be read. Check the setting endpoint and the scopes of the key. The first reason: "
                f"{next(iter(self._left_out.values()))}"
            )
            raise ReadFailed(message, FailureType.config_error)
        if self._failures:
            raise ReadFailed(
                f"These streams failed: {', '.join(self._failures)}. The reason of each is in the log above",
                next(kind for kind in FAILURE_TYPES if kind in self._failures.values()),
            )

    def _failed(self, name: str, error: Exception) -> Iterator[AirbyteTraceMessage]:
        self._failures[name] = failure_type(error)
        self._logger.debug("%s failed", name, exc_info=error)
        yield _status(name, AirbyteStreamStatus.INCOMPLETE)
        if isinstance(error, AuthenticationError | UnreachableError):
            # The same for every stream, so it is reported once, at the end.
            self._common_error = error
        else:
            yield _error(name, error)

    def _state(self, name: str) -> StateUpdate:
        return StateUpdate(name, dict(self._states.get(name, {})), self._counts.pop(name, 0))


def failure_type(error: Exception) -> FailureType:
    """What the Airbyte platform does about an error: ask the user, or retry."""
    if isinstance(error, AuthenticationError | ForbiddenError | NotFoundError | RedirectError):
        return FailureType.config_error
    return FailureType.transient_error if isinstance(error, TransientError) else FailureType.system_error


def error_trace(
    message: str, failure_type: FailureType, stream: str | None = None, cause: str = ""
) -> AirbyteTraceMessage:
    """A trace that reports an error.

    Args:
        message: the error, for people.
        failure_type: the kind of failure.
        stream: the stream that failed; None: the run.
        cause: the error, for developers; empty: the message says it.
    """
    descriptor = StreamDescriptor(name=stream) if stream else None
    error = AirbyteErrorTraceMessage(message, cause or message, None, failure_type, descriptor)
    return AirbyteTraceMessage(TraceType.ERROR, _now(), error=error)


def _now() -> float:
    return float(_milliseconds(clock.now()))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _status(stream: str, status: AirbyteStreamStatus) -> AirbyteTraceMessage:
    message = AirbyteStreamStatusTraceMessage(StreamDescriptor(name=stream), status)
    return AirbyteTraceMessage(TraceType.STREAM_STATUS, _now(), stream_status=message)


def _estimate(stream: str, records: int | None) -> AirbyteTraceMessage:
    message = AirbyteEstimateTraceMessage(name=stream, type=EstimateType.STREAM, row_estimate=records)
    return AirbyteTraceMessage(TraceType.ESTIMATE, _now(), estimate=message)


def _error(stream: str, error: Exception) -> AirbyteTraceMessage:
    advice = ". The account may lack this feature: deselect the stream" if isinstance(error, NotFoundError) else ""
    message = (
        f"{stream}: {error}{advice}"
        if isinstance(error, ApiError)
        else f"{stream}: the connector failed, please report it ({error!r})"
    )
    return error_trace(message, failure_type(error), stream, f"{type(error).__name__}: {error}")
