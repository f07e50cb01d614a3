"""What a stream's position consists of: bookmarks, resume points, full reads and retries."""

from dataclasses import dataclass, replace
from datetime import datetime

# Ids of incomplete records that a state remembers. It stays small.
MAX_RETRY_IDS = 50


@dataclass(frozen=True)
class Partition:
    """The unread rest of a list, or of the records created in a time span.

    Attributes:
        after: the cursor of the next page; None: the first page.
        start, end: the span of creation, without its end; None: open.
    """

    after: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class ResumePoint:
    """Where an unfinished scan continues.

    Attributes:
        partitions: the unread rest of the list.
        since: the scan's filter as it was sent; None: it had none.
        bookmark: the bookmark that the scan sets when it finishes.
        is_full: the scan is part of a full read: it wants every record, whatever the bookmark.
    """

    partitions: tuple[Partition, ...]
    since: str | None
    bookmark: datetime
    is_full: bool = False


@dataclass(frozen=True)
class StreamPosition:
    """The position of one incident mode, or of a whole stream.

    Attributes:
        bookmark: finished scans emitted everything that changed before it; None: no scan has finished.
        resume: the unfinished scan; None: there is none.
    """

    bookmark: datetime | None = None
    resume: ResumePoint | None = None

    def reached(
        self, rest: tuple[Partition, ...], since: str | None, bookmark: datetime, is_full: bool = False
    ) -> "StreamPosition":
        """The position once everything but `rest` was emitted."""
        return replace(self, resume=ResumePoint(rest, since, bookmark, is_full))

    def finished(self, bookmark: datetime) -> "StreamPosition":
        """The position once the whole scan was emitted. A bookmark never moves back."""
        return StreamPosition(max(self.bookmark, bookmark) if self.bookmark else bookmark)

    def restarted(self) -> "StreamPosition":
        return replace(self, resume=None)


@dataclass(frozen=True)
class FullRead:
    """The last full read of a stream, or the one in progress.

    Attributes:
        version: Singer's table version: milliseconds since 1970, growing from one full read to the next.
        started_at: when it began.
        start_date: the config's start date, which leaves out older records; None: none.
        done: the incident modes that were read completely; None: the full read has finished.
        keeps_older_rows: the destination can have rows from before `start_date`, which this read does not see.
        skipped_parents: some parents of the stream answered 404.
        skipped_before: the full read before this one skipped parents too.
        ended_early: a filtered list of the stream ended far below its total.
        ended_early_before: in the full read before this one too.
        has_gap: some records could not be read, so older rows must stay.
    """

    version: int
    started_at: datetime
    start_date: datetime | None = None
    done: frozenset[str] | None = frozenset()
    keeps_older_rows: bool = False
    skipped_parents: bool = False
    skipped_before: bool = False
    ended_early: bool = False
    ended_early_before: bool = False
    has_gap: bool = False

    @property
    def is_finished(self) -> bool:
        return self.done is None


@dataclass(frozen=True)
class Retry:
    """Records of the root list whose children or nested columns were not complete, to be read again.

    Attributes:
        since: the lowest cursor among them; None: the list has no cursor.
        ids: their ids; None: too many to remember, so every record from `since` on is read again.
    """

    since: datetime | None
    ids: frozenset[str] | None

    def joined(self, other: "Retry | None") -> "Retry":
        """Both together, within MAX_RETRY_IDS."""
        if other is None:
            return self
        since = min(moment for moment in (self.since, other.since) if moment) if self.since or other.since else None
        ids = None if self.ids is None or other.ids is None else self.ids | other.ids
        return Retry(since, None if ids is None or len(ids) > MAX_RETRY_IDS else ids)
