"""The account, as far as a limited number of requests shows it. Answers are kept, and each request is made once."""

import copy
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from source_incident import clock
from source_incident.api import (
    JSON,
    ApiError,
    AuthenticationError,
    BodyFormat,
    Client,
    ForbiddenError,
    NotFoundError,
    RequestError,
    Response,
    TransientError,
    UnexpectedAnswerError,
    UnreachableError,
)
from source_incident.api.retry import RetriedRequest
from source_incident.api.transport import PreparedGet
from source_incident.config import DEFAULT_MODES
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream, parent_ids
from source_incident.streams.page import Page, Record, Slice
from source_incident.timestamps import format_timestamp
from source_incident.verify.assumption import NotTriedError, RefusedError, scope_name

# The most requests of a run. Retries are not counted.
MAX_REQUESTS = 80
# An id that no record has.
MADE_UP_ID = "01AAAAAAAAAAAAAAAAAAAAAAAA"


@dataclass(frozen=True)
class Exchange:
    """What an answer shows besides its records.

    Attributes:
        endpoint: the path, without ids.
        headers: the answer's headers.
        requested_at: the moment of the request by the server's clock.
        sent_at: the same moment by the machine's clock.
    """

    endpoint: str
    headers: Mapping[str, str]
    requested_at: datetime | None
    sent_at: datetime


@dataclass(frozen=True)
class Answer:
    """A page of a stream, parsed and as the API sent it.

    Attributes:
        stream: the stream.
        slice: the part of the list that was requested.
        body: the body as it arrived; empty: it is not a JSON object.
        page: the parsed page; None: the connector can't use it.
        problem: why the connector can't use it.
    """

    stream: IncidentStream
    slice: Slice
    body: Mapping[str, Any]
    page: Page | None
    problem: str = ""

    @property
    def records(self) -> list[Record]:
        """The records as they would be emitted."""
        return self.page.records if self.page else []

    @property
    def raw_records(self) -> list[Record]:
        """The records as they arrived."""
        value = self.body.get(self.stream.records_key) if self.stream.records_key else self.body
        if isinstance(value, dict) and self.stream.record_lists:
            value = [record for name in self.stream.record_lists for record in value.get(name) or ()]
        values = value if isinstance(value, list) else [value]
        if self.stream.csv_column:
            values = [{self.stream.csv_column: row} for row in values]
        return [record for record in values if isinstance(record, dict)]

    @property
    def meta(self) -> Mapping[str, Any]:
        """The `pagination_meta`; empty: there is none."""
        meta = self.body.get("pagination_meta")
        return meta if isinstance(meta, dict) else {}

    @property
    def is_short(self) -> bool:
        """Whether the page has fewer records than were requested."""
        return self.stream.page_size is None or len(self.raw_records) < self.stream.page_size

    @property
    def is_complete(self) -> bool:
        """Whether the list has no further page."""
        return self.page is not None and (self.page.after is None or self.is_short)

    def key(self, record: Record) -> str:
        """The primary key of a record, as text."""
        fields: Any = self.stream.primary_key
        return repr([record.get(field) for field in fields])

    @property
    def keys(self) -> set[str]:
        return {self.key(record) for record in self.records}


def _window_from_now(stream: IncidentStream) -> Slice:
    """The part of a slice that lets a time window start now. The first page of an earlier one has nothing to emit."""
    if not stream.window_parameters:
        return {}
    return {"filters": {stream.window_parameters[0]: format_timestamp(clock.now())}}


def middle_first(records: list[Record]) -> list[Record]:
    """Records from the middle of a page on, then the others. The newest records often have no children yet."""
    middle = len(records) // 2
    return records[middle:] + records[:middle]


class VerifyClient(Client):
    """A client that limits the number of requests, keeps what an answer shows, and reports odd answers at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.exchanges: list[Exchange] = []
        self.on_request: Callable[[int], object] = lambda _: None
        self._requests_made = 0
        self._lock = threading.Lock()
        self._last = threading.local()

    @property
    def requests_made(self) -> int:
        """How many requests were made, without retries."""
        return self._requests_made

    def request(
        self, path: str, params: Mapping[str, Any] | None = None, body_format: BodyFormat = JSON
    ) -> RetriedRequest:
        """Prepare a GET.

        Raises:
            NotTriedError: the limit of requests is reached.
        """
        with self._lock:
            if self._requests_made >= MAX_REQUESTS:
                raise NotTriedError(f"the limit of {MAX_REQUESTS} requests is reached, select fewer streams")
            self._requests_made += 1
        self.on_request(self._requests_made)
        self._last.body = {}
        return _Request(self, self.prepare(path, params, body_format), self._max_retries)

    def send(self, get: PreparedGet) -> Response:
        sent_at = clock.now()
        response = super().send(get)
        self._last.body = copy.deepcopy(response.body)
        self.exchanges.append(Exchange(get.limit_key, response.headers, response.requested_at, sent_at))
        return response

    @property
    def last_body(self) -> Mapping[str, Any]:
        """The body of this thread's last answer."""
        body: Mapping[str, Any] = getattr(self._last, "body", {})
        return body


class _Request(RetriedRequest):
    """Retries transient errors only."""

    def retry(self, error: TransientError | UnexpectedAnswerError) -> None:
        if isinstance(error, UnexpectedAnswerError):
            raise error
        super().retry(error)


class Account:
    """The account.

    Args:
        client: the client.
        streams: all streams, by name.
        selected: the names of the streams to verify.
        num_workers: how many requests are made at once.

    Attributes:
        first_pages: by stream, its first page or why it can't be read. Of a child stream, the page of one parent.
    """

    def __init__(
        self, client: VerifyClient, streams: Mapping[str, IncidentStream], selected: Collection[str], num_workers: int
    ) -> None:
        self.client = client
        self.streams = streams
        self.selected = frozenset(selected)
        self.identity: Mapping[str, Any] = {}
        self.first_pages: dict[str, Answer | ApiError | NotTriedError] = {}
        self._num_workers = num_workers
        self._names: dict[type[IncidentStream], str] = {type(stream): name for name, stream in streams.items()}
        self._answers: dict[str, Answer | ApiError] = {}

    def read_identity(self) -> None:
        """Read what the API says about the key.

        Raises:
            ApiError: the API rejects the key or does not answer.
        """
        try:
            self.identity = self.client.get("/v1/identity").body
        except TransientError as error:
            if self.client.answers:
                raise
            raise UnreachableError(self.client.endpoint, error) from None

    def read_first_pages(self, names: Collection[str]) -> None:
        """Read the first pages of streams, parents first. Streams that are not selected are left out.

        Args:
            names: the streams. Those that a selected stream needs as a parent count as selected.
        """
        selected = [name for name in self._with_parents() if name in names and name not in self.first_pages]
        for depth in sorted({self._depth(name) for name in selected}):
            self._read_in_parallel([name for name in selected if self._depth(name) == depth])

    def answers(self) -> Iterator[tuple[str, Answer]]:
        """Yield the first page of each selected stream that could be read, with the stream's name."""
        for name in self.streams:
            answer = self.first_pages.get(name)
            if name in self.selected and isinstance(answer, Answer):
                yield name, answer

    def first_page(self, name: str) -> Answer:
        """The first page of a stream.

        Raises:
            NotTriedError: it could not be read.
        """
        if name not in self.selected:
            raise NotTriedError(f"{name} is not selected")
        found = self.first_pages.get(name)
        if isinstance(found, Answer) and found.page is not None:
            return found
        raise NotTriedError(f"{name}: {self.reason(found)}")

    def records(self, name: str) -> Answer:
        """The first page of a stream, if it has records.

        Raises:
            NotTriedError: it could not be read, or has no records.
        """
        answer = self.first_page(name)
        if not answer.records:
            raise NotTriedError(f"{name}: the account has no records")
        return answer

    def read(self, name: str, slice_: Slice, after: str | None = None) -> Answer:
        """Read a page of a stream as a sync would.

        Raises:
            RefusedError: the API refuses the request.
            NotTriedError: the page can't be read for another reason.
        """
        found = self.attempt(name, slice_, after)
        if isinstance(found, RequestError):
            raise RefusedError(f"{name}: the API refuses the request with {found.status}")
        if isinstance(found, Answer) and found.page is not None:
            return found
        raise NotTriedError(f"{name}: {self.reason(found)}")

    def attempt(self, name: str, slice_: Slice, after: str | None = None) -> Answer | ApiError:
        """Read a page of a stream, or return why it can't be read.

        Raises:
            AuthenticationError: the key was revoked.
            NotTriedError: the limit of requests is reached.
        """
        key = repr((name, sorted(slice_.items()), after))
        if key not in self._answers:
            self._answers[key] = self._read_page(self.streams[name], slice_, after)
        return self._answers[key]

    @staticmethod
    def reason(found: object) -> str:
        """Why a page can't be used, without values of the account."""
        match found:
            case None:
                return "it was not read"
            case NotTriedError():
                return str(found)
            case Answer():
                return found.problem
            case ForbiddenError():
                return f"the key lacks the scope {scope_name(found.scope)}"
            case NotFoundError():
                return "not found (404)"
            case RequestError():
                return f"the API refuses the request with {found.status}"
            case ApiError():
                return f"no usable answer ({found.status or 'the connection failed'})"
        return "unknown"

    def _read_page(self, stream: IncidentStream, slice_: Slice, after: str | None) -> Answer | ApiError:
        try:
            page = stream.read_page(slice_, after)
        except AuthenticationError:
            raise
        except UnexpectedAnswerError as error:
            return Answer(stream, slice_, self.client.last_body, None, error.message)
        except ApiError as error:
            return error
        # The pages of a verification are kept until its end, and do not wait for each other's memory.
        return Answer(stream, slice_, self.client.last_body, replace(page, memory=None))

    def _read_in_parallel(self, names: list[str]) -> None:
        executor = ThreadPoolExecutor(self._num_workers)
        try:
            for name, answer in zip(names, executor.map(self._read_first_page, names), strict=True):
                self.first_pages[name] = answer
        except BaseException:
            # After Ctrl-C or a rejected key nothing waits for the remaining answers.
            self.client.cancellation.cancel()
            raise
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _read_first_page(self, name: str) -> Answer | ApiError | NotTriedError:
        try:
            return self.attempt(name, self._any_slice(name))
        except NotTriedError as error:
            return error

    def _any_slice(self, name: str) -> Slice:
        """The slice of the whole list; for a child stream, that of one parent.

        Raises:
            NotTriedError: there is no parent to ask for.
        """
        stream = self.streams[name]
        if not isinstance(stream, ChildStream):
            return {"modes": DEFAULT_MODES}
        parent = self.streams[self._names[stream.parent]]
        found = self.first_pages.get(parent.name)
        if stream.parent_query:
            slice_: Slice = {"modes": DEFAULT_MODES, "filters": stream.parent_query}
            found = self.attempt(parent.name, slice_)
        if not isinstance(found, Answer) or found.page is None:
            raise NotTriedError(f"{parent.name} could not be read")
        for record in middle_first(found.records):
            if child_slice := stream.child_slice(record, parent_ids(found.slice)):
                return {**child_slice, **_window_from_now(stream)}
        raise NotTriedError(f"{parent.name}: the account has no records")

    def _with_parents(self) -> list[str]:
        """The selected streams and their parents, in order."""
        names = set(self.selected)
        for name in self.selected:
            stream: type[IncidentStream] = type(self.streams[name])
            while issubclass(stream, ChildStream):
                stream = stream.parent
                names.add(self._names[stream])
        return [name for name in self.streams if name in names]

    def _depth(self, name: str) -> int:
        stream: type[IncidentStream] = type(self.streams[name])
        depth = 0
        while issubclass(stream, ChildStream):
            stream = stream.parent
            depth += 1
        return depth
