"""The JSON form of a stream's state: parses and dumps it.

A stream's state is one JSON object, described in docs/design.md, "State". Airbyte carries it as the stream's state,
Singer as the stream's bookmark.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from source_incident import clock
from source_incident.config import DEFAULT_MODES
from source_incident.errors import InputError
from source_incident.protocol import FULL_REFRESH_MARKERS
from source_incident.sync.position import FullRead, Partition, ResumePoint, Retry, StreamPosition
from source_incident.timestamps import EARLIEST, format_timestamp, parse_timestamp

logger = logging.getLogger("airbyte.incident.sync")

# Keys of a state, besides the cursor.
STATE_KEYS = ("modes", "resume", "full_read", "needs_full_read", "retry")
# Characters of all incident modes in a state. The API has five modes.
MAX_MODES = 1000
# Two clocks can differ by less than this. A bookmark further ahead is a mistake.
MAX_FUTURE = timedelta(days=1)


@dataclass
class StateFields:
    """What a stream's state holds.

    Attributes:
        positions: the position of each incident mode of the config.
        unused: the positions of modes that the config does not have.
        nested_pages: the length in pages of each nested list.
        full_read: the last full read.
        retry: records to read again.
        forbidden_columns: nested columns that the key could not read.
        needs_full_read: the next sync reads the stream in full.
    """

    positions: dict[str, StreamPosition]
    unused: dict[str, StreamPosition] = field(default_factory=dict)
    nested_pages: dict[str, int] = field(default_factory=dict)
    full_read: FullRead | None = None
    retry: Retry | None = None
    forbidden_columns: frozenset[str] = frozenset()
    needs_full_read: bool = False


class StateParser:
    """Parses the state of one stream.

    Args:
        stream: the stream's name, for errors.
        cursor: the bookmark's key in the state; None: the stream is read in full at every sync.
        modes: the incident modes of the config; ("",) for a stream without modes.
    """

    def __init__(self, stream: str, cursor: str | None, modes: Iterable[str]) -> None:
        self._stream = stream
        self._cursor = cursor
        self._modes = tuple(modes)
        self._full_read: FullRead | None = None

    def parse(self, state: Mapping[str, Any]) -> StateFields:
        """Parse a state. An empty one is a first sync.

        Raises:
            InputError: the state is not valid.
        """
        fields = StateFields({mode: StreamPosition() for mode in self._modes})
        if not state:
            return fields
        self._full_read = fields.full_read = self._parse_full_read(state.get("full_read"))
        if FULL_REFRESH_MARKERS & state.keys():
            return fields
        if not {self._cursor, *STATE_KEYS} & state.keys():
            if self._cursor is None:
                logger.warning("state: the state of the stream %r is not used, it is read in full", self._stream)
                return fields
            raise self._error(f"it has none of {self._cursor}, modes, resume")
        pages = state.get("nested_pages")
        if isinstance(pages, Mapping):
            fields.nested_pages = {str(key): value for key, value in pages.items() if type(value) is int and value > 0}
        fields.retry = self._parse_retry(state.get("retry"))
        columns = state.get("forbidden_columns")
        fields.forbidden_columns = frozenset(map(str, columns)) if isinstance(columns, list) else frozenset()
        fields.needs_full_read = state.get("needs_full_read") is True
        parsed = {"": self._parse_position(state, "it")} if "" in self._modes else self._parse_modes(state)
        fields.positions = {mode: parsed.pop(mode, StreamPosition()) for mode in self._modes}
        # A full refresh reads what the config selects. It continues with no mode that was dropped.
        fields.unused = parsed if self._cursor else {}
        return fields

    def _parse_modes(self, state: Mapping[str, Any]) -> dict[str, StreamPosition]:
        by_mode = state.get("modes")
        if by_mode is None:
            # The state of another tap has one bookmark, for the modes that the API returns without a filter.
            position = self._parse_position(state, "it")
            return {} if position == StreamPosition() else dict.fromkeys(DEFAULT_MODES, position)
        if not isinstance(by_mode, Mapping):
            raise self._error("modes is not an object")
        if sum(map(len, by_mode)) > MAX_MODES:
            raise self._error(f"the names in modes have more than {MAX_MODES} characters")
        parsed: dict[str, StreamPosition] = {}
        for modes, value in by_mode.items():
            parsed.update(dict.fromkeys(modes.split(","), self._parse_position(value, f"modes.{modes}")))
        return self._with_edited_bookmark(parsed, state)

    def _with_edited_bookmark(
        self, positions: dict[str, StreamPosition], state: Mapping[str, Any]
    ) -> dict[str, StreamPosition]:
        """The positions, moved to the bookmark beside `modes` where somebody edited it.

        The connector writes the lowest bookmark of the modes there. Any other value was set by hand.
        """
        value = state.get(self._cursor) if self._cursor else None
        if value is None:
            return positions
        bookmark = self._parse_moment(value, str(self._cursor))
        if not positions or bookmark in {position.bookmark for position in positions.values()}:
            return positions
        logger.info("%s: every incident mode continues from the edited bookmark %s", self._stream, value)
        return dict.fromkeys(positions, StreamPosition(bookmark))

    def _parse_position(self, value: Any, where: str) -> StreamPosition:
        if not isinstance(value, Mapping):
            raise self._error(f"{where} is not an object")
        text, resume = value.get(self._cursor) if self._cursor else None, value.get("resume")
        bookmark = self._parse_moment(text, str(self._cursor)) if text is not None else None
        if resume is None:
            return StreamPosition(bookmark)
        if not isinstance(resume, Mapping):
            raise self._error(f"resume of {where} is not an object")
        since = resume.get("since")
        if since is not None and not isinstance(since, str):
            raise self._error(f"resume.since of {where} is not a string")
        partitions = self._parse_partitions(resume, where)
        started_at = self._parse_moment(resume.get("began"), "resume.began")
        is_full = resume.get("full") is True
        is_reading_in_full = self._full_read is not None and not self._full_read.is_finished
        if is_full != is_reading_in_full and (is_full or self._cursor is None):
            # A full read is known by its version. Without it, or by another sync mode, the scan starts again.
            return StreamPosition(bookmark)
        return StreamPosition(bookmark, ResumePoint(partitions, since, started_at, is_full))

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
        started_at = self._parse_moment(value.get("began"), "full_read.began", by_machine=True)
        start_date = value.get("start_date")
        done = value.get("done")
        return FullRead(
            value["version"],
            started_at,
            None if start_date is None else self._parse_moment(start_date, "full_read.start_date"),
            frozenset(map(str, done)) if isinstance(done, list) else None,
            value.get("keeps_older_rows") is True,
            value.get("skipped_parents") is True,
            value.get("skipped_before") is True,
            value.get("ended_early") is True,
            value.get("ended_early_before") is True,
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

    def _parse_moment(self, value: Any, name: str, by_machine: bool = False) -> datetime:
        """Parse a timestamp.

        Args:
            value: the value in the state.
            name: its name, for errors.
            by_machine: it comes from the machine's clock, which can have been wrong: a future one means now.
        """
        try:
            moment = parse_timestamp(value)
        except (ValueError, OverflowError, AttributeError, TypeError):
            raise self._error(f"{name} is {repr(value)[:40]}, not a timestamp such as 2024-01-01T00:00:00Z") from None
        if by_machine:
            moment = min(moment, clock.now())
        if moment > clock.now() + MAX_FUTURE:
            raise self._error(f"{name} is {repr(value)[:40]}, in the future: nothing would be read until then")
        # Go's zero time is in the year 1, for example.
        return max(moment, EARLIEST)

    def _error(self, problem: str) -> InputError:
        return InputError(
            "state",
            f"the state of the stream {self._stream!r} is not valid: {' '.join(problem.split())}",
            "Remove it from the state to read the stream from the start",
        )


def dump_state(fields: StateFields, cursor: str | None) -> dict[str, Any]:
    """The JSON form of a state.

    Args:
        fields: what it holds.
        cursor: the bookmark's key; None: the stream is read in full at every sync.
    """
    if list(fields.positions) == [""]:
        state = _dump_position(fields.positions[""], cursor)
    else:
        state = _dump_modes(fields, cursor)
    if fields.nested_pages:
        state["nested_pages"] = dict(fields.nested_pages)
    if fields.full_read:
        state["full_read"] = _dump_full_read(fields.full_read)
    if fields.retry:
        state["retry"] = {
            **({"since": format_timestamp(fields.retry.since)} if fields.retry.since else {}),
            **({} if fields.retry.ids is None else {"ids": sorted(fields.retry.ids)}),
        }
    if fields.forbidden_columns:
        state["forbidden_columns"] = sorted(fields.forbidden_columns)
    if fields.needs_full_read:
        state["needs_full_read"] = True
    return state


def _dump_modes(fields: StateFields, cursor: str | None) -> dict[str, Any]:
    """One position for each group of modes, and the lowest bookmark beside them for other taps."""
    state: dict[str, Any] = {}
    bookmarks = [position.bookmark for position in fields.positions.values()]
    known = [bookmark for bookmark in bookmarks if bookmark]
    if cursor and known and len(known) == len(bookmarks):
        state[cursor] = format_timestamp(min(known))
    groups: dict[StreamPosition, list[str]] = {}
    for mode, position in {**fields.unused, **fields.positions}.items():
        groups.setdefault(position, []).append(mode)
    by_modes = {",".join(modes): _dump_position(position, cursor) for position, modes in groups.items()}
    if cursor or any(by_modes.values()):
        state["modes"] = by_modes
    return state


def _dump_position(position: StreamPosition, cursor: str | None) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if position.bookmark and cursor:
        state[cursor] = format_timestamp(position.bookmark)
    if position.resume:
        state["resume"] = {
            **_dump_partitions(position.resume.partitions),
            "since": position.resume.since,
            "began": format_timestamp(position.resume.bookmark),
            **({"full": True} if position.resume.is_full else {}),
        }
    return state


def _dump_full_read(full_read: FullRead) -> dict[str, Any]:
    flags = (
        "keeps_older_rows",
        "skipped_parents",
        "skipped_before",
        "ended_early",
        "ended_early_before",
        "has_gap",
    )
    return {
        "version": full_read.version,
        "began": format_timestamp(full_read.started_at),
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
