"""The parts of a long list, which are read side by side.

Where a list can be filtered by when its records were created, a chain of pages that shows no end is divided: it goes
on from where it is with what was created on this side of a moment, and a new chain reads what was created on the other
side. However the API orders the list, as long as it does so alike with and without the filter, each record that was
not read yet is in exactly one of the two; and where what was read so far lies on this side, none comes again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from source_incident.streams.base import IncidentStream, IncrementalStream, Page, Slice, cursor_of
from source_incident.sync.state import Partition
from source_incident.timestamps import EARLIEST

# A new chain costs at most one request, the rest of a page. One for so many pages stays under a twentieth more.
PAGES_PER_PART = 23
# With less than this left a chain isn't worth dividing.
FEWEST_PAGES = 4
FIRST, LAST = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class NotDivisibleError(Exception):
    """The API filters or orders the list otherwise than its parts need."""


class PageSequence:
    """The pages of one part, one after the other.

    Attributes:
        slice: what the stream is asked for; changes where the chain is divided.
        after: the page after what was emitted.
        start, end: the span of creation that it reads; None: open.

    Args:
        origin: the newest record that the list is known to have.
    """

    def __init__(self, part: Partition, slice_: Slice, origin: datetime | None = None) -> None:
        self._origin = origin
        self.after = part.after
        self.start = part.start
        self.end = part.end
        self.slice: dict[str, Any] = dict(slice_)
        self.ended = False
        self._pages = 0
        self._oldest, self._newest = LAST, FIRST
        self._newest_first = self._oldest_first = True
        self._divided = False
        self._bound()

    @property
    def part(self) -> Partition:
        return Partition(self.after, self.start, self.end)

    def note(self, page: Page, field: str) -> None:
        """Takes in what a page tells of the list's order and density.

        Raises:
            NotDivisibleError: the chain was divided, and the page is not what follows.
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
            self._origin = max(newest, self._origin or newest)
            self._oldest, self._newest = min(oldest, self._oldest), max(newest, self._newest)
        if self._divided and not (self._newest_first or self._oldest_first):
            raise NotDivisibleError

    def pages_left(self) -> float:
        """How many pages may be left, if the rest of the span is as full as what was read; 0: it can't be told."""
        if self.ended or self._pages < 2 or not (self._newest_first or self._oldest_first):
            return 0
        return self._pages * (abs(self._far() - self._near()) / max(self._newest - self._oldest, SECOND))

    def divided(self, by_date: bool) -> "PageSequence | None":
        """Leaves the far part of the time that is left to a new chain; None: there is no moment to divide it at."""
        near, far = self._near(), self._far()
        # Where nobody knows how far back the list goes, what is left after as much again as was read is far.
        moment = far if self._newest_first and not self.start else near + (far - near) / 2
        moment = moment.replace(microsecond=0)
        if by_date:
            moment = moment.replace(hour=0, minute=0, second=0)
        # Days are the server's: a day between keeps clear of its time zone.
        clear = DAY if by_date else SECOND
        if abs(near - moment) <= clear or moment in (self.start, self.end):
            return None
        base = {key: value for key, value in self.slice.items() if key != "span"}
        if self._newest_first:
            new = PageSequence(Partition(None, self.start, moment), base, self._origin)
            self.start = moment
        else:
            new = PageSequence(Partition(None, moment, self.end), base, self._origin)
            self.end = moment
        self._divided = True
        self._bound()
        return new

    def _near(self) -> datetime:
        """How far the chain is."""
        return self._oldest if self._newest_first else self._newest

    def _far(self) -> datetime:
        """Where the chain is on its way to."""
        if not self._newest_first:
            return self.end or datetime.now(UTC)
        near = self._near()
        return self.start or near - ((self._origin or near) - near)

    def _bound(self) -> None:
        if self.start or self.end:
            self.slice["span"] = (self.start, self.end)


class PartitionedList:
    """A list on its way through, in one part as long as it is short.

    Args:
        left: what there is to read.
        most: how many parts may be read at once.
    """

    def __init__(self, stream: IncidentStream, left: Iterable[Partition], slice_: Slice, most: int) -> None:
        self.chains = [PageSequence(part, slice_) for part in left]
        self._field = stream.split_by if isinstance(stream, IncrementalStream) else None
        self._by_date = isinstance(stream, IncrementalStream) and stream.filter_by_date
        self._most = most
        self._pages = 0
        self._divisions = 0

    def read(self, chain: PageSequence, page: Page) -> PageSequence | None:
        """Takes in a page that was read, before the next of its chain is asked for.

        Returns:
            A new chain that is to be read from now on; None: nothing is divided.

        Raises:
            NotDivisibleError: what was divided can't be gone on with.
        """
        self._pages += 1
        if self._field is None or self._most == 1:
            return None
        chain.note(page, self._field)
        left = chain.pages_left()
        if (
            left < FEWEST_PAGES
            or (self._divisions + 1) * PAGES_PER_PART > self._pages
            or sum(not one.ended for one in self.chains) >= self._most
            or any(one.pages_left() > left for one in self.chains if one is not chain)
        ):
            return None
        new = chain.divided(self._by_date)
        if new:
            self._divisions += 1
            self.chains.append(new)
        return new

    def emitted(self, chain: PageSequence, page: Page) -> tuple[Partition, ...]:
        """Takes in that a page was emitted, and all of its chain before it.

        Returns:
            What is left of the list.
        """
        chain.after = page.after
        if page.after is None:
            self.chains.remove(chain)
        return tuple(one.part for one in self.chains)
