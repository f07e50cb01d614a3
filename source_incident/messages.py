"""Converts what a sync emits to messages of the Airbyte protocol."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateStats,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteStreamStatus,
    AirbyteTraceMessage,
    ConfiguredAirbyteCatalog,
    EstimateType,
    FailureType,
    StreamDescriptor,
    TraceType,
    Type,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message as status_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

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
from source_incident.batches import CompleteVersion, Message, RecordBatch
from source_incident.sync import Checkpoint, Event, Expected, Failed, Finished, LeftOut, Records, Started
from source_incident.sync.stats import StreamStats

# The failure type of a run whose streams failed for several reasons: the first of these that occurred.
FAILURE_TYPES = (FailureType.system_error, FailureType.config_error, FailureType.transient_error)


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
                yield self._status(name, AirbyteStreamStatus.STARTED)
            case Records():
                if stats.records == len(event.records):
                    yield self._status(name, AirbyteStreamStatus.RUNNING)
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
                yield self._status(name, AirbyteStreamStatus.COMPLETE)
            case LeftOut():
                self._left_out[name] = event.reason
                self._logger.warning("%s is left out: %s", name, event.reason)
            case Failed():
                yield from self._failed(name, event.error)

    def raise_for_failures(self) -> None:
        """Raise if the sync as a whole failed.

        Raises:
            AirbyteTracedException: a stream failed, or none could be read.
        """
        if self._common_error:
            raise AirbyteTracedException(
                message=self._common_error.message,
                internal_message=self._common_error.message,
                failure_type=failure_type(self._common_error),
            )
        if self._left_out and len(self._left_out) == len(self._streams):
            message = (
                "no stream could be read. Check the setting endpoint and the scopes of the key. The first reason: "
                f"{next(iter(self._left_out.values()))}"
            )
            raise AirbyteTracedException(
                message=message, internal_message=message, failure_type=FailureType.config_error
            )
        if self._failures:
            raise AirbyteTracedException(
                message=f"These streams failed: {', '.join(self._failures)}. The reason of each is in the log above",
                failure_type=next(kind for kind in FAILURE_TYPES if kind in self._failures.values()),
            )

    def _failed(self, name: str, error: Exception) -> Iterator[AirbyteMessage]:
        self._failures[name] = failure_type(error)
        self._logger.debug("%s failed", name, exc_info=error)
        yield self._status(name, AirbyteStreamStatus.INCOMPLETE)
        if isinstance(error, AuthenticationError | UnreachableError):
            # The same for every stream, so it is reported once, at the end.
            self._common_error = error
        else:
            yield _trace(name, error).as_airbyte_message()

    def _status(self, name: str, status: AirbyteStreamStatus) -> AirbyteMessage:
        return status_message(self._streams[name], status)

    def _state(self, name: str) -> AirbyteMessage:
        return AirbyteMessage(
            type=Type.STATE,
            state=AirbyteStateMessage(
                type=AirbyteStateType.STREAM,
                stream=AirbyteStreamState(
                    stream_descriptor=StreamDescriptor(name=name),
                    stream_state=AirbyteStateBlob(dict(self._states.get(name, {}))),
                ),
                sourceStats=AirbyteStateStats(recordCount=float(self._counts.pop(name, 0))),
            ),
        )


def failure_type(error: Exception) -> FailureType:
    """What the Airbyte platform does about an error: ask the user, or retry."""
    if isinstance(error, AuthenticationError | ForbiddenError | NotFoundError | RedirectError):
        return FailureType.config_error
    return FailureType.transient_error if isinstance(error, TransientError) else FailureType.system_error


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _estimate(stream: str, records: int | None) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.TRACE,
        trace=AirbyteTraceMessage(
            type=TraceType.ESTIMATE,
            emitted_at=float(_milliseconds(clock.now())),
            estimate=AirbyteEstimateTraceMessage(name=stream, type=EstimateType.STREAM, row_estimate=records),
        ),
    )


def _trace(stream: str, error: Exception) -> AirbyteTracedException:
    advice = ". The account may lack this feature: deselect the stream" if isinstance(error, NotFoundError) else ""
    return AirbyteTracedException(
        message=f"{stream}: {error}{advice}"
        if isinstance(error, ApiError)
        else f"{stream}: the connector failed, please report it ({error!r})",
        internal_message=f"{type(error).__name__}: {error}",
        failure_type=failure_type(error),
        stream_descriptor=StreamDescriptor(name=stream),
    )
