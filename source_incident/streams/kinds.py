"""The kinds of stream. A stream of the API is a declaration on one of them."""

from abc import ABC
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from source_incident.streams.base import IncidentStream
from source_incident.streams.months import month_bounds
from source_incident.streams.page import Record, Slice
from source_incident.timestamps import format_timestamp

# Keys of a slice that are not ids of parents.
SLICE_OPTIONS = ("modes", "since", "filters", "span")


class FullTableStream(IncidentStream, ABC):
    """Reads the whole list at every sync."""


class DetailStream(IncidentStream):
    """Reads one record of another stream, for the columns that its list leaves out. Its records are whole bodies.

    Args:
        stream: the other stream. The slice has the record's `id`.
    """

    endpoint = ""
    records_key = None
    primary_key = []

    def __init__(self, stream: IncidentStream) -> None:
        self._stream = stream  # the base class asks for the name
        super().__init__(stream.client, stream.config)
        self.endpoint = str(stream.detail_endpoint)  # type: ignore[misc]  # not of the class
        self.required_fields = tuple(dict.fromkeys(path.split(".")[0] for path in stream.detail_columns.values()))  # type: ignore[misc]

    @cached_property
    def name(self) -> str:
        return self._stream.name


class CursorStream(IncidentStream, ABC):
    """An incremental stream: it has a cursor field, and a bookmark in the state."""

    cursor_field: str
    minimum_lookback: ClassVar[timedelta] = timedelta(0)

    @property
    def bookmark_key(self) -> str | None:
        return self.cursor_field

    @property
    def default_cursor_field(self) -> list[str]:
        return [self.cursor_field]

    @property
    def lookback(self) -> timedelta:
        """How far before the bookmark the stream reads again."""
        return max(self.minimum_lookback, self.config.lookback_window)


class IncrementalStream(CursorStream, ABC):
    """Asks the API for the records that changed since the bookmark, with one `cursor[gte]` filter."""

    filter_by_date: ClassVar[bool] = False
    partition_field: ClassVar[str | None] = None

    def since_filter(self, moment: datetime) -> str:
        """The filter's value for a moment: a date where the API compares dates, else a timestamp.

        The API does not document the time zone of its dates. The zone furthest behind UTC is 12 hours behind, so a
        date taken 12 hours early never starts too late.
        """
        if self.filter_by_date:
            return (moment.astimezone(UTC) - timedelta(hours=12)).strftime("%Y-%m-%d")
        return format_timestamp(moment)

    def slice_params(self, stream_slice: Slice) -> Mapping[str, Any]:
        params = dict(super().slice_params(stream_slice))
        if since := stream_slice.get("since"):
            params[f"{self.cursor_field}[gte]"] = since
        if span := stream_slice.get("span"):
            params.update(self._span_filter(*span))
        return params

    def _span_filter(self, start: datetime | None, end: datetime | None) -> Mapping[str, str]:
        """The filter for records created at `start` or later and before `end`.

        The API takes one operator per field. Dates and `lte` include their end, a range of timestamps excludes it
        (docs/api.md, filters).
        """
        first = start and (f"{start:%Y-%m-%d}" if self.filter_by_date else format_timestamp(start))
        if end is None:
            return {f"{self.partition_field}[gte]": str(first)}
        last = f"{end - timedelta(days=1):%Y-%m-%d}" if self.filter_by_date else format_timestamp(end)
        if first:
            return {f"{self.partition_field}[date_range]": f"{first}~{last}"}
        # With a timestamp, records of the end itself come twice. An earlier end could lose those of its millisecond.
        return {f"{self.partition_field}[lte]": last}


class ClientFilteredStream(CursorStream, ABC):
    """Reads the whole list, since the API has no filter for it, and emits the records newer than the bookmark."""


class ChildStream(IncidentStream, ABC):
    """Reads one list per record of its parent."""

    parent: ClassVar[type[IncidentStream]]
    parent_key: ClassVar[str]
    parent_field: ClassVar[str] = "id"
    parent_parameter: ClassVar[str | None] = None
    parent_query: ClassVar[Mapping[str, Any]] = {}
    group_key: ClassVar[str | None] = None
    group_field: ClassVar[str | None] = None

    @classmethod
    def root(cls) -> type[IncidentStream]:
        """The stream at the top of the tree."""
        return cls.parent.root() if issubclass(cls.parent, ChildStream) else cls.parent

    @property
    def is_resumable(self) -> bool:
        return self.supports_incremental or self.root().page_size is not None

    @property
    def bookmark_key(self) -> str | None:
        """The cursor of the record at the root of the tree, such as `incident_updated_at`."""
        if not self.uses_root_cursor:
            return None
        top: type[ChildStream] = type(self)
        while issubclass(top.parent, ChildStream):
            top = top.parent
        if not issubclass(top.parent, CursorStream):
            raise TypeError(f"{self.name}: uses_root_cursor needs a parent with a cursor")
        return f"{top.parent_key.removesuffix('_id')}_{top.parent.cursor_field}"

    def child_slice(self, parent_record: Record, parent_slice: Slice) -> Slice | None:
        """The slice for one record of the parent; None: the record has no id to ask with."""
        id_ = parent_record.get(self.parent_field)
        return {**parent_ids(parent_slice), self.parent_key: id_} if id_ else None

    def child_slices(self, parent_record: Record, parent_slice: Slice) -> list[Slice]:
        """The slices for one record of the parent: its own list, if the record can have one, and those of its groups.

        Args:
            parent_record: the record.
            parent_slice: the slice that has the record.
        """
        slices: list[Slice] = []
        if not self.parent_query or parent_slice.get("filters") == self.parent_query:
            own = self.child_slice(parent_record, parent_slice)
            slices += [own] if own else []
        groups = parent_record.get(self.group_field) if self.group_field else None
        if self.group_key and isinstance(groups, list):
            slices += [{**parent_ids(parent_slice), self.group_key: group} for group in dict.fromkeys(groups) if group]
        return slices

    def slice_params(self, stream_slice: Slice) -> Mapping[str, Any]:
        params = dict(super().slice_params(stream_slice))
        if self.group_key and self.group_key in stream_slice:
            params[self.group_key] = stream_slice[self.group_key]
        elif f"{{{self.parent_key}}}" not in self.endpoint:
            params[self.parent_parameter or self.parent_key] = stream_slice[self.parent_key]
        if self.month_parameters:
            bounds = month_bounds(stream_slice["month"], self._created_at)
            params.update(zip(self.month_parameters, map(format_timestamp, bounds), strict=True))
        return params

    def parent_fields(self, stream_slice: Slice) -> Mapping[str, Any]:
        return parent_ids(stream_slice)

    @classmethod
    def _added_fields(cls) -> set[str | None]:
        parents = cls.parent._added_fields() if issubclass(cls.parent, ChildStream) else set()
        months = {"month"} if cls.month_parameters else set()
        return {*super()._added_fields(), *parents, *months, cls.parent_key}


class IncidentChildStream(ChildStream, ABC):
    """Reads one list per incident: for incidents that changed since the bookmark, and for those that are open."""

    parent_key = "incident_id"
    uses_root_cursor = True


def parent_ids(stream_slice: Slice) -> dict[str, Any]:
    """The parents' ids in a slice."""
    return {key: value for key, value in stream_slice.items() if key not in SLICE_OPTIONS}
