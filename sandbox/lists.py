"""Lists of records: what the API holds, in the order in which it serves it.

A list is made of a source (records by index, made when they are asked for) and of what was put
since. Records are handled by number: below the source's count it is the source's index, from there
on what was put, in order of arrival. Filters look at columns (dotted paths into a record), which
are computed once a list.
"""

from __future__ import annotations

import bisect
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from .ids import flat_of, make_id
from .times import parse_moment

Record = dict[str, Any]
Match = Callable[[int], bool]

_CACHE_BYTES = 96 * 1024 * 1024
_TIMES = ("created_at", "updated_at")


def extract(record: Record, column: str) -> Any:
    """What a column says of a record.

    A column is a dotted path; `[]` after a name goes through an array and gives a tuple. The
    timestamps come as milliseconds; a record without `updated_at` gives its `created_at`.
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
    """Where a list's first records come from."""

    count: int

    def id_at(self, index: int) -> str: ...

    def index_of(self, record_id: str) -> int | None: ...

    def make(self, index: int) -> bytes: ...

    def fast(self, column: str) -> Callable[[int], Any] | None:
        """The column without making the record, where the source can tell."""

    def new_id(self, handle: int, at_ms: int) -> str:
        """An id for a record that is added to the list."""

    def group(self, column: str, value: str) -> range | None:
        """Where the records with that value lie, when they lie together and the source knows."""


class FixedSource:
    """Records that are there from the start, as bytes."""

    def __init__(self, salt: int, rows: Sequence[bytes], ids: Sequence[str]) -> None:
        self.count = len(rows)
        self._salt = salt
        self._rows = rows
        self._ids = ids
        self._index = {record_id: index for index, record_id in enumerate(ids)}

    @classmethod
    def of(cls, salt: int, records: Iterable[Record]) -> FixedSource:
        records = list(records)
        ids = [str(record.get("id") or index) for index, record in enumerate(records)]
        return cls(salt, [orjson.dumps(record) for record in records], ids)

    def id_at(self, index: int) -> str:
        return self._ids[index]

    def index_of(self, record_id: str) -> int | None:
        return self._index.get(record_id)

    def make(self, index: int) -> bytes:
        return self._rows[index]

    def fast(self, column: str) -> Callable[[int], Any] | None:
        return None

    def new_id(self, handle: int, at_ms: int) -> str:
        return make_id(self._salt, handle, at_ms)

    def group(self, column: str, value: str) -> range | None:
        return None


class InventedSource:
    """Records made from their index. A subclass says when each was created, and makes it."""

    def __init__(self, salt: int, count: int) -> None:
        self.salt = salt
        self.count = count

    def created(self, index: int) -> int:
        raise NotImplementedError

    def make(self, index: int) -> bytes:
        raise NotImplementedError

    def id_at(self, index: int) -> str:
        return make_id(self.salt, index, self.created(index))

    def index_of(self, record_id: str) -> int | None:
        index = flat_of(self.salt, record_id)
        if index is None or index >= self.count or self.id_at(index) != record_id:
            return None
        return index

    def fast(self, column: str) -> Callable[[int], Any] | None:
        return {"created_at": self.created}.get(column)

    def new_id(self, handle: int, at_ms: int) -> str:
        return make_id(self.salt, handle, at_ms)

    def group(self, column: str, value: str) -> range | None:
        return None


class RecordList:
    """One list. `newest_first` is the order when the request asks for none."""

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        newest_first: bool = False,
        derived: Mapping[str, Callable[[Record], Any]] | None = None,
    ) -> None:
        """`derived` are columns that a record alone does not tell, with how to come by them."""
        self.name = name
        self.source = source
        self.newest_first = newest_first
        self.version = 0
        self._derived = derived or {}
        self._count = source.count
        self._put: dict[int, bytes] = {}
        self._put_values: dict[int, dict[str, Any]] = {}
        self._put_ids: dict[str, int] = {}
        self._tail: list[tuple[str, int]] = []  # (id, handle), by id
        self._tail_ids: dict[int, str] = {}
        self._gone: set[int] = set()
        self._columns: dict[str, Sequence[Any]] = {}
        self._rows: dict[int, bytes] = {}
        self._rows_bytes = 0

    def __len__(self) -> int:
        return self._count + len(self._tail) - len(self._gone)

    @property
    def length(self) -> int:
        """How many positions there are, those of deleted records included."""
        return self._count + len(self._tail)

    def find(self, record_id: str) -> int | None:
        """The handle of a record that is there."""
        handle = self._put_ids.get(record_id)
        if handle is None:
            handle = self.source.index_of(record_id)
        return None if handle is None or handle in self._gone else handle

    def id_of(self, handle: int) -> str:
        if handle < self._count:
            return self.source.id_at(handle)
        return self._tail_ids[handle]

    def row(self, handle: int) -> bytes:
        """The record, serialised."""
        row = self._put.get(handle) or self._rows.get(handle)
        if row is None:
            row = self.source.make(handle)
            if self._rows_bytes < _CACHE_BYTES:
                # A copy as long as the record: orjson's own keeps the whole of its buffer.
                row = bytes(memoryview(row))
                self._rows[handle] = row
                self._rows_bytes += len(row) + 100
        return row

    def preload(self) -> None:
        """Make the records now, as many as are kept."""
        for handle in range(self._count):
            if self._rows_bytes >= _CACHE_BYTES:
                break
            self.row(handle)

    def record(self, handle: int) -> Record:
        found: Record = orjson.loads(self.row(handle))
        return found

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
        """The column of the source's records."""
        values = self._columns.get(column)
        if values is None:
            fast = self.source.fast(column)
            made = (
                (fast(index) for index in range(self._count))
                if fast is not None
                else (self._extract(self.record(index), column) for index in range(self._count))
            )
            if column in _TIMES:
                values = array("q", (0 if moment is None else moment for moment in made))
            else:
                values = list(made)
            self._columns[column] = values
        return values

    def handle_at(self, position: int) -> int:
        return position if position < self._count else self._tail[position - self._count][1]

    def position_of(self, handle: int) -> int:
        if handle < self._count:
            return handle
        return self._count + bisect.bisect_left(self._tail, (self._tail_ids[handle], handle))

    def handles(self, match: Match | None = None, *, reverse: bool = False, after: int | None = None) -> Iterator[int]:
        """Handles in order, from the one behind `after` on (a handle)."""
        last = self.length - 1
        if reverse:
            start = last if after is None else self.position_of(after) - 1
            positions = range(start, -1, -1)
        else:
            start = 0 if after is None else self.position_of(after) + 1
            positions = range(start, last + 1)
        if not self._tail and not self._gone:
            return iter(positions) if match is None else filter(match, positions)
        handles: Iterator[int] = map(self.handle_at, positions)
        if self._gone:
            handles = filter(lambda handle: handle not in self._gone, handles)
        return handles if match is None else filter(match, handles)

    def group(self, column: str, value: str) -> list[int]:
        """Handles of the records with that value in the column, in order."""
        known = self.source.group(column, value)
        if known is None:
            found = [h for h in self.handles() if self.value(h, column) == value]
        else:
            found = [h for h in known if h not in self._gone and (h not in self._put or self.value(h, column) == value)]
            found += [h for _, h in self._tail if h not in self._gone and self.value(h, column) == value]
        return found

    def put(self, record: Record) -> int:
        """Add a record, or replace the one with its id; its handle."""
        record_id = str(record["id"])
        handle = self._put_ids.get(record_id)
        if handle is None:
            handle = self.source.index_of(record_id)
        if handle is None:
            handle = self._count + len(self._tail)
            self._tail_ids[handle] = record_id
            bisect.insort(self._tail, (record_id, handle))
        self._put_ids[record_id] = handle
        self._put[handle] = orjson.dumps(record)
        self._put_values[handle] = {}
        self._gone.discard(handle)
        self.version += 1
        return handle

    def delete(self, record_id: str) -> bool:
        handle = self.find(record_id)
        if handle is None:
            return False
        self._gone.add(handle)
        self.version += 1
        return True

    def new_id(self, at_ms: int) -> str:
        """An id for a record created at that moment."""
        return self.source.new_id(self._count + len(self._tail), at_ms)


def mode_of_incident(
    lists: Mapping[str, RecordList | ChildList],
) -> dict[str, Callable[[Record], Any]]:
    """The derived column of what belongs to incidents: the incident's mode."""

    def mode(record: Record) -> Any:
        incidents = lists.get("incidents")
        if not isinstance(incidents, RecordList):
            return None
        handle = incidents.find(str(record.get("incident_id")))
        return None if handle is None else incidents.value(handle, "mode")

    return {"incident_mode": mode}


class ChildList:
    """A list that is asked for by the ids of its parents: a small list for each of them."""

    def __init__(
        self,
        name: str,
        parents: Sequence[tuple[str, RecordList | ChildList]],
        make: Callable[[str, tuple[str, ...]], RecordList],
        parent_of: Callable[[str], tuple[str, ...] | None],
    ) -> None:
        """`make` gets the list's name and the parents' ids; `parent_of` gets a child's id."""
        self.name = name
        self.parents = parents
        self._make = make
        self._parent_of = parent_of
        self._lists: OrderedDict[tuple[str, ...], RecordList] = OrderedDict()
        self._kept: dict[tuple[str, ...], RecordList] = {}

    def of(self, parent_ids: tuple[str, ...]) -> RecordList | None:
        """The children of a parent; None when there is no such parent."""
        above: tuple[str, ...] = ()
        for parent_id, (_, parent) in zip(parent_ids, self.parents, strict=True):
            if isinstance(parent, ChildList):
                if parent.parents and above:
                    within = parent.of(above[-len(parent.parents) :])
                    if within is None or within.find(parent_id) is None:
                        return None
                elif parent.find(parent_id) is None:
                    return None
            elif parent.find(parent_id) is None:
                return None
            above += (parent_id,)
        kept = self._kept.get(parent_ids)
        if kept is not None:
            return kept
        found = self._lists.get(parent_ids)
        if found is None:
            found = self._lists[parent_ids] = self._make(self.name, parent_ids)
            if len(self._lists) > 4096:
                self._lists.popitem(last=False)
        return found

    def put(self, parent_ids: tuple[str, ...], record: Record) -> bool:
        """Add or replace a child; whether there is such a parent."""
        children = self.of(parent_ids)
        if children is None:
            return False
        self._kept[parent_ids] = children
        children.put(record)
        return True

    def delete(self, parent_ids: tuple[str, ...], record_id: str) -> bool:
        children = self.of(parent_ids)
        if children is None:
            return False
        self._kept[parent_ids] = children
        return children.delete(record_id)

    def find(self, record_id: str) -> RecordList | None:
        """The small list that holds a child."""
        for children in self._kept.values():
            if children.find(record_id) is not None:
                return children
        parent_ids = self._parent_of(record_id)
        found = None if parent_ids is None else self.of(parent_ids)
        return found if found is not None and found.find(record_id) is not None else None

    def all(self) -> Iterator[tuple[tuple[str, ...], RecordList]]:
        """Every parent that is there, with its children."""
        for parent_ids in self._parent_tuples(self.parents):
            children = self.of(parent_ids)
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
