"""The base class of all streams: builds requests from a declaration, and parses pages.

Nothing here needs the CDK, whose import takes longer than a short sync. `cdk_streams.py` makes `HttpStream`s of it.
docs/design.md, "A stream is a declaration", lists the attributes that a declaration sets.
"""

import json
import logging
import re
from abc import ABC
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import quote

from airbyte_protocol_dataclasses.models import AirbyteStream, SyncMode

from source_incident import clock
from source_incident.api import CSV, Client, Response, UnexpectedAnswerError
from source_incident.config import DEFAULT_MODES, Config
from source_incident.streams.page import (
    Page,
    Record,
    Slice,
    cursor_of,
    is_url,
    record_list,
    record_object,
    remove_field,
    total_records,
    value_at,
)
from source_incident.timestamps import EARLIEST, format_timestamp

logger = logging.getLogger("airbyte.incident.streams")


class IncidentStream(ABC):
    """A list of the API.

    A slice selects a part of the list. Its keys are `modes` (incident modes), `since` (the value of the cursor
    filter), `filters` (further query parameters), `span` (the first moment of creation and the end of the span, either
    can be None), and the parents' ids that the path or the query needs.
    """

    endpoint: ClassVar[str]
    primary_key: ClassVar[list[str]]
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
    month_parameters: ClassVar[tuple[str, str] | None] = None
    csv_column: ClassVar[str | None] = None
    mode_parameter: ClassVar[str | None] = None
    modes_in_one_request: ClassVar[bool] = False
    uncertain_modes: ClassVar[frozenset[str]] = frozenset()
    from_parameter: ClassVar[str | None] = None
    credentials: ClassVar[Mapping[str, str]] = {}
    credential_urls: ClassVar[Mapping[str, str]] = {}
    nested: ClassVar[Mapping[str, str]] = {}
    detail_endpoint: ClassVar[str | None] = None
    detail_columns: ClassVar[Mapping[str, str]] = {}
    open_parent_query: ClassVar[Mapping[str, Any]] = {}
    selected_by_default: ClassVar[bool] = True
    uses_root_cursor: ClassVar[bool] = False
    required_fields: ClassVar[tuple[str, ...]] = ()
    complete_until: ClassVar[str | None] = None
    known_values: ClassVar[Mapping[str, frozenset[str]]] = {}
    filter_values_from: ClassVar[str | None] = None

    def __init__(self, client: Client, config: Config) -> None:
        super().__init__()
        self.client = client
        self.config = config
        # A window must stay the same from page to page.
        self._created_at = clock.now()
        self._reported_values: set[str] = set()

    @cached_property
    def name(self) -> str:
        return stream_name(type(self))

    # Requests

    def page_path(self, stream_slice: Slice) -> str:
        """The path of a slice's pages, below the endpoint."""
        if "{" not in self.endpoint:
            return self.endpoint
        return self.endpoint.format_map({key: _path_segment(id_) for key, id_ in stream_slice.items()})

    def page_params(self, stream_slice: Slice, after: str | None = None) -> dict[str, Any]:
        """The query parameters of a page.

        Args:
            stream_slice: the part of the list.
            after: the page's cursor; None: the first page.
        """
        params: dict[str, Any] = dict(self.query)
        if self.page_size:
            params["page_size"] = self.page_size
        if self.from_parameter:
            params[self.from_parameter] = format_timestamp(EARLIEST)
        if self.window_parameters:
            params.update(zip(self.window_parameters, map(format_timestamp, self.window()), strict=True))
        params.update(self.slice_params(stream_slice))
        if after:
            params[self.after_parameter] = after
        return params

    def slice_params(self, stream_slice: Slice) -> Mapping[str, Any]:
        """The query parameters of a slice."""
        params: dict[str, Any] = dict(stream_slice.get("filters", {}))
        modes = stream_slice.get("modes")
        if self.mode_parameter and modes:
            if self.modes_in_one_request:
                params[self.mode_parameter] = list(modes)
            elif set(modes) != set(DEFAULT_MODES):
                # Without the parameter the API returns both default modes at once (docs/api.md, filters).
                (params[self.mode_parameter],) = modes
        return params

    def window(self) -> tuple[datetime, datetime]:
        """The first and the last moment of the time window that is requested.

        It starts and ends at midnight UTC, so that every sync of a day requests the same window.
        """
        today = self._created_at.replace(hour=0, minute=0, second=0, microsecond=0)
        past, future = self.config.schedule_entries_past, self.config.schedule_entries_future
        return today - past, today + timedelta(days=1) + future

    # Pages

    def read_page(self, stream_slice: Slice, after: str | None) -> Page:
        """Read one page of a slice.

        Args:
            stream_slice: the part of the list.
            after: the page's cursor; None: the first page.

        Raises:
            ApiError: what `RetriedRequest` raises.
        """
        params = self.page_params(stream_slice, after)
        formats = {"body_format": CSV} if self.csv_column else {}
        request = self.client.request(self.page_path(stream_slice), params, **formats)
        while True:
            response = request.send()
            try:
                return self.parse_page(response, stream_slice, params)
            except UnexpectedAnswerError as error:
                del response  # the next answer may need its memory
                request.retry(error)

    def first_records(self, stream_slice: Slice) -> list[Record]:
        """The first record of a slice, or all of them where the list has no pages."""
        params = {**self.page_params(stream_slice), **({"page_size": 1} if self.page_size else {})}
        return self._records(self.client.get(self.page_path(stream_slice), params).body)

    def parse_page(self, response: Response, stream_slice: Slice, params: Mapping[str, Any]) -> Page:
        """Parse a page, and check that it fits the list's contract.

        Args:
            response: the answer.
            stream_slice: the part of the list.
            params: the query parameters of the request.

        Raises:
            UnexpectedAnswerError: it does not.
        """
        body = response.body
        records, after = self._records(body), self.after(body)
        for record in records:
            for key in self._api_keys:
                if record.get(key) is None:
                    raise UnexpectedAnswerError(f"a record in the answer has no {key!r}, which is part of its key")
        if after is None and self.page_size and len(records) >= self.page_size:
            # The last page has a `pagination_meta` without `after` or with null (docs/api.md, pages). Anything else
            # on a full page would end the list in the middle.
            meta = body.get("pagination_meta")
            if meta is None or (isinstance(meta, dict) and meta.get("after") == ""):
                raise UnexpectedAnswerError("the answer is a full page and does not say whether another page follows")
        count = len(records)
        records = self.select_records(records, params)
        self._complete(records, body, stream_slice)
        self._warn_of_unknown_values(records)
        complete_until = cursor_of({"": value_at(body, self.complete_until)}, "") if self.complete_until else None
        return Page(
            records,
            after,
            response.requested_at,
            total_records(body),
            complete_until,
            is_short=self._is_short(body, count),
            memory=response.memory,
        )

    def _is_short(self, body: Mapping[str, Any], count: int) -> bool:
        """Whether the page has fewer records than requested, although the API allowed as many."""
        meta = body.get("pagination_meta")
        honoured = isinstance(meta, dict) and meta.get("page_size") == self.page_size
        return self.page_size is not None and honoured and count < self.page_size

    def _complete(self, records: list[Record], body: Mapping[str, Any], stream_slice: Slice) -> None:
        """Remove credentials from the records, and add the fields that the declaration adds."""
        for record in records:
            self._remove_credentials(record)
        for field, paths in self.key_fallback.items():
            for record in records:
                if not record.get(field):
                    record[field] = "/".join(str(value) for path in paths if (value := value_at(record, path)))
        for field, path in self.extra_fields.items():
            for record in records:
                record.setdefault(field, value_at(record, path))
        constants = {field: value_at(body, path) for field, path in self.body_fields.items()}
        for field, value in {**constants, **self.parent_fields(stream_slice)}.items():
            for record in records:
                record.setdefault(field, value)

    def _remove_credentials(self, record: Record) -> None:
        for path in self.credentials:
            remove_field(record, path.split("."))
        for path in self.credential_urls:
            remove_field(record, path.split("."), is_url)

    def add_details(self, record: Record, body: Record, columns: Iterable[str]) -> None:
        """Add columns to a record that only the answer of `detail_endpoint` has.

        Args:
            record: the record of the list.
            body: the answer.
            columns: the columns.
        """
        for column in columns:
            record[column] = value_at(body, self.detail_columns[column])
        self._remove_credentials(record)

    def _warn_of_unknown_values(self, records: list[Record]) -> None:
        """Warn of values that a filter elsewhere would have to name, once each."""
        for field, known in self.known_values.items():
            for value in {str(record.get(field)) for record in records} - known - self._reported_values:
                self._reported_values.add(value)
                logger.warning(
                    "%s: unknown %s %r. Records with it may be missing from other streams. Please report it",
                    self.name,
                    field,
                    value,
                )

    def select_records(self, records: list[Record], params: Mapping[str, Any]) -> list[Record]:
        """Choose the records of a page that are emitted.

        Args:
            records: the records as the API returned them.
            params: the query parameters of the request.
        """
        return records

    def parent_fields(self, stream_slice: Slice) -> Mapping[str, Any]:
        """The fields that join a record to its parents, with their values in a slice."""
        return {}

    def _records(self, body: Mapping[str, Any]) -> list[Record]:
        if self.records_key is None:
            for field in self.required_fields:
                if body.get(field) is None:
                    raise UnexpectedAnswerError(f"the answer has no {field!r}")
            # Every field of a record can be optional. An error that a proxy wraps in a 200 has none of them.
            if body and not self.required_fields and body.keys().isdisjoint(self.get_json_schema()["properties"]):
                raise UnexpectedAnswerError(f"the answer has no field of {self.name}")
            return [dict(body)]
        if self.records_key not in body:
            raise UnexpectedAnswerError(f"the answer has no {self.records_key!r}")
        value = body[self.records_key]
        if self.single_record:
            return [record_object(value, self.records_key)]
        if self.record_lists:
            lists = record_object(value, self.records_key)
            records = [
                {**record, str(self.record_list_field): name}
                for name in self.record_lists
                for record in record_list(lists.get(name), name)
            ]
        else:
            records = record_list(value, self.records_key)
            if self.csv_column:
                records = [{self.csv_column: row} for row in records]
        if self.position_field:
            for position, record in enumerate(records):
                record.setdefault(self.position_field, position)
        return records

    def after(self, body: Mapping[str, Any]) -> str | None:
        """The cursor of the next page; None: this is the last page.

        Raises:
            UnexpectedAnswerError: it can't be used.
        """
        meta = body.get("pagination_meta")
        if not meta:
            return None
        after = meta.get("after") if isinstance(meta, dict) else meta
        if after is None or after == "":
            return None
        if not isinstance(after, str):
            raise UnexpectedAnswerError("pagination_meta.after in the answer is not a string")
        if self.client.redact(after) != after:
            # It would be in the next URL and in the state.
            raise UnexpectedAnswerError("the cursor in the answer holds the API key")
        if self.page_size is None and self.after_parameter == "after":
            raise UnexpectedAnswerError("the answer has a cursor, but the list is documented without pages")
        return after

    @cached_property
    def _api_keys(self) -> tuple[str, ...]:
        """The key's fields that come from the API, and not from the declaration."""
        return tuple(key for key in self.primary_key if key not in self._added_fields())

    @classmethod
    def _added_fields(cls) -> set[str | None]:
        return {*cls.key_fallback, *cls.extra_fields, *cls.body_fields, cls.record_list_field, cls.position_field}

    # Discovery

    @property
    def bookmark_key(self) -> str | None:
        """The key of the bookmark in the stream's state; None: the stream has no bookmark."""
        return None

    @property
    def default_cursor_field(self) -> list[str]:
        """The path of the column that says when a record changed; empty: there is none."""
        return []

    @property
    def supports_incremental(self) -> bool:
        return self.bookmark_key is not None

    @property
    def is_resumable(self) -> bool:
        """Whether a killed read continues from a page: the stream, or the list at the root of its tree, has pages."""
        return self.supports_incremental or self.page_size is not None

    @property
    def has_window(self) -> bool:
        """Whether a read sees a part of the records only, so that it can't tell which ones were deleted."""
        return self.window_parameters is not None or self.month_parameters is not None

    def get_json_schema(self) -> Mapping[str, Any]:
        """The schema of a record."""
        return record_schema(self.name)

    def as_airbyte_stream(self) -> AirbyteStream:
        """The stream in the catalog that discovery prints."""
        stream = AirbyteStream(self.name, dict(self.get_json_schema()), [SyncMode.full_refresh])
        stream.is_resumable = self.is_resumable
        if self.supports_incremental:
            stream.supported_sync_modes.append(SyncMode.incremental)
            stream.source_defined_cursor = True
            stream.default_cursor_field = self.default_cursor_field
        stream.source_defined_primary_key = [[key] for key in self.primary_key] or None
        return stream


def stream_name(kind: type[IncidentStream]) -> str:
    """The name of a stream: that of its class, in lower case with underscores."""
    return re.sub("(?<=.)(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def _path_segment(id_: Any) -> str:
    """An id of the API as a part of a path.

    Raises:
        UnexpectedAnswerError: the path would lead elsewhere.
    """
    text = str(id_)
    if text in ("", ".", ".."):
        raise UnexpectedAnswerError(f"an id in the answer is {text!r}")
    return quote(text, safe="")


@cache
def record_schema(name: str) -> Mapping[str, Any]:
    """The schema of a stream's records."""
    schema: Mapping[str, Any] = json.loads(files("source_incident.schemas").joinpath(f"{name}.json").read_bytes())
    return schema
