"""Divides a long list into partitions that are read concurrently.

Where a list can be filtered by its records' creation time, a page sequence without an end in sight is divided: it
continues with the records created on one side of a moment, and a new sequence reads those created on the other side.
Whatever the order of the list, as long as the filter does not change it, each unread record is in exactly one of the
two. Where everything read so far is on the sequence's own side, no record comes twice.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from source_incident import clock
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import IncrementalStream
from source_incident.streams.page import Page, Slice, cursor_of
from source_incident.sync.state import Partition
from source_incident.timestamps import EARLIEST

# A new sequence costs at most one request more. One per this many pages keeps the cost below a twentieth.
PAGES_PER_DIVISION = 23
# A sequence with fewer pages left is not worth dividing.
MIN_PAGES_LEFT = 4
FIRST, LAST = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class NotDivisibleError(Exception):
    """The API's filter or order does not fit the list's partitions."""


class PageSequence:
    """The pages of one partition, in order.

    Attributes:
        slice: the slice to request; changes when the sequence is divided.
        after: the cursor of the page after the emitted ones.
        start, end: the span of creation; None: open.
        ended: the last page was read.

    Args:
        partition: the partition.
        slice_: the slice of the whole list.
        newest_known: the newest creation time in the list, as far as it is known.
    """

    def __init__(self, partition: Partition, slice_: Slice, newest_known: datetime | None = None) -> None:
        self._newest_known = newest_known
        self.after = partition.after
        self.start = partition.start
        self.end = partition.end
        self.slice: dict[str, Any] = dict(slice_)
        self.ended = False
        self._pages = 0
        self._oldest, self._newest = LAST, FIRST
        self._newest_first = self._oldest_first = True
        self._divided = False
        self._update_slice()

    @property
    def partition(self) -> Partition:
        return Partition(self.after, self.start, self.end)

    def observe(self, page: Page, field: str) -> None:
        """Learn the list's order and density from a page.

        Raises:
            NotDivisibleError: the sequence was divided, and the page is not in order.
        """
        self.ended = page.after is None
        if not page.records:
            return
        times = [value for record in page.records if isinstance(value := record.get(field), str)]
        oldest, newest = (
            (cursor_of({field: value}, field) for value in (min(times), max(times))) if times else (None, None)
        )
        if len(times) < len(page.records) or oldest is None or newest is None or oldest < EARLIEST:
            self._newest_first = self._oldest_first = False
        else:
            if self._pages:
                self._newest_first &= newest <= self._oldest
                self._oldest_first &= oldest >= self._newest
            self._pages += 1
            self._newest_known = max(newest, self._newest_known or newest)
            self._oldest, self._newest = min(oldest, self._oldest), max(newest, self._newest)
        if self._divided and not (self._newest_first or self._oldest_first):
            raise NotDivisibleError

    def pages_left(self) -> float:
        """Estimate the pages left, if the rest of the span is as dense as what was read; 0: unknown."""
        if self.ended or self._pages < 2 or not (self._newest_first or self._oldest_first):
            return 0
        return self._pages * (abs(self._far_end() - self._near_end()) / max(self._newest - self._oldest, SECOND))

    def divide(self, by_date: bool) -> "PageSequence | None":
        """Leave the far part of the unread span to a new sequence; None: there is no moment to divide at."""
        near, far = self._near_end(), self._far_end()
        # The start of a newest-first list is unknown: everything beyond as much again as was read is the far part.
        moment = far if self._newest_first and not self.start else near + (far - near) / 2
        moment = moment.replace(microsecond=0)
        if by_date:
            moment = moment.replace(hour=0, minute=0, second=0)
        # Dates are in the server's time zone. A day in between keeps clear of it.
        clearance = DAY if by_date else SECOND
        if abs(near - moment) <= clearance or moment in (self.start, self.end):
            return None
        base = {key: value for key, value in self.slice.items() if key != "span"}
        if self._newest_first:
            new = PageSequence(Partition(None, self.start, moment), base, self._newest_known)
            self.start = moment
        else:
            new = PageSequence(Partition(None, moment, self.end), base, self._newest_known)
            self.end = moment
        self._divided = True
        self._update_slice()
        return new

    def _near_end(self) -> datetime:
        """The end of the span that was read."""
        return self._oldest if self._newest_first else self._newest

    def _far_end(self) -> datetime:
        """The end of the span that is unread."""
        if not self._newest_first:
            return self.end or clock.now()
        near = self._near_end()
        return self.start or near - ((self._newest_known or near) - near)

    def _update_slice(self) -> None:
        if self.start or self.end:
            self.slice["span"] = (self.start, self.end)


class PartitionedList:
    """The partitions of a list that is being read. A short list has one.

    Args:
        stream: the list's stream.
        partitions: what is unread.
        slice_: the slice of the whole list.
        max_sequences: how many sequences may be read concurrently.
    """

    def __init__(
        self, stream: IncidentStream, partitions: Iterable[Partition], slice_: Slice, max_sequences: int
    ) -> None:
        self.sequences = [PageSequence(partition, slice_) for partition in partitions]
        self._field = stream.partition_field if isinstance(stream, IncrementalStream) else None
        self._by_date = isinstance(stream, IncrementalStream) and stream.filter_by_date
        self._max_sequences = max_sequences
        self._pages = 0
        self._divisions = 0

    def page_read(self, sequence: PageSequence, page: Page) -> PageSequence | None:
        """Take note of a page, before the next page of its sequence is requested.

        Returns:
            A new sequence to read; None: the list was not divided.

        Raises:
            NotDivisibleError: a divided list is not in order.
        """
        self._pages += 1
        if self._field is None or self._max_sequences == 1:
            return None
        sequence.observe(page, self._field)
        left = sequence.pages_left()
        if (
            left < MIN_PAGES_LEFT
            or (self._divisions + 1) * PAGES_PER_DIVISION > self._pages
            or sum(not other.ended for other in self.sequences) >= self._max_sequences
            or any(other.pages_left() > left for other in self.sequences if other is not sequence)
        ):
            return None
        new = sequence.divide(self._by_date)
        if new:
            self._divisions += 1
            self.sequences.append(new)
        return new

    def page_emitted(self, sequence: PageSequence, page: Page) -> tuple[Partition, ...]:
        """Take note that a page and all pages of its sequence before it were emitted.

        Returns:
            The unread rest of the list.
        """
        sequence.after = page.after
        if page.after is None:
            self.sequences.remove(sequence)
        return tuple(other.partition for other in self.sequences)
