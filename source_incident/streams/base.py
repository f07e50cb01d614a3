"""The few kinds of stream there are. A stream of the API is a declaration on one of them.

The attributes that a declaration sets are listed in docs/design.md, "A stream is a declaration".
"""

import json
from abc import ABC
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import quote

import requests
from airbyte_cdk.models import SyncMode
from airbyte_cdk.sources.streams.core import CheckpointMode, StreamData
from airbyte_cdk.sources.streams.http import HttpStream
from airbyte_cdk.sources.streams.http.http_client import HttpClient

from source_incident.api import ApiResponse, Client, UnexpectedAnswerError
from source_incident.config import DEFAULT_MODES, Config
from source_incident.timestamps import EARLIEST, format_timestamp, parse_timestamp

Record = dict[str, Any]
Slice = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        records: the records, ready to be emitted.
        after: the next page's `after`; None: this is the last page.
        began: the moment of the request, by the server's clock, if it gave one.
        total: how many records the list has in all, if the API says so.
    """

    records: list[Record]
    after: str | None
    began: datetime | None = None
    total: int | None = None


class _CdkHttpClient(HttpClient):
    """The CDK's client as HttpStream calls it, with this package's client doing the work."""

    def __init__(self, name: str, client: Client) -> None:
        self._name = name
        self._client = client

    def send_request(  # type: ignore[override]
        self,
        http_method: str,
        url: str,
        request_kwargs: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> tuple[requests.PreparedRequest, requests.Response]:
        response = self._client.get(url, params, headers=headers, **request_kwargs)
        return response.request, response


class IncidentStream(HttpStream, ABC):
    """A list of the API.

    A slice says which part of the list is meant: `modes` (incident modes), `since` (the cursor filter's value, as the
    API wants it), `filters` (further query parameters), `span` (from when on, and before when, a record was created;
    either can be None), and the ids that the path or the query take from a parent.
    """

    endpoint: ClassVar[str]
    records_key: ClassVar[str | None]
    single_record: ClassVar[bool] = False
    record_lists: ClassVar[tuple[str, ...]] = ()
    record_list_field: ClassVar[str | None] = None
    position_field: ClassVar[str | None] = None
    key_fallback: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    extra_fields: ClassVar[Mapping[str, str]] = {}
    body_fields: ClassVar[Mapping[str, str]] = {}
    page_size: int | None = None
    after_parameter: ClassVar[str] = "after"
    query: ClassVar[Mapping[str, Any]] = {}
    window_parameters: ClassVar[tuple[str, str] | None] = None
    mode_parameter: ClassVar[str | None] = None
    modes_in_one_request: ClassVar[bool] = False
    from_parameter: ClassVar[str | None] = None
    credentials: ClassVar[Mapping[str, str]] = {}
    nested: ClassVar[Mapping[str, str]] = {}
    open_parent_query: ClassVar[Mapping[str, Any]] = {}
    selected_by_default: ClassVar[bool] = True
    by_parent: ClassVar[bool] = False

    def __init__(self, client: Client, config: Config) -> None:
        super().__init__()
        self._http_client = _CdkHttpClient(self.name, client)
        self._client = client
        self.config = config
        # A window has to stay the same from page to page.
        self._created_at = datetime.now(UTC)

    @property
    def url_base(self) -> str:
        return self._client.endpoint

    @classmethod
    def _join_url(cls, url_base: str, path: str) -> str:
        # urljoin would drop the path of a proxy in front of the API.
        return url_base + path

    def path(
        self,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> str:
        if "{" not in self.endpoint:
            return self.endpoint
        return self.endpoint.format_map({key: quote(str(id_), safe="") for key, id_ in (stream_slice or {}).items()})

    def request_params(
        self,
        stream_state: Mapping[str, Any] | None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> MutableMapping[str, Any]:
        params: dict[str, Any] = dict(self.query)
        if self.page_size:
            params["page_size"] = self.page_size
        if self.from_parameter:
            params[self.from_parameter] = format_timestamp(EARLIEST)
        if self.window_parameters:
            start, end = self.window_parameters
            params[start] = format_timestamp(self._created_at - self.config.schedule_entries_past)
            params[end] = format_timestamp(self._created_at + self.config.schedule_entries_future)
        if stream_slice:
            params.update(self.slice_params(stream_slice))
        if next_page_token:
            params.update(next_page_token)
        return params

    def slice_params(self, stream_slice: Slice) -> Mapping[str, Any]:
        """The query parameters that a slice stands for."""
        params: dict[str, Any] = dict(stream_slice.get("filters", {}))
        modes = stream_slice.get("modes")
        if self.mode_parameter and modes:
            if self.modes_in_one_request:
                params[self.mode_parameter] = list(modes)
            elif set(modes) != set(DEFAULT_MODES):
                # Without the parameter the API answers with both default modes at once (api.md, filters).
                (params[self.mode_parameter],) = modes
        return params

    def request_kwargs(
        self,
        stream_state: Mapping[str, Any] | None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        return {"validate": self.check_body}

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        return self.page_token(self._after(response.json()))

    def parse_response(
        self,
        response: requests.Response,
        *,
        stream_state: Mapping[str, Any],
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> list[Record]:
        body = response.json()
        records = self._records(body)
        for path in self.credentials:
            for record in records:
                _remove(record, path.split("."))
        for field, paths in self.key_fallback.items():
            for record in records:
                if not record.get(field):
                    record[field] = "/".join(str(value) for path in paths if (value := _at(record, path)))
        for field, path in self.extra_fields.items():
            for record in records:
                record.setdefault(field, _at(record, path))
        for field, path in self.body_fields.items():
            value = _at(body, path)
            for record in records:
                record.setdefault(field, value)
        for field, id_ in self.parent_fields(stream_slice or {}).items():
            for record in records:
                record.setdefault(field, id_)
        return records

    def parent_fields(self, stream_slice: Slice) -> Mapping[str, Any]:
        """The fields that join a record to its parents, with their values in this slice."""
        return {}

    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Slice | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[StreamData]:
        """All records of a slice, page by page: what the CDK's own Stream.read asks for."""
        return self._read_pages(
            lambda _request, response, state, slice_: self.parse_response(
                response, stream_state=state, stream_slice=slice_
            ),
            stream_slice,
            stream_state,
        )

    def read_page(self, stream_slice: Slice, after: str | None) -> Page:
        """One page of a slice.

        Args:
            stream_slice: which part of the list.
            after: where the page starts; None: at the beginning.

        Raises:
            ApiError: what the client raises.
        """
        token = self.page_token(after)
        _, response = self._fetch_next_page(stream_slice, {}, token)
        body = response.json()
        return Page(
            records=self.parse_response(response, stream_state={}, stream_slice=stream_slice),
            after=self._after(body),
            began=response.began if isinstance(response, ApiResponse) else None,
            total=_total(body),
        )

    def probe(self) -> None:
        """Asks for one record, to see whether the list may be read; of a child's list, below some record of its parent.

        Raises:
            ApiError: it may not, or the client raises.
        """
        slice_ = self.some_slice()
        if slice_ is not None:
            self.first_records(slice_)

    def some_slice(self) -> Slice | None:
        """Any slice that there is; None: there is nothing to ask for."""
        return {}

    def first_records(self, stream_slice: Slice) -> list[Record]:
        """The first record of a slice, or all of them where the list is not paged."""
        params = {**self.request_params(None, stream_slice), **({"page_size": 1} if self.page_size else {})}
        return self._records(self._client.get(self.path(stream_slice=stream_slice), params).body)

    def page_token(self, after: str | None) -> Mapping[str, Any] | None:
        """The query parameters that ask for the page that starts at `after`."""
        return {self.after_parameter: after} if after else None

    def check_body(self, body: Mapping[str, Any]) -> None:
        """Sees whether a body has the shape that the list's contract says.

        Raises:
            UnexpectedAnswerError: it has not.
        """
        records = self._records(body)
        for record in records:
            for key in self._own_keys:
                if record.get(key) is None:
                    raise UnexpectedAnswerError(f"a record in the answer has no {key!r}, which is its key")
        if self._after(body) is None and self.page_size and len(records) >= self.page_size:
            # The last page has its `pagination_meta`, and no `after` or null in it (api.md, requests): anything else on
            # a full page would end the list in its middle.
            meta = body.get("pagination_meta")
            if meta is None or (isinstance(meta, dict) and meta.get("after") == ""):
                raise UnexpectedAnswerError("the answer is a full page and does not say whether another one follows")

    @cached_property
    def _own_keys(self) -> tuple[str, ...]:
        """The key's fields that a record brings itself."""
        primary_key = self.primary_key
        keys = [primary_key] if isinstance(primary_key, str) else [str(key) for key in primary_key or ()]
        given = {*self.key_fallback, *self.extra_fields, *self.body_fields, self.record_list_field, self.position_field}
        stream: type[IncidentStream] = type(self)
        while issubclass(stream, ChildStream):
            given.add(stream.parent_key)
            stream = stream.parent
        return tuple(key for key in keys if key not in given)

    @property
    def bookmark_key(self) -> str | None:
        """The bookmark's key in the state; None: the stream has none."""
        return None

    @property
    def supports_incremental(self) -> bool:
        return self.bookmark_key is not None

    @property
    def is_resumable(self) -> bool:
        return self.supports_incremental

    @property
    def _checkpoint_mode(self) -> CheckpointMode:
        # The engine keeps the state. The CDK's own read would ask for a resumable list without a cursor for ever.
        return CheckpointMode.FULL_REFRESH

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # the CDK caches its own
        return _schema(self.name)

    def _records(self, body: Mapping[str, Any]) -> list[Record]:
        if self.records_key is None:
            return [dict(body)]
        if self.records_key not in body:
            raise UnexpectedAnswerError(f"the answer has no {self.records_key!r}")
        found = body[self.records_key]
        if self.single_record:
            if not isinstance(found, dict):
                raise UnexpectedAnswerError(f"{self.records_key!r} in the answer is not an object")
            return [found]
        if self.record_lists:
            if not isinstance(found, dict):
                raise UnexpectedAnswerError(f"{self.records_key!r} in the answer is not an object")
            records = []
            for name in self.record_lists:
                rows = _rows(found.get(name) or [], name)
                records += [{**record, str(self.record_list_field): name} for record in rows]
        else:
            records = _rows(found, self.records_key)
        if self.position_field:
            for position, record in enumerate(records):
                record.setdefault(self.position_field, position)
        return records

    def _after(self, body: Mapping[str, Any]) -> str | None:
        meta = body.get("pagination_meta")
        if not meta or (self.page_size is None and self.after_parameter == "after"):
            return None
        after = meta.get("after") if isinstance(meta, dict) else meta
        if after is None or after == "":
            return None
        if not isinstance(after, str):
            raise UnexpectedAnswerError("pagination_meta.after in the answer is not a string")
        return after


class FullTableStream(IncidentStream, ABC):
    """Reads the whole list at every sync."""


class CursorStream(IncidentStream, ABC):
    """An incremental stream: it has a cursor field, and a bookmark in the state."""

    cursor_field: str
    minimum_lookback: ClassVar[timedelta] = timedelta(0)
    filtered_by_api: ClassVar[bool]

    @property
    def bookmark_key(self) -> str | None:
        return self.cursor_field

    @property
    def lookback(self) -> timedelta:
        """How far before the bookmark is read again."""
        return max(self.minimum_lookback, self.config.lookback_window)


class IncrementalStream(CursorStream, ABC):
    """Asks the API for what changed since the bookmark: one `cursor[gte]` filter, then plain paging."""

    filter_by_date: ClassVar[bool] = False
    split_by: ClassVar[str | None] = None
    filtered_by_api = True

    def since_filter(self, moment: datetime) -> str:
        """The filter's value for a moment: a day where the API compares by day, else a timestamp.

        The API does not say in which time zone its days are; the one furthest behind UTC is 12 hours, so that a day
        taken 12 hours early can't begin too late.
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
        """The filter for what was created from `start` on and before `end`.

        One operator a field. Days and `lte` come with their end, a range of timestamps without (api.md, filters).
        """
        first = start and (f"{start:%Y-%m-%d}" if self.filter_by_date else format_timestamp(start))
        if end is None:
            return {f"{self.split_by}[gte]": str(first)}
        last = f"{end - timedelta(days=1):%Y-%m-%d}" if self.filter_by_date else format_timestamp(end)
        if first:
            return {f"{self.split_by}[date_range]": f"{first}~{last}"}
        if not self.filter_by_date:
            last = (end - timedelta(microseconds=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {f"{self.split_by}[lte]": last}


class ClientFilteredStream(CursorStream, ABC):
    """Reads the whole list, since the API has no filter for it, and emits what is newer than the bookmark."""

    filtered_by_api = False


class ChildStream(IncidentStream, ABC):
    """Reads a list for each record of its parent."""

    parent: ClassVar[type[IncidentStream]]
    parent_key: ClassVar[str]
    parent_field: ClassVar[str] = "id"
    parent_parameter: ClassVar[str | None] = None
    parent_query: ClassVar[Mapping[str, Any]] = {}

    @property
    def bookmark_key(self) -> str | None:
        if not self.by_parent:
            return None
        # The bookmark is about the record at the root of the tree: `incident_updated_at`.
        child: type[ChildStream] = type(self)
        while issubclass(child.parent, ChildStream):
            child = child.parent
        root = child.parent
        if not issubclass(root, CursorStream):
            raise TypeError(f"{self.name}: by_parent wants a parent with a cursor")
        return f"{child.parent_key.removesuffix('_id')}_{root.cursor_field}"

    def slice_of(self, parent_record: Record, parent_slice: Slice) -> Slice | None:
        """The slice for one record of the parent; None where the record has no id to ask with."""
        id_ = parent_record.get(self.parent_field)
        return {**ids_of(parent_slice), self.parent_key: id_} if id_ else None

    def some_slice(self) -> Slice | None:
        parent = self.parent(self._client, self.config)
        above = parent.some_slice()
        if above is None:
            return None
        slices = (self.slice_of(record, above) for record in parent.first_records(above))
        return next((slice_ for slice_ in slices if slice_), None)

    def slice_params(self, stream_slice: Slice) -> Mapping[str, Any]:
        params = dict(super().slice_params(stream_slice))
        if f"{{{self.parent_key}}}" not in self.endpoint:
            params[self.parent_parameter or self.parent_key] = stream_slice[self.parent_key]
        return params

    def parent_fields(self, stream_slice: Slice) -> Mapping[str, Any]:
        return ids_of(stream_slice)

    def stream_slices(
        self,
        *,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Slice | None]:
        """The slices as the CDK's own Stream.read asks for them: one a record of the parent."""
        parent = self.parent(self._client, self.config)
        for parent_slice in parent.stream_slices(sync_mode=sync_mode):
            slice_ = {**(parent_slice or {}), "filters": self.parent_query}
            for record in parent.read_records(sync_mode, stream_slice=slice_):
                if isinstance(record, dict) and (found := self.slice_of(record, slice_)):
                    yield found


class IncidentChildStream(ChildStream, ABC):
    """Reads a list for each incident: for those that changed since the bookmark, and for those still open."""

    parent_key = "incident_id"
    by_parent = True


def ids_of(stream_slice: Slice) -> dict[str, Any]:
    """The parents' ids in a slice, without what else it holds."""
    return {key: value for key, value in stream_slice.items() if key not in ("modes", "since", "filters", "span")}


def cursor_of(record: Record, field: str) -> datetime | None:
    """A record's cursor as a moment; None where it has none that can be read."""
    value = record.get(field)
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _rows(found: Any, name: str) -> list[Record]:
    if not isinstance(found, list):
        raise UnexpectedAnswerError(f"{name!r} in the answer is not a list")
    if not set(map(type, found)) <= {dict}:
        raise UnexpectedAnswerError(f"{name!r} in the answer holds what is not a record")
    return found


def _total(body: Mapping[str, Any]) -> int | None:
    meta = body.get("pagination_meta")
    total = meta.get("total_record_count") if isinstance(meta, dict) else None
    return total if type(total) is int and total >= 0 else None


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _remove(value: Any, path: list[str]) -> None:
    """Takes the field at `path` out of an object, through the lists on the way."""
    if isinstance(value, list):
        for item in value:
            _remove(item, path)
    elif isinstance(value, dict):
        if len(path) == 1:
            value.pop(path[0], None)
        else:
            _remove(value.get(path[0]), path[1:])


@cache
def _schema(name: str) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads(files("source_incident.schemas").joinpath(f"{name}.json").read_bytes())
    return schema
