"""Counts what a sync did: records and outcomes by stream, and requests."""

import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from source_incident.api import Client
from source_incident.sync.events import Event, Expected, Failed, Finished, LeftOut, Records


class Outcome(StrEnum):
    """How the sync of a stream ended."""

    FINISHED = "finished"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass
class StreamStats:
    """Counts of one stream.

    Attributes:
        started_at: when its first event came, in seconds of the monotonic clock.
        records: number of records emitted.
        total: number of records to read according to the API; None: unknown.
        outcome: how it ended; None: it is being read.
    """

    started_at: float
    records: int = 0
    total: int | None = None
    outcome: Outcome | None = None

    @property
    def progress(self) -> str:
        """The number of records, and the total if it is known, such as `1,250 of 5,000`."""
        return f"{self.records:,}" if self.total is None else f"{self.records:,} of {self.total:,}"

    @property
    def records_per_second(self) -> float:
        return self.records / max(time.monotonic() - self.started_at, 0.1)


class SyncStats:
    """Counts of a sync. One thread adds events, any thread reads the counts.

    Args:
        client: the client of the sync; it counts the requests.
        selected: number of selected streams.
    """

    def __init__(self, client: Client, selected: int) -> None:
        self._streams: dict[str, StreamStats] = {}
        self._client = client
        self._selected = selected
        self._started_at = time.monotonic()

    def add(self, event: Event) -> StreamStats:
        """Count an event. A page of records is counted in one step.

        Returns:
            The counts of the event's stream, including the event.
        """
        stream = self._streams.get(event.stream)
        if stream is None:
            stream = self._streams[event.stream] = StreamStats(time.monotonic())
        match event:
            case Records():
                stream.records += len(event.records)
            case Expected():
                stream.total = (stream.total or 0) + event.records
            case Finished():
                stream.outcome = Outcome.FINISHED
            case Failed():
                stream.outcome = Outcome.FAILED
            case LeftOut():
                stream.outcome = Outcome.LEFT_OUT
        return stream

    def active_streams(self) -> list[tuple[str, StreamStats]]:
        """Return the names and counts of the streams that are being read."""
        return [(name, stream) for name, stream in list(self._streams.items()) if stream.outcome is None]

    def records_summary(self) -> str:
        """Return a text such as `40 of 48 streams finished, 2 left out; 12,345 records`."""
        streams = list(self._streams.values())
        counts = Counter(stream.outcome for stream in streams)
        texts = [f"{counts[Outcome.FINISHED]} of {_quantity(self._selected, 'stream')} finished"]
        texts += [f"{counts[outcome]} {outcome}" for outcome in (Outcome.FAILED, Outcome.LEFT_OUT) if counts[outcome]]
        return f"{', '.join(texts)}; {_quantity(sum(stream.records for stream in streams), 'record')}"

    def requests_summary(self) -> str:
        """Return a text such as `579 requests, 3 retries, 12.3 s waited; 29.4 s in all`."""
        client = self._client
        return (
            f"{_quantity(client.requests, 'request')}, {_quantity(client.retries, 'retry', 'retries')}, "
            f"{client.waited:.1f} s waited; {time.monotonic() - self._started_at:.1f} s in all"
        )

    def summary(self) -> str:
        """Return one line: streams, records, requests, retries, seconds waited, duration in seconds."""
        return f"{self.records_summary()}; {self.requests_summary()}"

    def rate_limit_remaining(self) -> int | None:
        """Return how many requests the key's rate limit still allows; None: the API has not reported it yet."""
        return self._client.rate_limiter.remaining


def _quantity(count: int, singular: str, plural: str | None = None) -> str:
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
