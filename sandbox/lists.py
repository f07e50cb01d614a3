"""Lists of records, in the order in which the API returns them.

A list has a source (records by index, generated on demand) and the records that were put later. A
handle is the number of a record: below the source's count it is the index in the source; above, it
numbers the added records in order of arrival. Filters read columns (dotted paths into a record),
which are computed once per list.
"""

from __future__ import annotations

import bisect
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from sandbox.ids import make_id, number_from_id
from sandbox.times import parse_moment

Record = dict[str, Any]
Match = Callable[[int], bool]

_CACHE_BYTES = 96 * 1024 * 1024
_MAX_CHILD_LISTS = 4096
_TIMES = ("created_at", "updated_at")

# Lists that the API returns newest first by default.
NEWEST_FIRST = frozenset({"incidents", "alerts", "escalations", "workflow_runs", "pay_reports", "postmortem_documents"})


def extract(record: Record, column: str) -> Any:
    """The value of a column.

    A column is a dotted path. `[]` after a name iterates over an array and gives a tuple.
    Timestamps are in milliseconds; without `updated_at`, the column has `created_at`.
    """
    if column in _TIMES:
        text = record.get(column) or record.get("created_at")
        return parse_moment(text) if isinstance(text, str) else None
    value: Any = record
    for name in column.split("."):
        if name.endswith("[]"):
            rest = column.split("[].", 1)[1] if "[]." in column else ""
            items = (value or {}).get(name[:-2]) or ()
            return tuple(extract(item, rest) if rest else item for item in items)
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


class Source(Protocol):
    """The initial records of a list."""

    count: int

    def id_at(self, index: int) -> str: ...

    def index_of(self, record_id: str) -> int | None: ...

    def make(self, index: int) -> bytes: ...

    def column(self, column: str) -> Callable[[int], Any] | None:
        """A function from index to the column's value; None if the column needs the record."""

    def new_id(self, handle: int, at_ms: int) -> str:
        """An id for a record added to the list."""

    def range_with(self, column: str, value: str) -> range | None:
        """The records with a value, if they are adjacent; None if the source does not know."""


class FixedSource:
    """Serialized records that exist from the start."""

    def __init__(self, salt: int, rows: Sequence[bytes], ids: Sequence[str]) -> None:
        self.count = len(rows)
        self._salt = salt
        self._rows = rows
        self._ids = ids
        self._index = {record_id: index for index, record_id in enumerate(ids)}

    @classmethod
    def from_records(cls, salt: int, records: Iterable[Record]) -> FixedSource:
        records = list(records)
        ids = [str(record.get("id") or index) for index, record in enumerate(records)]
        return cls(salt, [orjson.dumps(record) for record in records], ids)

    def id_at(self, index: int) -> str:
        return self._ids[index]

    def index_of(self, record_id: str) -> int | None:
        return self._index.get(record_id)

    def make(self, index: int) -> bytes:
        return self._rows[index]

    def column(self, column: str) -> Callable[[int], Any] | None:
        return None

    def new_id(self, handle: int, at_ms: int) -> str:
        return make_id(self._salt, handle, at_ms)

    def range_with(self, column: str, value: str) -> range | None:
        return None


class InventedSource:
    """Records generated from their index. Subclasses define `created` and `make`."""

    def __init__(self, salt: int, count: int) -> None:
        self.salt = salt
        self.count = count

    def created(self, index: int) -> int:
        """When a record was created, in milliseconds."""
        raise NotImplementedError

    def make(self, index: int) -> bytes:
        """The serialized record."""
        raise NotImplementedError

    def id_at(self, index: int) -> str:
        return make_id(self.salt, index, self.created(index))

    def index_of(self, record_id: str) -> int | None:
        index = number_from_id(self.salt, record_id)
        if index is None or index >= self.count or self.id_at(index) != record_id:
            return None
        return index

    def column(self, column: str) -> Callable[[int], Any] | None:
        return {"created_at": self.created}.get(column)

    def new_id(self, handle: int, at_ms: int) -> str:
        return make_id(self.salt, handle, at_ms)

    def range_with(self, column: str, value: str) -> range | None:
        return None


class RecordList:
    """One list of records. `newest_first` is its default order."""

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        newest_first: bool = False,
        derived: Mapping[str, Callable[[Record], Any]] | None = None,
    ) -> None:
        """`derived` has functions for columns that are not in the record itself."""
        self.name = name
        self.source = source
        self.newest_first = newest_first
        self.version = 0
        self._derived = derived or {}
        self._count = source.count
        # Records that were put: changed and added ones.
        self._put_rows: dict[int, bytes] = {}
        self._put_values: dict[int, dict[str, Any]] = {}
        self._put_handles: dict[str, int] = {}
        # Of these, the added ones: (id, handle), sorted by id.
        self._added: list[tuple[str, int]] = []
        self._added_ids: dict[int, str] = {}
        self._deleted: set[int] = set()
        self._columns: dict[str, Sequence[Any]] = {}
        self._rows: dict[int, bytes] = {}
        self._rows_bytes = 0

    def __len__(self) -> int:
        return self._count + len(self._added) - len(self._deleted)

    @property
    def length(self) -> int:
        """Number of positions, including those of deleted records."""
        return self._count + len(self._added)

    def find(self, record_id: str) -> int | None:
        """The handle of a record; None if it does not exist."""
        handle = self._put_handles.get(record_id)
        if handle is None:
            handle = self.source.index_of(record_id)
        return None if handle is None or handle in self._deleted else handle

    def id_of(self, handle: int) -> str:
        if handle < self._count:
            return self.source.id_at(handle)
        return self._added_ids[handle]

    def row(self, handle: int) -> bytes:
        """The serialized record."""
        row = self._put_rows.get(handle) or self._rows.get(handle)
        if row is None:
            row = self.source.make(handle)
            if self._rows_bytes < _CACHE_BYTES:
                # Copy: orjson's bytes keep their larger buffer alive.
                row = bytes(memoryview(row))
                self._rows[handle] = row
                self._rows_bytes += len(row) + 100
        return row

    def preload(self) -> None:
        """Generate the records now, as many as the cache holds."""
        for handle in range(self._count):
            if self._rows_bytes >= _CACHE_BYTES:
                break
            self.row(handle)

    def record(self, handle: int) -> Record:
        record: Record = orjson.loads(self.row(handle))
        return record

    def value(self, handle: int, column: str) -> Any:
        values = self._put_values.get(handle)
        if values is not None:
            if column not in values:
                values[column] = self._extract(self.record(handle), column)
            return values[column]
        return self.column(column)[handle]

    def _extract(self, record: Record, column: str) -> Any:
        derive = self._derived.get(column)
        return extract(record, column) if derive is None else derive(record)

    def column(self, column: str) -> Sequence[Any]:
        """A column of the source's records."""
        values = self._columns.get(column)
        if values is None:
            read = self.source.column(column)
            items: Iterable[Any]
            if read is None:
                items = (self._extract(self.record(index), column) for index in range(self._count))
            else:
                items = map(read, range(self._count))
            values = array("q", (moment or 0 for moment in items)) if column in _TIMES else list(items)
            self._columns[column] = values
        return values

    def handle_at(self, position: int) -> int:
        return position if position < self._count else self._added[position - self._count][1]

    def position_of(self, handle: int) -> int:
        if handle < self._count:
            return handle
        return self._count + bisect.bisect_left(self._added, (self._added_ids[handle], handle))

    def handles(self, match: Match | None = None, *, reverse: bool = False, after: int | None = None) -> Iterator[int]:
        """Handles in order, starting after the handle `after`."""
        last = self.length - 1
        if reverse:
            start = last if after is None else self.position_of(after) - 1
            positions = range(start, -1, -1)
        else:
            start = 0 if after is None else self.position_of(after) + 1
            positions = range(start, last + 1)
        if not self._added and not self._deleted:
            return iter(positions) if match is None else filter(match, positions)
        handles: Iterator[int] = map(self.handle_at, positions)
        if self._deleted:
            handles = filter(lambda handle: handle not in self._deleted, handles)
        return handles if match is None else filter(match, handles)

    def handles_with(self, column: str, value: str) -> list[int]:
        """Handles of the records with a value in a column, in order."""
        known = self.source.range_with(column, value)
        if known is None:
            return [h for h in self.handles() if self.value(h, column) == value]
        replaced, deleted = self._put_rows, self._deleted
        handles = [h for h in known if h not in deleted and (h not in replaced or self.value(h, column) == value)]
        return handles + [h for _, h in self._added if h not in deleted and self.value(h, column) == value]

    def put(self, record: Record) -> int:
        """Add a record, or replace the one with the same id. Returns its handle."""
        record_id = str(record["id"])
        handle = self._put_handles.get(record_id)
        if handle is None:
            handle = self.source.index_of(record_id)
        if handle is None:
            handle = self._count + len(self._added)
            self._added_ids[handle] = record_id
            bisect.insort(self._added, (record_id, handle))
        self._put_handles[record_id] = handle
        self._put_rows[handle] = orjson.dumps(record)
        self._put_values[handle] = {}
        self._deleted.discard(handle)
        self.version += 1
        return handle

    def delete(self, record_id: str) -> bool:
        handle = self.find(record_id)
        if handle is None:
            return False
        self._deleted.add(handle)
        self.version += 1
        return True

    def new_id(self, at_ms: int) -> str:
        """An id for a record created at this time."""
        return self.source.new_id(self._count + len(self._added), at_ms)


def incident_mode_column(lists: Mapping[str, RecordList | ChildList]) -> dict[str, Callable[[Record], Any]]:
    """A derived column for children of incidents: the incident's mode."""

    def mode(record: Record) -> Any:
        incidents = lists.get("incidents")
        if not isinstance(incidents, RecordList):
            return None
        handle = incidents.find(str(record.get("incident_id")))
        return None if handle is None else incidents.value(handle, "mode")

    return {"incident_mode": mode}


class ChildList:
    """A list that is requested by the ids of its parents. Each parent has a `RecordList`."""

    def __init__(
        self,
        name: str,
        parents: Sequence[tuple[str, RecordList | ChildList]],
        make: Callable[[str, tuple[str, ...]], RecordList],
        parent_of: Callable[[str], tuple[str, ...] | None],
    ) -> None:
        """Create a list.

        Args:
            name: the list's name.
            parents: (parameter, list) of each parent, outermost first.
            make: creates the list of one parent, from the name and the parents' ids.
            parent_of: returns the parents' ids of a child, from its id.
        """
        self.name = name
        self.parents = parents
        self._make = make
        self._parent_of = parent_of
        self._lists: OrderedDict[tuple[str, ...], RecordList] = OrderedDict()
        self._changed: dict[tuple[str, ...], RecordList] = {}

    def children_of(self, parent_ids: tuple[str, ...]) -> RecordList | None:
        """The children of a parent; None if the parent does not exist."""
        if not self._parent_exists(parent_ids):
            return None
        children = self._changed.get(parent_ids)
        if children is None:
            children = self._lists.get(parent_ids)
        if children is None:
            children = self._lists[parent_ids] = self._make(self.name, parent_ids)
            if len(self._lists) > _MAX_CHILD_LISTS:
                self._lists.popitem(last=False)
        return children

    def changed_children(self, parent_ids: tuple[str, ...]) -> RecordList | None:
        """The children of a parent, if any was added, replaced or deleted; otherwise None."""
        return self._changed.get(parent_ids)

    def _parent_exists(self, parent_ids: tuple[str, ...]) -> bool:
        outer: tuple[str, ...] = ()
        for parent_id, (_, parent) in zip(parent_ids, self.parents, strict=True):
            siblings: RecordList | ChildList | None = parent
            if isinstance(parent, ChildList) and outer:
                siblings = parent.children_of(outer[-len(parent.parents) :])
            if siblings is None or siblings.find(parent_id) is None:
                return False
            outer += (parent_id,)
        return True

    def put(self, parent_ids: tuple[str, ...], record: Record) -> bool:
        """Add or replace a child. Returns False if the parent does not exist."""
        children = self.children_of(parent_ids)
        if children is None:
            return False
        self._changed[parent_ids] = children
        children.put(record)
        return True

    def delete(self, parent_ids: tuple[str, ...], record_id: str) -> bool:
        children = self.children_of(parent_ids)
        if children is None:
            return False
        self._changed[parent_ids] = children
        return children.delete(record_id)

    def find(self, record_id: str) -> RecordList | None:
        """The list that contains a child; None if it does not exist."""
        for changed in self._changed.values():
            if changed.find(record_id) is not None:
                return changed
        parent_ids = self._parent_of(record_id)
        children = None if parent_ids is None else self.children_of(parent_ids)
        return children if children is not None and children.find(record_id) is not None else None

    def all(self) -> Iterator[tuple[tuple[str, ...], RecordList]]:
        """The ids of every parent, with its children."""
        for parent_ids in self._parent_tuples(self.parents):
            children = self.children_of(parent_ids)
            if children is not None:
                yield parent_ids, children

    @staticmethod
    def _parent_tuples(
        parents: Sequence[tuple[str, RecordList | ChildList]],
    ) -> Iterator[tuple[str, ...]]:
        _, last = parents[-1]
        if isinstance(last, RecordList):
            for handle in last.handles():
                yield (last.id_of(handle),)
            return
        for above, children in last.all():
            for handle in children.handles():
                own = (children.id_of(handle),)
                yield (above + own)[-len(parents) :]
