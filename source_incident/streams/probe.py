"""Requests of one record of each list, to learn whether the key may read it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream
from source_incident.streams.page import Record, Slice


class _Probed(NamedTuple):
    """The slice that was requested, and its first records."""

    stream_slice: Slice
    records: list[Record]


class Probes:
    """Probes of several streams, from several threads.

    A child stream needs a record of its parent. Each list is requested once, however many streams need it.

    Args:
        make: makes a stream that can send requests.
    """

    def __init__(self, make: Callable[[type[IncidentStream]], IncidentStream]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._probed: dict[type[IncidentStream], Future[_Probed | None]] = {}

    def probe(self, stream: type[IncidentStream]) -> None:
        """Request one record of a list. Without a record of its parent, nothing is requested of a child list.

        Raises:
            ApiError: the key may not read the list, or the request failed.
        """
        self._probe(stream)

    def _probe(self, kind: type[IncidentStream]) -> _Probed | None:
        with self._lock:
            future = self._probed.get(kind)
            is_first = future is None
            if future is None:
                future = self._probed[kind] = Future()
        if is_first:
            # The threads that wait need no answer but this one, and this one needs the lists above it only.
            try:
                future.set_result(self._request(kind))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def _request(self, kind: type[IncidentStream]) -> _Probed | None:
        stream = self._make(kind)
        stream_slice = self._any_slice(stream)
        return None if stream_slice is None else _Probed(stream_slice, stream.first_records(stream_slice))

    def _any_slice(self, stream: IncidentStream) -> Slice | None:
        """A slice that exists; None: there is no record of the parent to ask for."""
        if not isinstance(stream, ChildStream):
            return {}
        parent = self._probe(stream.parent)
        if parent is None:
            return None
        slices = (stream.child_slice(record, parent.stream_slice) for record in parent.records)
        return next((slice_ for slice_ in slices if slice_), None)
