"""Plans a sync: trees of streams, and the fewest list scans that serve every consumer from its position."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from source_incident.config import DEFAULT_MODES, Config
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream, CursorStream, IncrementalStream
from source_incident.streams.page import Record, cursor_of
from source_incident.sync.state import Partition, StreamState


@dataclass(frozen=True)
class SelectedStream:
    """A stream that the sync reads.

    Attributes:
        stream: the stream.
        nested: its selected nested columns and detail columns.
        optional: the user did not select it: where the key may not read it, it is left out with a warning.
        state: its positions and full reads.
        has_foreign_catalog: another program made its catalog, so the column `_undeclared` is missing.
    """

    stream: IncidentStream
    state: StreamState
    nested: frozenset[str] = frozenset()
    optional: bool = False
    has_foreign_catalog: bool = False

    @property
    def name(self) -> str:
        return self.stream.name


@dataclass
class StreamNode:
    """A stream in the tree of a list and its child lists.

    Attributes:
        stream: the stream.
        selected: None: the stream is read for its children only.
        children: the nodes of its child streams.
    """

    stream: IncidentStream
    selected: SelectedStream | None = None
    children: list["StreamNode"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.stream.name

    def walk(self) -> Iterator["StreamNode"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def consumers(self) -> list[SelectedStream]:
        """The selected streams of the tree."""
        return [node.selected for node in self.walk() if node.selected]


@dataclass
class ListScan:
    """One scan of a list, for one or more consumers.

    Attributes:
        modes: the incident modes that it requests.
        since: the cursor filter as it is sent; None: none.
        partitions: the unread rest of the list.
        divisible: a long list may be divided.
        bookmark: the bookmark that it sets; None: the moment the sync began.
        lower_bounds: by consumer and mode, the cursor from which the consumer wants records; None: all.
        retries: by consumer, the ids of records that it wants whatever their cursor.
        is_resumed: it continues a scan of an earlier sync.
    """

    modes: tuple[str, ...]
    since: str | None = None
    partitions: tuple[Partition, ...] = (Partition(),)
    divisible: bool = True
    bookmark: datetime | None = None
    lower_bounds: dict[str, dict[str, datetime | None]] = field(default_factory=dict)
    retries: dict[str, frozenset[str]] = field(default_factory=dict)
    is_resumed: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether it reads the whole list."""
        return self.since is None and self.partitions == (Partition(),)

    def filters_for_children_of(self, name: str) -> bool:
        """Whether it skips records for a consumer below the list `name`."""
        return any(any(bounds.values()) for consumer, bounds in self.lower_bounds.items() if consumer != name)

    def starts_all_of(self, name: str) -> bool:
        """Whether it starts at the first page, and the API's filter skips all records that the consumer skips."""
        if self.partitions != (Partition(),) or name not in self.lower_bounds:
            return False
        return self.since is not None or not any(self.lower_bounds[name].values())


def plan_trees(streams: Mapping[str, IncidentStream], selected: Iterable[SelectedStream]) -> list[StreamNode]:
    """Arrange the selected streams as trees, with one root per list that has no parent.

    Args:
        streams: every stream of the source, by name.
        selected: the selected streams, in order.
    """
    by_class = {type(stream): stream for stream in streams.values()}
    nodes: dict[str, StreamNode] = {}
    roots: list[StreamNode] = []

    def node_of(stream: IncidentStream) -> StreamNode:
        if stream.name in nodes:
            return nodes[stream.name]
        node = nodes[stream.name] = StreamNode(stream)
        if isinstance(stream, ChildStream):
            node_of(by_class[stream.parent]).children.append(node)
        else:
            roots.append(node)
        return node

    for selected_stream in selected:
        node_of(selected_stream.stream).selected = selected_stream
    return roots


def plan_scans(tree: StreamNode, config: Config) -> list[ListScan]:
    """Plan the fewest list scans that serve every consumer of a tree from its position."""
    stream = tree.stream
    scans: dict[tuple[Any, ...], ListScan] = {}
    for mode in config.incident_modes if stream.mode_parameter else ("",):
        new_bounds: dict[str, datetime | None] = {}
        earliest: list[datetime | None] = []
        for consumer in tree.consumers():
            if consumer.state.is_done(mode):
                continue
            bound = lower_bound(stream, consumer, mode, config)
            resume = consumer.state.positions[mode].resume
            if not resume:
                new_bounds[consumer.name] = bound
                earliest.append(_with_retries(bound, consumer.state))
                continue
            scan = ListScan((), resume.since, resume.partitions, bookmark=resume.bookmark, is_resumed=True)
            _join(scans, (mode_series(stream, mode), resume), scan, mode, {consumer.name: bound})
        if new_bounds:
            start = None if None in earliest else min(moment for moment in earliest if moment)
            since = stream.since_filter(start) if start and isinstance(stream, IncrementalStream) else None
            _join(scans, (mode_series(stream, mode), since), ListScan((), since), mode, new_bounds)
    for scan in scans.values():
        scan.retries = {
            consumer.name: consumer.state.retry.ids
            for consumer in tree.consumers()
            if consumer.name in scan.lower_bounds and consumer.state.retry and consumer.state.retry.ids
        }
    return list(scans.values())


def _with_retries(bound: datetime | None, state: StreamState) -> datetime | None:
    """The cursor from which a list must be read, so that incomplete records of earlier syncs come again."""
    retry = state.retry
    if bound is None or retry is None:
        return bound
    return min(bound, retry.since) if retry.since else None


def mode_series(stream: IncidentStream, mode: str) -> str:
    """A key that is equal for modes that one request can return."""
    if mode in stream.uncertain_modes:
        return mode
    return "" if stream.modes_in_one_request or mode in DEFAULT_MODES else mode


def group_modes(stream: IncidentStream, config: Config) -> list[tuple[str, ...]]:
    """The incident modes of the config, as few groups as possible, each for one request."""
    groups: dict[str, tuple[str, ...]] = {}
    for mode in config.incident_modes if stream.mode_parameter else ("",):
        series = mode_series(stream, mode)
        groups[series] = (*groups.get(series, ()), mode)
    return list(groups.values())


def lower_bound(stream: IncidentStream, consumer: SelectedStream, mode: str, config: Config) -> datetime | None:
    """The cursor from which a consumer wants records; None: it wants all.

    The bookmark less the lookback window; in a full read and in a first sync, the start date.
    """
    if not isinstance(stream, CursorStream):
        return None
    bookmark = consumer.state.positions[mode].bookmark
    if bookmark is None or consumer.state.wants_everything(mode):
        return config.start_date
    bound = bookmark - stream.lookback
    retry = consumer.state.retry
    return min(bound, retry.since) if retry and retry.since and retry.ids is None else bound


def consumers_of_records(tree: StreamNode, scan: ListScan, records: list[Record]) -> list[frozenset[str]]:
    """For each record, the names of the consumers that want it."""
    bounds_by_consumer = list(scan.lower_bounds.items())
    if not isinstance(tree.stream, CursorStream) or all(
        bound is None for _, bounds in bounds_by_consumer for bound in bounds.values()
    ):
        return [frozenset(scan.lower_bounds)] * len(records)
    cursor_field = tree.stream.cursor_field
    several_modes = len(scan.modes) > 1
    consumers = []
    for record in records:
        cursor = cursor_of(record, cursor_field)
        mode = str(record.get("mode")) if several_modes else scan.modes[0]
        names = {name for name, bounds in bounds_by_consumer if is_within(cursor, bounds.get(mode, lowest(bounds)))}
        names.update(name for name, ids in scan.retries.items() if record.get("id") in ids)
        consumers.append(frozenset(names))
    return consumers


def is_within(cursor: datetime | None, bound: datetime | None) -> bool:
    """Whether a record with this cursor is at or above a lower bound. A record without a cursor is."""
    return bound is None or cursor is None or cursor >= bound


def lowest(bounds: Mapping[str, datetime | None]) -> datetime | None:
    """The lowest of a consumer's bounds, for a record of a mode that was not requested."""
    values = list(bounds.values())
    return None if None in values else min(value for value in values if value)


def _join(
    scans: dict[tuple[Any, ...], ListScan],
    key: tuple[Any, ...],
    new: ListScan,
    mode: str,
    bounds: Mapping[str, datetime | None],
) -> None:
    """Add consumers to the scan with this key, or start it."""
    scan = scans.setdefault(key, new)
    if mode not in scan.modes:
        scan.modes += (mode,)
    for name, bound in bounds.items():
        scan.lower_bounds.setdefault(name, {})[mode] = bound
