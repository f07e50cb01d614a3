"""What a sync reads: trees of streams, and the fewest passes that serve every consumer from where it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from source_incident.config import DEFAULT_MODES, Config
from source_incident.streams.base import (
    ChildStream,
    CursorStream,
    IncidentStream,
    IncrementalStream,
    Record,
    cursor_of,
)
from source_incident.sync.state import Partition, StreamPosition, StreamState


@dataclass(frozen=True)
class Selected:
    """A stream that is to be read.

    Attributes:
        stream: the stream.
        incremental: from the bookmark on, and with checkpoints; else all of it.
        nested: the nested columns that are wanted.
        optional: nobody chose it: where the key may not read it, it is left out with a warning.
        state: the stream's state, parsed; None where it is read in full.
    """

    stream: IncidentStream
    incremental: bool
    nested: frozenset[str] = frozenset()
    optional: bool = False
    progress: StreamState | None = None


@dataclass
class StreamNode:
    """A stream in the tree of what hangs below a list.

    Attributes:
        selected: None where the stream is only read for its children.
    """

    stream: IncidentStream
    selected: Selected | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    children: list["StreamNode"] = field(default_factory=list)

    def walk(self) -> Iterator["StreamNode"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def consumers(self) -> list[Selected]:
        return [node.selected for node in self.walk() if node.selected]


@dataclass
class ListScan:
    """One reading of a list, for one or more consumers.

    Attributes:
        modes: the incident modes that it asks for.
        since: the filter as it is sent; None: none.
        parts: what is left of the list.
        divisible: a long list may be read in parts.
        began: the bookmark it leaves; None: the moment the sync began.
        floors: by consumer and mode, the moment from which on that consumer wants records; None: all.
    """

    modes: tuple[str, ...]
    since: str | None = None
    parts: tuple[Partition, ...] = (Partition(),)
    divisible: bool = True
    began: datetime | None = None
    floors: dict[str, dict[str, datetime | None]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.since is None and self.parts == (Partition(),)

    def leaves_out_below(self, name: str) -> bool:
        """Whether it leaves out records for one who reads what is below the list `name`."""
        return any(any(floors.values()) for consumer, floors in self.floors.items() if consumer != name)

    def starts_all_of(self, name: str) -> bool:
        """Whether it begins with the first page of what a consumer wants, and the API's filter leaves out the rest."""
        if self.parts != (Partition(),) or name not in self.floors:
            return False
        return self.since is not None or not any(self.floors[name].values())


def plan_trees(streams: Mapping[str, IncidentStream], selected: Iterable[Selected]) -> list[StreamNode]:
    """The selected streams as trees, a root for each list that is not below another.

    Args:
        streams: every stream of the source, by name.
        selected: what is to be read, in order.
    """
    by_class = {type(stream): stream for stream in streams.values()}
    nodes: dict[tuple[str, str], StreamNode] = {}
    roots: list[StreamNode] = []

    def node_of(stream: IncidentStream, filters: Mapping[str, Any]) -> StreamNode:
        key = (stream.name, repr(filters))
        if key in nodes:
            return nodes[key]
        node = nodes[key] = StreamNode(stream, filters=filters)
        if isinstance(stream, ChildStream):
            node_of(by_class[stream.parent], stream.parent_query).children.append(node)
        else:
            roots.append(node)
        return node

    for item in selected:
        node_of(item.stream, {}).selected = item
    return roots


def plan_passes(tree: StreamNode, config: Config) -> list[ListScan]:
    """The passes that a tree needs: the fewest that serve every consumer from where it is."""
    stream = tree.stream
    modes: tuple[str, ...] = config.incident_modes if stream.mode_parameter else ("",)
    if not isinstance(stream, CursorStream):
        return [ListScan(modes, floors={item.stream.name: {"": None} for item in tree.consumers()})]
    passes: dict[tuple[Any, ...], ListScan] = {}
    for mode in modes:
        fresh: dict[str, datetime | None] = {}
        for item in tree.consumers():
            name = item.stream.name
            place = item.progress.positions[mode] if item.progress else StreamPosition()
            floor = floor_of(stream, place, config)
            if not place.resume:
                fresh[name] = floor
                continue
            resume = place.resume
            key = (series(stream, mode), resume)
            _join(
                passes,
                key,
                ListScan((), resume.since, resume.parts, began=resume.began),
                mode,
                {name: floor},
            )
        if fresh:
            earliest = None if None in fresh.values() else min(floor for floor in fresh.values() if floor)
            since = stream.since_filter(earliest) if earliest and isinstance(stream, IncrementalStream) else None
            _join(passes, (series(stream, mode), since), ListScan((), since), mode, fresh)
    return list(passes.values())


def series(stream: IncidentStream, mode: str) -> str:
    """Modes of the same series can come in one request."""
    return "" if stream.modes_in_one_request or mode in DEFAULT_MODES else mode


def floor_of(stream: CursorStream, place: StreamPosition, config: Config) -> datetime | None:
    """The moment from which on records are wanted: the bookmark less the lookback, or the start date."""
    return place.bookmark - stream.lookback if place.bookmark else config.start_date


def wanted_by(tree: StreamNode, one: ListScan, records: list[Record]) -> list[frozenset[str]]:
    """For each record, which consumers want it."""
    everybody = frozenset(one.floors)
    floors = [(name, by_mode) for name, by_mode in one.floors.items()]
    if not isinstance(tree.stream, CursorStream) or all(
        floor is None for _, by_mode in floors for floor in by_mode.values()
    ):
        return [everybody] * len(records)
    cursor_field = tree.stream.cursor_field
    by_mode = len(one.modes) > 1
    result = []
    for record in records:
        cursor = cursor_of(record, cursor_field)
        mode = str(record.get("mode")) if by_mode else one.modes[0]
        result.append(
            frozenset(name for name, of_mode in floors if passes_floor(cursor, of_mode.get(mode, lowest(of_mode))))
        )
    return result


def passes_floor(cursor: datetime | None, floor: datetime | None) -> bool:
    return floor is None or cursor is None or cursor >= floor


def lowest(floors: Mapping[str, datetime | None]) -> datetime | None:
    """The lowest of some consumers' floors, for a record of a mode that nobody asked for."""
    values = list(floors.values())
    return None if None in values else min(value for value in values if value)


def _join(
    passes: dict[tuple[Any, ...], ListScan],
    key: tuple[Any, ...],
    new: ListScan,
    mode: str,
    floors: Mapping[str, datetime | None],
) -> None:
    joined = passes.setdefault(key, new)
    if mode not in joined.modes:
        joined.modes += (mode,)
    for name, floor in floors.items():
        joined.floors.setdefault(name, {})[mode] = floor
