"""The streams as the CDK reads them. The program's own sync reads the declarations without the CDK."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import product
from typing import Any

import requests
from airbyte_cdk.models import AirbyteStream, SyncMode
from airbyte_cdk.sources.streams.core import CheckpointMode
from airbyte_cdk.sources.streams.http import HttpStream

from source_incident.api import Response
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream
from source_incident.streams.page import Record, Slice


class CdkStream(HttpStream):
    """A stream of the CDK. Its requests are those of the declaration, with the same retries and rate limit.

    Args:
        declaration: the stream.
    """

    def __init__(self, declaration: IncidentStream) -> None:
        self.declaration = declaration
        super().__init__()

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def primary_key(self) -> list[str]:
        return self.declaration.primary_key

    @property
    def cursor_field(self) -> list[str]:
        return self.declaration.default_cursor_field

    @property
    def supports_incremental(self) -> bool:
        return self.declaration.supports_incremental

    @property
    def is_resumable(self) -> bool:
        return self.declaration.is_resumable

    @property
    def _checkpoint_mode(self) -> CheckpointMode:
        # The engine keeps the state. The CDK's own read would ask for a resumable list without a cursor for ever.
        return CheckpointMode.FULL_REFRESH

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # the CDK caches its own
        return self.declaration.get_json_schema()

    def as_airbyte_stream(self) -> AirbyteStream:
        return self.declaration.as_airbyte_stream()

    # Reading

    def stream_slices(
        self,
        *,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Slice | None]:
        return _slices(self.declaration)

    def read_records(
        self,
        sync_mode: SyncMode,
        cursor_field: list[str] | None = None,
        stream_slice: Slice | None = None,
        stream_state: Mapping[str, Any] | None = None,
    ) -> Iterable[Record]:
        return _records(self.declaration, stream_slice or {})

    # The parts of a request and of an answer, for programs that send the requests themselves

    @property
    def url_base(self) -> str:
        return self.declaration.client.endpoint

    def path(
        self,
        *,
        stream_state: Mapping[str, Any] | None = None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> str:
        return self.declaration.page_path(stream_slice or {})

    def request_params(
        self,
        stream_state: Mapping[str, Any] | None,
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> MutableMapping[str, Any]:
        return {**self.declaration.page_params(stream_slice or {}), **(next_page_token or {})}

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        after = self.declaration.after(response.json())
        return {self.declaration.after_parameter: after} if after else None

    def parse_response(
        self,
        response: requests.Response,
        *,
        stream_state: Mapping[str, Any],
        stream_slice: Slice | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> list[Record]:
        return self.declaration.parse_page(Response(response.json(), None), stream_slice or {}, {}).records


def _records(stream: IncidentStream, stream_slice: Slice) -> Iterator[Record]:
    """Yield the records of all pages of a slice."""
    after: str | None = None
    while True:
        page = stream.read_page(stream_slice, after)
        yield from page.records
        if page.after is None:
            return
        after = page.after
        del page  # the next one may need its memory


def _slices(stream: IncidentStream) -> Iterator[Slice]:
    """Yield the slices of a stream: of a child stream, those of all records of its parent, each group once."""
    if not isinstance(stream, ChildStream):
        yield {}
        return
    parent = stream.parent(stream.client, stream.config)
    queries = [stream.parent_query, {}] if stream.group_key else [stream.parent_query]
    groups: set[Any] = set()
    for parent_slice, query in product(_slices(parent), queries):
        slice_ = {**parent_slice, "filters": query}
        for record in _records(parent, slice_):
            for child_slice in stream.child_slices(record, slice_):
                group = child_slice.get(stream.group_key) if stream.group_key else None
                if group is None or group not in groups:
                    groups.add(group)
                    yield child_slice
