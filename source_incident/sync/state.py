"""The position of a stream: bookmarks, resume points and full reads, and their form in the state.

A stream's state is one JSON object, described in docs/design.md, "State". Airbyte carries it as the stream's state,
Singer as the stream's bookmark.
"""

import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from source_incident.config import DEFAULT_MODES
from source_incident.errors import InputError
from source_incident.protocol import FULL_REFRESH_MARKERS
from source_incident.timestamps import EARLIEST, format_timestamp, parse_timestamp

logger = logging.getLogger("airbyte.incident.sync")

# Keys of a state, besides the cursor.
STATE_KEYS = ("modes", "resume", "full_read", "needs_full_read", "retry")
# Two clocks can differ by less than this. A bookmark further ahead is a mistake.
MAX_FUTURE = timedelta(days=1)
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
        began_at: the bookmark that the scan sets when it finishes.
        is_full: the scan is part of a full read: it wants every record, whatever the bookmark.
    """

    partitions: tuple[Partition, ...]
    since: str | None
    began_at: datetime
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
        self, rest: tuple[Partition, ...], since: str | None, began_at: datetime, is_full: bool = False
    ) -> "StreamPosition":
        """The position once everything but `rest` was emitted."""
        return replace(self, resume=ResumePoint(rest, since, began_at, is_full))

    def finished(self, began_at: datetime) -> "StreamPosition":
        """The position once the whole scan was emitted. A bookmark never moves back."""
        return StreamPosition(max(self.bookmark, began_at) if self.bookmark else began_at)

    def restarted(self) -> "StreamPosition":
        return replace(self, resume=None)


@dataclass(frozen=True)
class FullRead:
    """The last full read of a stream, or the one in progress.

    Attributes:
        version: Singer's table version: milliseconds since 1970, growing from one full read to the next.
        began_at: when it began.
        start_date: the config's start date, which leaves out older records; None: none.
        done: the incident modes that were read completely; None: the full read has finished.
        keeps_older_rows: the destination can have rows from before `start_date`, which this read does not see.
        skipped_parents: some parents of the stream answered 404.
        skipped_before: the full read before this one skipped parents too.
        has_gap: some records could not be read, so older rows must stay.
    """

    version: int
    began_at: datetime
    start_date: datetime | None = None
    done: frozenset[str] | None = frozenset()
    keeps_older_rows: bool = False
    skipped_parents: bool = False
    skipped_before: bool = False
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
        self.nested_pages: dict[str, int] = {}
        self.positions: dict[str, StreamPosition] = {mode: StreamPosition() for mode in modes}
        self.full_read: FullRead | None = None
        # Records to read again, as the last sync left them and as this one finds them.
        self.retry: Retry | None = None
        self.new_retry: Retry | None = None
        # Nested columns that the key could not read. They are filled by a full read once it can.
        self.forbidden_columns: frozenset[str] = frozenset()
        self.needs_full_read = False
        # Something changed after the last dump.
        self.is_dirty = False
        # Modes that the config no longer has. If they return, they continue from here.
        self._unused: dict[str, StreamPosition] = {}
        if state:
            self._load(state)

    # Full reads

    @property
    def is_full_refresh(self) -> bool:
        return self.cursor is None

    @property
    def is_reading_in_full(self) -> bool:
        """Whether a full read is in progress."""
        return self.full_read is not None and not self.full_read.is_finished

    def begin(self, now: datetime, full_read_days: int, start_date: datetime | None) -> None:
        """Decide whether this sync reads the stream in full, and start or continue the full read.

        Args:
            now: the current time.
            full_read_days: an incremental stream is read in full again after so many days; 0: never.
            start_date: the config's start date.
        """
        if self.is_reading_in_full:
            return
        first = not any(position.bookmark or position.resume for position in self.positions.values())
        if not (self.is_full_refresh or first or self.needs_full_read or self._is_due(now, full_read_days)):
            return
        self.needs_full_read = False
        last = self.full_read
        version = int(now.timestamp() * 1000)
        self.full_read = FullRead(
            max(version, last.version + 1) if last else version,
            now,
            start_date,
            keeps_older_rows=_is_narrower(start_date, last),
            skipped_before=bool(last and last.skipped_parents),
        )
        self.positions = {mode: position.restarted() for mode, position in self.positions.items()}

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
        return full_read.version

    def note_skipped_parent(self) -> None:
        """Record that a parent answered 404."""
        if self.full_read and not self.full_read.is_finished:
            self.full_read = replace(self.full_read, skipped_parents=True)

    def note_gap(self) -> None:
        """Record that some records could not be read."""
        if self.full_read and not self.full_read.is_finished:
            self.full_read = replace(self.full_read, has_gap=True)

    # Positions

    def reached(self, modes: Iterable[str], rest: tuple[Partition, ...], since: str | None, began_at: datetime) -> None:
        """Move to a page whose records and children were emitted.

        Args:
            modes: the incident modes of the scan.
            rest: the unread rest of the list; empty: the scan has finished.
            since: the scan's filter.
            began_at: the bookmark that the scan sets.
        """
        for mode in modes:
            position = self.positions[mode]
            if rest:
                self.positions[mode] = position.reached(rest, since, began_at, self.wants_everything(mode))
                continue
            self.positions[mode] = StreamPosition() if self.is_full_refresh else position.finished(began_at)
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
        """Forget the incomplete records of earlier syncs, because this sync read them again."""
        self.is_dirty = self.is_dirty or self.retry is not None
        self.retry = None

    def _is_due(self, now: datetime, full_read_days: int) -> bool:
        """Whether a boundary between two periods of `full_read_days` lies between the last full read and now.

        Each stream has its boundaries at another moment, so that full reads spread over the period.
        """
        if not full_read_days:
            return False
        bookmarks = [position.bookmark for position in self.positions.values() if position.bookmark]
        last = self.full_read.began_at if self.full_read else max(bookmarks, default=now)
        period = full_read_days * 86400
        offset = zlib.crc32(self.stream.encode()) % period
        return (now.timestamp() + offset) // period > (last.timestamp() + offset) // period

    # The form in the state

    def dump(self) -> dict[str, Any]:
        """The state that covers everything emitted so far."""
        self.is_dirty = False
        state: dict[str, Any]
        if list(self.positions) == [""]:
            state = self._dump_position(self.positions[""])
        else:
            positions = {**self._unused, **self.positions}
            bookmarks = [position.bookmark for position in self.positions.values()]
            known = [bookmark for bookmark in bookmarks if bookmark]
            state = {}
            if self.cursor and known and len(known) == len(bookmarks):
                state[self.cursor] = format_timestamp(min(known))
            groups: dict[StreamPosition, list[str]] = {}
            for mode, position in positions.items():
                groups.setdefault(position, []).append(mode)
            by_modes = {",".join(modes): self._dump_position(position) for position, modes in groups.items()}
            if self.cursor or any(by_modes.values()):
                state["modes"] = by_modes
        if self.nested_pages:
            state["nested_pages"] = dict(self.nested_pages)
        if self.full_read:
            state["full_read"] = _dump_full_read(self.full_read)
        retry = self.retry.joined(self.new_retry) if self.retry else self.new_retry
        if retry:
            state["retry"] = {
                **({"since": format_timestamp(retry.since)} if retry.since else {}),
                **({} if retry.ids is None else {"ids": sorted(retry.ids)}),
            }
        if self.forbidden_columns:
            state["forbidden_columns"] = sorted(self.forbidden_columns)
        if self.needs_full_read:
            state["needs_full_read"] = True
        return state

    def _load(self, state: Mapping[str, Any]) -> None:
        self.full_read = self._parse_full_read(state.get("full_read"))
        if FULL_REFRESH_MARKERS & state.keys():
            return
        if not {self.cursor, *STATE_KEYS} & state.keys():
            if self.is_full_refresh:
                logger.warning("state: the state of the stream %r is not used, it is read in full", self.stream)
                return
            raise self._error(f"it has none of {self.cursor}, modes, resume")
        pages = state.get("nested_pages")
        if isinstance(pages, Mapping):
            self.nested_pages = {str(key): value for key, value in pages.items() if type(value) is int and value > 0}
        self.retry = self._parse_retry(state.get("retry"))
        columns = state.get("forbidden_columns")
        self.forbidden_columns = frozenset(map(str, columns)) if isinstance(columns, list) else frozenset()
        self.needs_full_read = state.get("needs_full_read") is True
        if "" in self.positions:
            self.positions[""] = self._parse_position(state, "it")
            return
        self._load_modes(state)

    def _load_modes(self, state: Mapping[str, Any]) -> None:
        by_mode = state.get("modes")
        if by_mode is None:
            # The state of another tap has one bookmark, for the modes that the API returns without a filter.
            position = self._parse_position(state, "it")
            parsed = dict.fromkeys(DEFAULT_MODES, position)
        elif isinstance(by_mode, Mapping):
            parsed = {
                mode: self._parse_position(value, f"modes.{modes}")
                for modes, value in by_mode.items()
                for mode in modes.split(",")
            }
            parsed = self._with_edited_bookmark(parsed, state)
        else:
            raise self._error("modes is not an object")
        for mode in self.positions:
            self.positions[mode] = parsed.pop(mode, StreamPosition())
        self._unused = parsed

    def _with_edited_bookmark(
        self, positions: dict[str, StreamPosition], state: Mapping[str, Any]
    ) -> dict[str, StreamPosition]:
        """The positions, moved to the bookmark beside `modes` where somebody edited it.

        The connector writes the lowest bookmark of the modes there. Any other value was set by hand.
        """
        value = state.get(self.cursor) if self.cursor else None
        if value is None:
            return positions
        bookmark = self._parse_moment(value, str(self.cursor))
        if not positions or bookmark in {position.bookmark for position in positions.values()}:
            return positions
        logger.info("%s: every incident mode continues from the edited bookmark %s", self.stream, value)
        return dict.fromkeys(positions, StreamPosition(bookmark))

    def _parse_position(self, value: Any, where: str) -> StreamPosition:
        if not isinstance(value, Mapping):
            raise self._error(f"{where} is not an object")
        text, resume = value.get(self.cursor) if self.cursor else None, value.get("resume")
        bookmark = self._parse_moment(text, str(self.cursor)) if text is not None else None
        if resume is None:
            return StreamPosition(bookmark)
        if not isinstance(resume, Mapping):
            raise self._error(f"resume of {where} is not an object")
        since = resume.get("since")
        if since is not None and not isinstance(since, str):
            raise self._error(f"resume.since of {where} is not a string")
        partitions = self._parse_partitions(resume, where)
        began_at = self._parse_moment(resume.get("began"), "resume.began")
        is_full = resume.get("full") is True
        if is_full != self.is_reading_in_full and (is_full or self.is_full_refresh):
            # A full read is known by its version. Without it, or by another sync mode, the scan starts again.
            return StreamPosition(bookmark)
        return StreamPosition(bookmark, ResumePoint(partitions, since, began_at, is_full))

    def _parse_partitions(self, resume: Mapping[str, Any], where: str) -> tuple[Partition, ...]:
        if "parts" not in resume:
            if not isinstance(resume.get("after"), str) or not resume["after"]:
                raise self._error(f"resume of {where} has no cursor of the next page (after)")
            return (Partition(resume["after"]),)
        parts = resume["parts"]
        if not isinstance(parts, list) or not parts or not all(isinstance(part, Mapping) for part in parts):
            raise self._error(f"resume.parts of {where} is not a list of objects")
        partitions = []
        for part in parts:
            after = part.get("after")
            if after is not None and (not isinstance(after, str) or not after):
                raise self._error(f"after in resume.parts of {where} is not a cursor")
            start, end = (
                self._parse_moment(part[edge], f"resume.parts.{edge}") if edge in part else None
                for edge in ("from", "to")
            )
            partitions.append(Partition(after, start, end))
        return tuple(partitions)

    def _parse_full_read(self, value: Any) -> FullRead | None:
        if value is None:
            return None
        if not isinstance(value, Mapping) or type(value.get("version")) is not int:
            raise self._error("full_read is not an object with a version")
        began_at = self._parse_moment(value.get("began"), "full_read.began")
        start_date = value.get("start_date")
        done = value.get("done")
        return FullRead(
            value["version"],
            began_at,
            None if start_date is None else self._parse_moment(start_date, "full_read.start_date"),
            frozenset(map(str, done)) if isinstance(done, list) else None,
            value.get("keeps_older_rows") is True,
            value.get("skipped_parents") is True,
            value.get("skipped_before") is True,
            value.get("has_gap") is True,
        )

    def _parse_retry(self, value: Any) -> Retry | None:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._error("retry is not an object")
        since, ids = value.get("since"), value.get("ids")
        return Retry(
            None if since is None else self._parse_moment(since, "retry.since"),
            frozenset(map(str, ids)) if isinstance(ids, list) else None,
        )

    def _parse_moment(self, value: Any, name: str) -> datetime:
        try:
            moment = parse_timestamp(value)
        except (ValueError, OverflowError, AttributeError, TypeError):
            raise self._error(f"{name} is {repr(value)[:40]}, not a timestamp such as 2024-01-01T00:00:00Z") from None
        if moment > datetime.now(UTC) + MAX_FUTURE:
            raise self._error(f"{name} is {repr(value)[:40]}, in the future: nothing would be read until then")
        # Go's zero time is in the year 1, for example.
        return max(moment, EARLIEST)

    def _error(self, problem: str) -> InputError:
        return InputError(
            "state",
            f"the state of the stream {self.stream!r} is not valid: {problem}",
            "Remove it from the state to read the stream from the start",
        )

    def _dump_position(self, position: StreamPosition) -> dict[str, Any]:
        state: dict[str, Any] = {}
        if position.bookmark and self.cursor:
            state[self.cursor] = format_timestamp(position.bookmark)
        if position.resume:
            state["resume"] = {
                **_dump_partitions(position.resume.partitions),
                "since": position.resume.since,
                "began": format_timestamp(position.resume.began_at),
                **({"full": True} if position.resume.is_full else {}),
            }
        return state


def _is_narrower(start_date: datetime | None, last: FullRead | None) -> bool:
    """Whether the destination can have rows from before a start date."""
    if start_date is None:
        return False
    return last is None or last.start_date is None or start_date > last.start_date


def _dump_full_read(full_read: FullRead) -> dict[str, Any]:
    flags = ("keeps_older_rows", "skipped_parents", "skipped_before", "has_gap")
    return {
        "version": full_read.version,
        "began": format_timestamp(full_read.began_at),
        **({"start_date": format_timestamp(full_read.start_date)} if full_read.start_date else {}),
        **({} if full_read.done is None else {"done": sorted(full_read.done)}),
        **{flag: True for flag in flags if getattr(full_read, flag)},
    }


def _dump_partitions(partitions: tuple[Partition, ...]) -> dict[str, Any]:
    """A single partition without a span is written as its cursor alone, which other versions also read."""
    if len(partitions) == 1 and partitions[0] == Partition(partitions[0].after):
        return {"after": partitions[0].after}
    return {
        "parts": [
            {
                **({"after": partition.after} if partition.after else {}),
                **({"from": format_timestamp(partition.start)} if partition.start else {}),
                **({"to": format_timestamp(partition.end)} if partition.end else {}),
            }
            for partition in partitions
        ]
    }
