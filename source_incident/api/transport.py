"""Sends one GET, and returns a parsed body or raises an error."""

import email.utils
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import requests
import urllib3

from source_incident.api.body import explain_transport_error, parse_page, read_error, read_page
from source_incident.api.csv_body import CsvSize, parse_csv
from source_incident.api.deadline import extend_deadline
from source_incident.api.errors import (
    Cancelled,
    RequestError,
    TransientError,
    UnexpectedAnswerError,
)
from source_incident.api.memory import MemoryBudget, PageMemory
from source_incident.api.rate_limit import RateLimiter
from source_incident.api.responses import error_for
from source_incident.api.session import BearerAuth, Session
from source_incident.api.stopwatch import Stopwatch
from source_incident.cancellation import CancellationToken
from source_incident.json_limits import JsonSize

T = TypeVar("T")

CONNECT_TIMEOUT = 20.0
CHECK_ENDPOINT = "Check the setting endpoint and the proxy settings of the environment"
# Characters of a request's path and query. Ids and cursors are much shorter.
MAX_URL = 8000


@dataclass(frozen=True, slots=True)
class BodyFormat:
    """How the body of an answer is read.

    Attributes:
        accept: the value of the Accept header.
        make_size: makes the size of a body, before it is read.
        parse: parses a body. It raises TransientError or UnexpectedAnswerError.
    """

    accept: str
    make_size: Callable[[], JsonSize]
    parse: Callable[[bytearray, JsonSize], dict[str, Any]]


JSON = BodyFormat("application/json", JsonSize, parse_page)
CSV = BodyFormat("text/csv", CsvSize, parse_csv)


@dataclass(frozen=True, slots=True)
class Response:
    """A successful answer.

    Attributes:
        body: the parsed body.
        requested_at: the moment of the request by the server's clock; None: the answer had no Date.
        headers: the headers of the answer; their names are case-insensitive.
        memory: the memory that the body takes. Keep it as long as the body.
    """

    body: Mapping[str, Any]
    requested_at: datetime | None
    headers: Mapping[str, str] = field(default_factory=dict)
    memory: PageMemory | None = None


@dataclass(frozen=True, slots=True)
class PreparedGet:
    """A GET that can be sent.

    Attributes:
        request: the request.
        label: its path and the part of its query that tells it from others, without the key, for messages.
        limit_key: what shares a rate limit with it.
        body_format: the format of the answer.
    """

    request: requests.PreparedRequest
    label: str
    limit_key: str
    body_format: BodyFormat = JSON


class Transport:
    """Sends requests, from any thread, without retries.

    Args:
        endpoint: the API's base URL, without a trailing slash.
        api_key: the key.
        user_agent: value of the User-Agent header.
        request_timeout: seconds for one try: connection, headers and body.
        connections: how many connections stay open.
        cancellation: ends every wait when it is cancelled.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        api_key: str,
        user_agent: str,
        request_timeout: float = 60,
        connections: int = 10,
        cancellation: CancellationToken | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.rate_limiter = RateLimiter()
        self.requests = 0
        self.answers = 0
        self.retries = 0
        self.cancellation = cancellation or CancellationToken()
        self._waits = Stopwatch()
        # A server can repeat a host name in lower case, and the key with it.
        self._key = re.compile(re.escape(api_key), re.IGNORECASE)
        self._request_timeout = request_timeout
        self._counters = threading.Lock()
        self._auth = BearerAuth(api_key, endpoint)
        self._prefix = urlsplit(endpoint).path
        self._session = Session(endpoint, user_agent, connections)
        self._memory = MemoryBudget(lambda: self.cancellation.is_cancelled)

    @property
    def waited(self) -> float:
        """Seconds in which at least one request waited for the rate limit or for a retry."""
        return self._waits.seconds

    def close(self) -> None:
        self._session.close()

    def prepare(
        self, path: str, params: Mapping[str, Any] | None = None, body_format: BodyFormat = JSON
    ) -> PreparedGet:
        """Prepare a GET.

        Args:
            path: path below the endpoint.
            params: the query; a list's values repeat the parameter.
            body_format: the format of the answer.

        Raises:
            RequestError: the URL is not valid.
            UnexpectedAnswerError: an id or a cursor, which the API gave, is too long.
        """
        if len(path) + sum(len(str(value)) for value in (params or {}).values()) > MAX_URL:
            raise UnexpectedAnswerError("an id or a cursor of the API is too long for a request")
        try:
            request = self._session.prepare_request(
                requests.Request(
                    "GET",
                    self.endpoint + path,
                    headers={"Accept": body_format.accept},
                    params=dict(params or {}),
                    auth=self._auth,
                )
            )
        except ValueError:
            raise RequestError(self.redact(f"GET {path}: the URL is not valid. {CHECK_ENDPOINT}")) from None
        return PreparedGet(request, self._label(request), self._limit_key(request), body_format)

    def send(self, get: PreparedGet) -> Response:
        """Send a GET once.

        Raises:
            ApiError: the request failed.
            Cancelled: the run is being stopped.
        """
        if self.cancellation.is_cancelled:
            self.rate_limiter.abandoned(get.limit_key)
            raise Cancelled
        started_at = time.monotonic()
        with self._counters:
            self.requests += 1
        try:
            response = self._session.send(
                get.request,
                # requests passes urllib3's timeout on, and has no timeout for the whole request itself.
                timeout=urllib3.Timeout(  # type: ignore[arg-type]
                    connect=min(CONNECT_TIMEOUT, self._request_timeout), total=self._request_timeout
                ),
                **self._session.send_options,
            )
        except (requests.RequestException, ValueError, OSError) as error:
            self.rate_limiter.abandoned(get.limit_key)
            if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
                raise RequestError(f"GET {get.label}: the file with the TLS certificates can't be read") from None
            if isinstance(error, ValueError):
                # The texts of requests and urllib3 hold parts of the URL. A proxy's URL can have a password.
                raise RequestError(f"GET {get.label}: the URL or its proxy is not valid. {CHECK_ENDPOINT}") from None
            raise TransientError(self.redact(explain_transport_error(error, self._request_timeout))) from None
        with self._counters:
            self.answers += 1
        with response:
            self.rate_limiter.answered(get.limit_key, response.headers)
            requested_at = _server_time(response.headers.get("Date"), time.monotonic() - started_at)
            if response.status_code != 200:
                content = self._read(lambda: read_error(response, self._is_cancelled))
                raise error_for(response, content, get.label, self.redact)
            memory = PageMemory(self._memory)
            try:
                body = get.body_format.parse(
                    *self._read(lambda: self._read_page(response, memory, get.body_format.make_size))
                )
            finally:
                self._memory.read(memory)
        return Response(body, requested_at, response.headers, memory)

    def redact(self, text: str) -> str:
        """Return the text without the key."""
        return self._key.sub("****", text)

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            Cancelled: the run is being stopped.
        """
        with self._waits:
            cancelled = self.cancellation.wait(seconds)
        if cancelled:
            raise Cancelled

    def count_retry(self) -> None:
        with self._counters:
            self.retries += 1

    def _is_cancelled(self) -> bool:
        return self.cancellation.is_cancelled

    def _read_page(
        self, response: requests.Response, memory: PageMemory, make_size: Callable[[], JsonSize]
    ) -> tuple[bytearray, JsonSize]:
        def reserve(size: int) -> None:
            extend_deadline(response, self._memory.reserve(memory, size))

        return read_page(response, reserve, self._is_cancelled, make_size)

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
            raise TransientError(f"the body was not complete within {self._request_timeout:g} s") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            reason = self.redact(explain_transport_error(error, self._request_timeout))
            raise TransientError(f"the body ended early: {reason}") from None

    def _label(self, request: requests.PreparedRequest) -> str:
        """The path, and the part of the query that tells one request of a list from the next."""
        path, _, query = request.path_url.removeprefix(self._prefix).partition("?")
        pairs = parse_qsl(query)
        times = Counter(name for name, _ in pairs)
        shown = {name: self.redact(value)[:80] for name, value in pairs if times[name] == 1 and name != "page_size"}
        shown_query = urlencode(shown, safe="[]:*")
        return quote(self.redact(unquote(path)), safe="/*") + (f"?{shown_query}" if shown_query else "")

    def _limit_key(self, request: requests.PreparedRequest) -> str:
        """The endpoint, whatever ids are in its path."""
        segments = urlsplit(request.path_url).path.removeprefix(self._prefix).split("/")
        return "/".join([*segments[:3], *("*" for _ in segments[3:])])


def _server_time(date: str | None, elapsed: float) -> datetime | None:
    """The moment of the request by the server's clock: the Date header less the seconds that the answer took."""
    if not date:
        return None
    try:
        answered_at = email.utils.parsedate_to_datetime(date)
        return datetime.fromtimestamp(answered_at.timestamp() - elapsed, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
