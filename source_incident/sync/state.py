"""The position of a stream: bookmarks and resume points, and their form in the state.

A stream's state is one JSON object, described in docs/design.md, "State". Airbyte carries it as the stream's state,
Singer as the stream's bookmark.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from source_incident.config import DEFAULT_MODES
from source_incident.errors import InputError
from source_incident.protocol import FULL_REFRESH_MARKERS
from source_incident.timestamps import EARLIEST, format_timestamp, parse_timestamp

# Two clocks can differ by less than this. A bookmark further ahead is a mistake.
MAX_FUTURE = timedelta(days=1)


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
    """

    partitions: tuple[Partition, ...]
    since: str | None
    began_at: datetime


@dataclass(frozen=True)
class StreamPosition:
    """The position of one incident mode, or of a whole stream.

    Attributes:
        bookmark: finished scans emitted everything that changed before it; None: no scan has finished.
        resume: the unfinished scan; None: there is none.
    """

    bookmark: datetime | None = None
    resume: ResumePoint | None = None

    def reached(self, rest: tuple[Partition, ...], since: str | None, began_at: datetime) -> "StreamPosition":
        """The position once everything but `rest` was emitted."""
        return replace(self, resume=ResumePoint(rest, since, began_at))

    def finished(self, began_at: datetime) -> "StreamPosition":
        """The position once the whole scan was emitted. A bookmark never moves back."""
        return StreamPosition(max(self.bookmark, began_at) if self.bookmark else began_at)

    def restarted(self) -> "StreamPosition":
        return replace(self, resume=None)


class StreamState:
    """The positions of one stream, by incident mode.

    Args:
        stream: the stream's name, for errors.
        cursor: the bookmark's key in the state.
        modes: the incident modes of the config; ("",) for a stream without modes.
        state: the stream's state as it was given; None or empty: a first sync.

    Raises:
        InputError: the state is not valid.
    """

    def __init__(self, stream: str, cursor: str, modes: Iterable[str], state: Mapping[str, Any] | None) -> None:
        self.stream = stream
        self.cursor = cursor
        self.nested_pages: dict[str, int] = {}
        self.positions: dict[str, StreamPosition] = {mode: StreamPosition() for mode in modes}
        # Modes that the config no longer has. If they return, they continue from here.
        self._unused: dict[str, StreamPosition] = {}
        if state and not FULL_REFRESH_MARKERS & state.keys():
            self._load(state)

    def dump(self) -> dict[str, Any]:
        """The state that covers everything emitted so far."""
        state: dict[str, Any]
        if list(self.positions) == [""]:
            state = self._dump_position(self.positions[""])
        else:
            bookmarks = [position.bookmark for position in self.positions.values()]
            known = [bookmark for bookmark in bookmarks if bookmark]
            state = {self.cursor: format_timestamp(min(known))} if known and len(known) == len(bookmarks) else {}
            groups: dict[StreamPosition, list[str]] = {}
            for mode, position in {**self._unused, **self.positions}.items():
                groups.setdefault(position, []).append(mode)
            state["modes"] = {",".join(modes): self._dump_position(position) for position, modes in groups.items()}
        if self.nested_pages:
            state["nested_pages"] = dict(self.nested_pages)
        return state

    def _load(self, state: Mapping[str, Any]) -> None:
        if not {self.cursor, "modes", "resume"} & state.keys():
            raise self._error(f"it has none of {self.cursor}, modes, resume")
        pages = state.get("nested_pages")
        if isinstance(pages, Mapping):
            self.nested_pages = {str(key): value for key, value in pages.items() if type(value) is int and value > 0}
        if "" in self.positions:
            self.positions[""] = self._parse_position(state, "it")
            return
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
        else:
            raise self._error("modes is not an object")
        for mode in self.positions:
            self.positions[mode] = parsed.pop(mode, StreamPosition())
        self._unused = parsed

    def _parse_position(self, value: Any, where: str) -> StreamPosition:
        if not isinstance(value, Mapping):
            raise self._error(f"{where} is not an object")
        text, resume = value.get(self.cursor), value.get("resume")
        bookmark = self._parse_moment(text, self.cursor) if text is not None else None
        if resume is None:
            return StreamPosition(bookmark)
        if not isinstance(resume, Mapping):
            raise self._error(f"resume of {where} is not an object")
        since = resume.get("since")
        if since is not None and not isinstance(since, str):
            raise self._error(f"resume.since of {where} is not a string")
        partitions = self._parse_partitions(resume, where)
        return StreamPosition(
            bookmark, ResumePoint(partitions, since, self._parse_moment(resume.get("began"), "resume.began"))
        )

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
        if position.bookmark:
            state[self.cursor] = format_timestamp(position.bookmark)
        if position.resume:
            state["resume"] = {
                **_dump_partitions(position.resume.partitions),
                "since": position.resume.since,
                "began": format_timestamp(position.resume.began_at),
            }
        return state


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
