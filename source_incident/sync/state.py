"""The state of a stream during a sync: its positions, by incident mode, and its full reads."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from source_incident.sync.position import (
    MAX_RETRY_IDS,
    FullRead,
    Partition,
    ResumePoint,
    Retry,
    StreamPosition,
)
from source_incident.sync.state_format import StateFields, StateParser, dump_state

__all__ = ["MAX_RETRY_IDS", "FullRead", "Partition", "ResumePoint", "Retry", "StreamPosition", "StreamState"]


class StreamState:
    """The positions of one stream, by incident mode, and its full reads.

    Args:
        stream: the stream's name, for errors and to spread full reads.
        cursor: the bookmark's key in the state; None: the stream is read in full at every sync.
        modes: the incident modes of the config; ("",) for a stream without modes.
        state: the stream's state as it was given; None or empty: a first sync.

    Raises:
        InputError: the state is not valid.
    """

    def __init__(self, stream: str, cursor: str | None, modes: Iterable[str], state: Mapping[str, Any] | None) -> None:
        self.stream = stream
        self.cursor = cursor
        fields = StateParser(stream, cursor, modes).parse(state or {})
        self.positions = fields.positions
        # Modes that the config no longer has. If they return, they continue from here.
        self._unused = fields.unused
        self.nested_pages = fields.nested_pages
        self.full_read = fields.full_read
        # Records to read again, as the last sync left them and as this one finds them.
        self.retry = fields.retry
        self.new_retry: Retry | None = None
        # Something changed after the last dump.
        self.is_dirty = False
        # Nested columns that the key could not read. They are filled by a full read once it can.
        self.forbidden_columns = fields.forbidden_columns
        self.needs_full_read = fields.needs_full_read

    # Full reads

    @property
    def is_full_refresh(self) -> bool:
        return self.cursor is None

    @property
    def is_reading_in_full(self) -> bool:
        """Whether a full read is in progress."""
        return self.full_read is not None and not self.full_read.is_finished

    def begin(
        self, now: datetime, full_read_days: int, start_date: datetime | None, has_foreign_catalog: bool = False
    ) -> None:
        """Decide whether this sync reads the stream in full, and start or continue the full read.

        Args:
            now: the current time.
            full_read_days: an incremental stream is read in full again after so many days; 0: never.
            start_date: the config's start date.
            has_foreign_catalog: another program made the catalog.
        """
        if self.full_read and not self.full_read.is_finished:
            if self.is_full_refresh and self.retry:
                self._restart_full_read()
            if _is_narrower(start_date, self.full_read):
                self.full_read = replace(self.full_read, start_date=start_date, keeps_older_rows=True)
            return
        if not self.is_full_refresh and any(position.resume for position in self.positions.values()):
            # An interrupted scan is finished first.
            return
        first = not any(position.bookmark for position in self.positions.values())
        if not (self.is_full_refresh or first or self.needs_full_read or self._is_due(now, full_read_days)):
            return
        self.needs_full_read = False
        last = self.full_read
        version = int(now.timestamp() * 1000)
        self.full_read = FullRead(
            max(version, last.version + 1) if last else version,
            now,
            start_date,
            # A bookmark without a full read comes from another program too. It can have loaded rows from before the
            # start date, which no full read sees.
            keeps_older_rows=start_date is not None
            and (_keeps_older_rows(start_date, last) if last else has_foreign_catalog or not first),
            skipped_before=bool(last and last.skipped_parents),
            ended_early_before=bool(last and last.ended_early),
            # A lost state leaves no trace of such rows. They are kept once.
            has_gap=bool(start_date and not last),
        )
        self.positions = {mode: position.restarted() for mode, position in self.positions.items()}

    def _restart_full_read(self) -> None:
        """Read everything again, with the same version, because incomplete records are on pages before the position.

        An incremental stream needs no restart: its next sync reads them by their cursor.
        """
        if self.full_read:
            # The gap of a first start date stays.
            has_gap = self.full_read.has_gap and self.full_read.start_date is not None
            self.full_read = replace(
                self.full_read, done=frozenset(), has_gap=has_gap, skipped_parents=False, ended_early=False
            )
        self.restart(self.positions)
        self.retry = None

    def wants_everything(self, mode: str) -> bool:
        """Whether the full read in progress has to read a mode."""
        return self.full_read is not None and self.full_read.done is not None and mode not in self.full_read.done

    def is_done(self, mode: str) -> bool:
        """Whether nothing of a mode is left to read in a full refresh that was interrupted."""
        return self.is_full_refresh and not self.wants_everything(mode)

    @property
    def is_read(self) -> bool:
        """Whether the full read in progress has read every mode."""
        return self.full_read is None or self.full_read.done is None or self.positions.keys() <= self.full_read.done

    def finish_full_read(self) -> int | None:
        """End the full read in progress, when the stream was read to its end.

        Returns:
            The version that replaces all older rows; None: older rows must stay.
        """
        full_read = self.full_read
        if full_read is None or full_read.done is None:
            return None
        self.full_read = replace(full_read, done=None)
        self.is_dirty = True
        if full_read.has_gap or full_read.keeps_older_rows or self._unused:
            return None
        # A parent that answers 404 can have been deleted a moment ago, with its records. One that still is listed at
        # the next full read, and still answers 404, has none.
        if full_read.skipped_parents and not full_read.skipped_before:
            return None
        # A truncated list is seldom truncated twice. A total that counts what the filter leaves out is always too high.
        if full_read.ended_early and not full_read.ended_early_before:
            return None
        return full_read.version

    def note_skipped_parent(self) -> None:
        """Record that a parent answered 404."""
        if self.full_read and not self.full_read.is_finished:
            self.full_read = replace(self.full_read, skipped_parents=True)

    def note_early_end(self) -> None:
        """Record that a filtered list ended far below its total."""
        if self.full_read and not self.full_read.is_finished:
            self.full_read = replace(self.full_read, ended_early=True)

    def note_gap(self) -> None:
        """Record that some records could not be read."""
        if self.full_read and not self.full_read.is_finished:
            self.full_read = replace(self.full_read, has_gap=True)

    # Positions

    def reached(self, modes: Iterable[str], rest: tuple[Partition, ...], since: str | None, bookmark: datetime) -> None:
        """Move to a page whose records and children were emitted.

        Args:
            modes: the incident modes of the scan.
            rest: the unread rest of the list; empty: the scan has finished.
            since: the scan's filter.
            bookmark: the bookmark that the scan sets.
        """
        for mode in modes:
            position = self.positions[mode]
            if rest:
                self.positions[mode] = position.reached(rest, since, bookmark, self.wants_everything(mode))
                continue
            self.positions[mode] = StreamPosition() if self.is_full_refresh else position.finished(bookmark)
            if self.full_read and self.full_read.done is not None:
                self.full_read = replace(self.full_read, done=self.full_read.done | {mode})

    def restart(self, modes: Iterable[str]) -> None:
        """Forget the unfinished scan of some modes."""
        for mode in modes:
            self.positions[mode] = self.positions[mode].restarted()

    def add_retry(self, retry: Retry) -> None:
        """Remember an incomplete record for the next sync."""
        self.new_retry = retry.joined(self.new_retry)
        self.is_dirty = True

    def resolve_retries(self) -> None:
        """Forget the incomplete records of earlier syncs, because this sync read them again.

        A record of a mode that the config dropped was not read. The mode can return.
        """
        if self._unused:
            return
        self.is_dirty = self.is_dirty or self.retry is not None
        self.retry = None

    def _is_due(self, now: datetime, full_read_days: int) -> bool:
        """Whether a boundary between two periods of `full_read_days` lies between the last full read and now.

        Each stream has its boundaries at another moment, so that full reads spread over the period.
        """
        if not full_read_days:
            return False
        bookmarks = [position.bookmark for position in self.positions.values() if position.bookmark]
        last = self.full_read.started_at if self.full_read else max(bookmarks, default=now)
        period = full_read_days * 86400
        offset = zlib.crc32(self.stream.encode()) % period
        return (now.timestamp() + offset) // period > (last.timestamp() + offset) // period

    def dump(self) -> dict[str, Any]:
        """The state that covers everything emitted so far."""
        self.is_dirty = False
        fields = StateFields(
            positions=self.positions,
            unused=self._unused,
            nested_pages=self.nested_pages,
            full_read=self.full_read,
            retry=self.retry.joined(self.new_retry) if self.retry else self.new_retry,
            forbidden_columns=self.forbidden_columns,
            needs_full_read=self.needs_full_read,
        )
        return dump_state(fields, self.cursor)


def _keeps_older_rows(start_date: datetime | None, last: FullRead) -> bool:
    """Whether the destination has rows from before a start date, which earlier full reads emitted."""
    return start_date is not None and (last.keeps_older_rows or _is_narrower(start_date, last))


def _is_narrower(start_date: datetime | None, last: FullRead) -> bool:
    """Whether a full read from a start date leaves out records that another full read emitted."""
    return start_date is not None and (last.start_date is None or start_date > last.start_date)
