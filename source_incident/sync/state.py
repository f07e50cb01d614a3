"""How far a stream got: bookmarks and resume points, and their form in the state.

A stream's state is one JSON object, described in docs/design.md, "State". The Airbyte protocol carries it as the
stream's state, Singer as the stream's bookmark.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from source_incident.config import DEFAULT_MODES
from source_incident.timestamps import EARLIEST, format_timestamp, parse_timestamp

# What the Airbyte platform and CDK write for a full refresh: a state that says nothing.
EMPTY_MARKERS = frozenset({"__ab_no_cursor_state_message", "__ab_full_refresh_sync_complete"})


# Two clocks may differ by less than this; a bookmark further ahead is a mistake.
FUTURE = timedelta(days=1)


class StateError(ValueError):
    """A state that can't be understood; the text says why."""


@dataclass(frozen=True)
class Partition:
    """What is left of a list, or of the part of it that was created in a span of time: one chain of pages.

    Attributes:
        after: the page to go on with; None: the first.
        start, end: the span, without its end; None: open.
    """

    after: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class ResumePoint:
    """Where an unfinished pass goes on.

    Attributes:
        parts: what is left of the list.
        since: that pass's filter, as it was sent; None: it had none.
        began: the bookmark that the pass will leave when it finishes.
    """

    parts: tuple[Partition, ...]
    since: str | None
    began: datetime


@dataclass(frozen=True)
class StreamPosition:
    """How far the records of one incident mode, or of the whole stream, were emitted.

    Attributes:
        bookmark: everything that changed before it was emitted by passes that finished; None: no pass has.
        resume: the unfinished pass, if there is one.
    """

    bookmark: datetime | None = None
    resume: ResumePoint | None = None

    def reached(self, left: tuple[Partition, ...], since: str | None, began: datetime) -> "StreamPosition":
        """The place once everything but what is `left` was emitted."""
        return replace(self, resume=ResumePoint(left, since, began))

    def finished(self, began: datetime) -> "StreamPosition":
        """The place once the whole pass was emitted. A bookmark never moves back."""
        return StreamPosition(max(self.bookmark, began) if self.bookmark else began)

    def restarted(self) -> "StreamPosition":
        return replace(self, resume=None)


class StreamState:
    """The positions of one stream, by incident mode.

    Args:
        stream: the stream's name, for errors.
        cursor: the bookmark's key in the state.
        modes: the incident modes of the config; ("",) for a stream that is not read by mode.
        state: the stream's state as it was given; None or empty: a first sync.

    Raises:
        StateError: the state can't be understood.
    """

    def __init__(self, stream: str, cursor: str, modes: Iterable[str], state: Mapping[str, Any] | None) -> None:
        self.stream = stream
        self.cursor = cursor
        self.nested_pages: dict[str, int] = {}
        self.positions: dict[str, StreamPosition] = {mode: StreamPosition() for mode in modes}
        # Modes that the config has left out since: should they come back, they go on from here.
        self._idle: dict[str, StreamPosition] = {}
        if state and not EMPTY_MARKERS & state.keys():
            self._load(state)

    def state(self) -> dict[str, Any]:
        """The state for what has been emitted so far."""
        state: dict[str, Any]
        if list(self.positions) == [""]:
            state = self._dumped(self.positions[""])
        else:
            bookmarks = [place.bookmark for place in self.positions.values()]
            known = [bookmark for bookmark in bookmarks if bookmark]
            state = {self.cursor: format_timestamp(min(known))} if known and len(known) == len(bookmarks) else {}
            groups: dict[StreamPosition, list[str]] = {}
            for mode, place in {**self._idle, **self.positions}.items():
                groups.setdefault(place, []).append(mode)
            state["modes"] = {",".join(modes): self._dumped(place) for place, modes in groups.items()}
        if self.nested_pages:
            state["nested_pages"] = dict(self.nested_pages)
        return state

    def _load(self, state: Mapping[str, Any]) -> None:
        if not {self.cursor, "modes", "resume"} & state.keys():
            raise StateError(f"it has none of {self.cursor}, modes, resume")
        pages = state.get("nested_pages")
        if isinstance(pages, Mapping):
            self.nested_pages = {str(key): value for key, value in pages.items() if type(value) is int and value > 0}
        if "" in self.positions:
            self.positions[""] = self._parsed(state, "it")
            return
        by_mode = state.get("modes")
        if by_mode is None:
            # Another tap's state, which knows one bookmark: it was for what the API answers when nothing is asked for.
            place = self._parsed(state, "it")
            found = dict.fromkeys(DEFAULT_MODES, place)
        elif isinstance(by_mode, Mapping):
            found = {
                mode: self._parsed(value, f"modes.{modes}")
                for modes, value in by_mode.items()
                for mode in modes.split(",")
            }
        else:
            raise StateError("modes is not an object")
        for mode in self.positions:
            self.positions[mode] = found.pop(mode, StreamPosition())
        self._idle = found

    def _parsed(self, value: Any, where: str) -> StreamPosition:
        if not isinstance(value, Mapping):
            raise StateError(f"{where} is not an object")
        bookmark, resume = value.get(self.cursor), value.get("resume")
        if resume is None:
            return StreamPosition(self._moment(bookmark, self.cursor) if bookmark is not None else None)
        if not isinstance(resume, Mapping):
            raise StateError(f"resume of {where} is not an object")
        since = resume.get("since")
        if since is not None and not isinstance(since, str):
            raise StateError(f"resume.since of {where} is not a string")
        return StreamPosition(
            self._moment(bookmark, self.cursor) if bookmark is not None else None,
            ResumePoint(self._parts(resume, where), since, self._moment(resume.get("began"), "resume.began")),
        )

    def _parts(self, resume: Mapping[str, Any], where: str) -> tuple[Partition, ...]:
        if "parts" not in resume:
            if not isinstance(resume.get("after"), str) or not resume["after"]:
                raise StateError(f"resume of {where} has no page to go on from (after)")
            return (Partition(resume["after"]),)
        parts = resume["parts"]
        if not isinstance(parts, list) or not parts or not all(isinstance(part, Mapping) for part in parts):
            raise StateError(f"resume.parts of {where} is not a list of objects")
        parsed = []
        for part in parts:
            after = part.get("after")
            if after is not None and (not isinstance(after, str) or not after):
                raise StateError(f"after in resume.parts of {where} is not a page to go on from")
            span = (self._moment(part[end], f"resume.parts.{end}") if end in part else None for end in ("from", "to"))
            parsed.append(Partition(after, *span))
        return tuple(parsed)

    @staticmethod
    def _moment(value: Any, name: str) -> datetime:
        try:
            moment = parse_timestamp(value)
        except (ValueError, OverflowError, AttributeError, TypeError):
            raise StateError(f"{name} is {repr(value)[:40]}, not a timestamp such as 2024-01-01T00:00:00Z") from None
        if moment > datetime.now(UTC) + FUTURE:
            raise StateError(f"{name} is {repr(value)[:40]}, in the future: nothing would be read until then")
        # Such as Go's zero time, the year 1.
        return max(moment, EARLIEST)

    def _dumped(self, place: StreamPosition) -> dict[str, Any]:
        state: dict[str, Any] = {}
        if place.bookmark:
            state[self.cursor] = format_timestamp(place.bookmark)
        if place.resume:
            state["resume"] = {
                **_dumped_parts(place.resume.parts),
                "since": place.resume.since,
                "began": format_timestamp(place.resume.began),
            }
        return state


def _dumped_parts(parts: tuple[Partition, ...]) -> dict[str, Any]:
    """One part that is all of the list is its page alone, as another tap would write it."""
    if len(parts) == 1 and parts[0] == Partition(parts[0].after):
        return {"after": parts[0].after}
    return {
        "parts": [
            {
                **({"after": part.after} if part.after else {}),
                **({"from": format_timestamp(part.start)} if part.start else {}),
                **({"to": format_timestamp(part.end)} if part.end else {}),
            }
            for part in parts
        ]
    }
