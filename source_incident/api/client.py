"""One GET, made to work: authenticated, paced, bounded in time, retried while a fault may pass, whole or an error."""

import email.utils
import json
import logging
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import orjson
import requests
import urllib3
from requests.auth import AuthBase

from source_incident.api.deadline import DeadlineAdapter
from source_incident.api.errors import (
    ApiError,
    AuthenticationError,
    ErrorBody,
    ForbiddenError,
    NotFoundError,
    RequestError,
    Stopped,
    TransientError,
    UnexpectedAnswerError,
)
from source_incident.api.rate_limit import LONGEST_WAIT, Pace

logger = logging.getLogger("airbyte.incident.api")

# The statuses that can pass by themselves (api.md, errors). Every other one of 4xx is an answer.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
# The first wait of the exponential backoff and its ceiling, in seconds; full jitter below it.
BACKOFF_BASE = 0.5
BACKOFF_CEILING = 60.0
# 429 says when to come again, so it is not counted as a try; in all, a request waits no longer than this, in seconds.
LONGEST_REQUEST = 1800.0
# The largest page seen is of a few MB. A body beyond this is a fault, and reading on would cost the machine.
LARGEST_BODY = 128 * 1024 * 1024
CONNECT_TIMEOUT = 20.0
CHUNK = 256 * 1024
CHECK_ENDPOINT = "Check the setting endpoint, and the proxy in the environment"

Validate = Callable[[Mapping[str, Any]], None]


class ApiResponse(requests.Response):
    """An answer whose body has been read whole and parsed, once."""

    body: Mapping[str, Any]
    began: datetime | None

    @classmethod
    def of(cls, response: requests.Response, body: Mapping[str, Any], began: datetime | None) -> "ApiResponse":
        """The answer with its parsed body.

        Args:
            response: what requests gave.
            body: its body, a JSON object.
            began: the moment the request was made, by the server's clock; None: the answer had no Date.
        """
        answer = cls()
        answer.__dict__.update(response.__dict__)
        answer.body = body
        answer.began = began
        return answer

    def json(self, **_: Any) -> Any:
        return self.body


class BearerAuth(AuthBase):
    """Adds the key to requests for the configured host, and to no other."""

    def __init__(self, api_key: str, endpoint: str) -> None:
        self._api_key = api_key
        self._origin = _origin(endpoint)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if _origin(request.url or "") == self._origin:
            request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Says that nothing redirects: even unfollowed, requests would read the body and parse the target."""


class Client:
    """Makes requests for all streams of a sync, from any thread.

    Args:
        endpoint: the API's base URL, without a slash at its end.
        api_key: the key.
        user_agent: what to send as User-Agent.
        request_timeout: seconds that one try may take: the connection, the headers and the body.
        max_retries: how often a passing fault is tried again.
        connections: how many connections are kept open.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        api_key: str,
        user_agent: str,
        request_timeout: float = 60,
        max_retries: int = 8,
        connections: int = 10,
    ) -> None:
        self.endpoint = endpoint
        self.pace = Pace()
        self.requests = 0
        self.answers = 0
        self.retries = 0
        self._waits = _Stopwatch()
        # A host name comes back in lower case.
        self._key = re.compile(re.escape(api_key), re.IGNORECASE)
        self._request_timeout = request_timeout
        self._max_retries = max_retries
        self._stop = threading.Event()
        self._counters = threading.Lock()
        self._auth = BearerAuth(api_key, endpoint)
        self._prefix = urlsplit(endpoint).path
        self._session = _Session()
        self._session.headers.update({"User-Agent": user_agent, "Accept": "application/json"})
        # The proxy and the certificates of the environment are looked up once, not for every request.
        self._settings: dict[str, Any] = {
            **self._session.merge_environment_settings(endpoint, {}, None, None, None),
            "stream": True,
            "allow_redirects": False,
        }
        self._session.trust_env = False
        adapter = DeadlineAdapter(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def stop(self) -> None:
        """Ends every wait; requests that are asked for from now on raise Stopped."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    @property
    def waited(self) -> float:
        """Seconds in which requests waited, for the rate limit or to be tried again."""
        return self._waits.seconds

    def close(self) -> None:
        self._session.close()

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        validate: Validate | None = None,
    ) -> ApiResponse:
        """Gets one JSON object.

        Args:
            path: below the endpoint, or a whole URL of the endpoint's host.
            params: the query; a list's values repeat the parameter.
            headers: further headers.
            validate: raises UnexpectedAnswerError for a body that is not of the wanted shape; such an answer is
                tried again like any passing fault.

        Raises:
            AuthenticationError, ForbiddenError, NotFoundError, RequestError: the API's answer, as it is.
            TransientError, UnexpectedAnswerError: a fault that did not pass within the retries.
            Stopped: the run is being stopped.
        """
        url = path if path.startswith(("http://", "https://")) else self.endpoint + path
        try:
            request = self._session.prepare_request(
                requests.Request("GET", url, params=dict(params or {}), headers=dict(headers or {}), auth=self._auth)
            )
        except ValueError as error:
            raise RequestError(
                self.scrub(f"GET {path}: not a URL that can be asked: {error}. {CHECK_ENDPOINT}")
            ) from None
        where = self._where(request)
        endpoint = self._limit_key(request)
        give_up_at = time.monotonic() + LONGEST_REQUEST
        tries = 0
        while True:
            self._wait_for_token(endpoint, give_up_at, where)
            try:
                return self._try(request, where, endpoint, validate)
            except (TransientError, UnexpectedAnswerError) as error:
                retry_after = error.retry_after if isinstance(error, _TooManyRequests) else None
                tries += not isinstance(error, _TooManyRequests)
                wait = self._wait_before_retry(tries, retry_after)
                if tries > self._max_retries or time.monotonic() + wait > give_up_at:
                    raise self._given_up(error, tries, where) from None
                if retry_after is not None:
                    self.pace.block(endpoint, wait)
                with self._counters:
                    self.retries += 1
                logger.warning(
                    "retry: GET %s: %s; waiting %.1f s, try %d of %d%s",
                    where,
                    error.message,
                    wait,
                    tries + 1,
                    self._max_retries + 1,
                    f", request_id {error.request_id}" if error.request_id else "",
                )
                self._sleep(wait)

    def scrub(self, text: str) -> str:
        """The text without the key, whoever put it there."""
        return self._key.sub("****", text)

    def _try(
        self,
        request: requests.PreparedRequest,
        where: str,
        endpoint: str,
        validate: Validate | None,
    ) -> ApiResponse:
        started = time.monotonic()
        with self._counters:
            self.requests += 1
        try:
            response = self._session.send(
                request,
                # requests passes urllib3's form on, and has no word for the whole time itself.
                timeout=urllib3.Timeout(  # type: ignore[arg-type]
                    connect=min(CONNECT_TIMEOUT, self._request_timeout), total=self._request_timeout
                ),
                **self._settings,
            )
        except (requests.RequestException, urllib3.exceptions.LocationValueError) as error:
            self.pace.abandoned(endpoint)
            if isinstance(error, ValueError):  # a URL or a proxy that is none
                said = " ".join(str(error).split())
                raise RequestError(self.scrub(f"GET {where}: {said}. {CHECK_ENDPOINT}")) from None
            raise TransientError(self.scrub(_reason(error, self._request_timeout))) from None
        with self._counters:
            self.answers += 1
        with response:
            self.pace.answered(endpoint, response.headers)
            began = _server_time(response.headers.get("Date"), time.monotonic() - started)
            content = self._read_whole(response)
        if response.status_code != 200:
            raise self._error(response, content, where)
        body = _parsed(content)
        if not isinstance(body, dict):
            raise UnexpectedAnswerError("the answer is not a JSON object")
        if validate:
            validate(body)
        return ApiResponse.of(response, body, began)

    def _read_whole(self, response: requests.Response) -> bytes:
        """The body, decompressed."""
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := response.raw.read1(CHUNK, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGEST_BODY:
                    raise UnexpectedAnswerError(f"the body is larger than {LARGEST_BODY // 2**20} MB")
                if self._stop.is_set():
                    raise Stopped
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
            raise TransientError(f"the body did not come whole within {self._request_timeout:g} s") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise TransientError(f"the body broke off: {self.scrub(_reason(error, self._request_timeout))}") from None
        expected = response.headers.get("Content-Length")
        encoded = response.headers.get("Content-Encoding")
        if expected and not encoded and expected.isdigit() and int(expected) != size:
            raise TransientError(f"the body broke off: {size} of {expected} bytes")
        return b"".join(chunks)

    def _error(self, response: requests.Response, content: bytes, where: str) -> ApiError:
        status = response.status_code
        try:
            parsed = _parsed(content)
        except TransientError:
            parsed = None
        body = ErrorBody.of(parsed, self.scrub)
        said = body.message or body.code or ""
        request_id = body.request_id
        support = f" (request_id {request_id})" if request_id else ""
        detail = f": {said}" if said else ""
        if status == 401:
            return AuthenticationError(
                f"incident.io does not accept the API key{detail}. Make a new one under Settings, API keys, and put "
                f"it into the config as api_key{support}",
                status=status,
                request_id=request_id,
            )
        if status == 403:
            wanted = f"the scope {body.scope}" if body.scope else "a scope that it needs"
            return ForbiddenError(
                f"the API key lacks {wanted} to read {where}. Grant it under Settings, API keys, or leave the "
                f"stream out{support}",
                scope=body.scope,
                status=status,
                request_id=request_id,
            )
        if status == 404:
            return NotFoundError(f"GET {where}: not found{detail}{support}", status=status, request_id=request_id)
        if status == 429:
            return _TooManyRequests(
                f"429 too many requests{detail}",
                retry_after=_retry_after(response.headers.get("Retry-After")),
                request_id=request_id,
            )
        if status in PASSING:
            return TransientError(f"{status}{detail}", status=status, request_id=request_id)
        if 300 <= status < 400:
            target = _host(response.headers.get("Location", ""))
            return RequestError(
                f"GET {where}: the endpoint redirects{f' to {self.scrub(target)}' if target else ''}; redirects are "
                "not followed, so that the key stays with its host. Set endpoint to where the API is",
                status=status,
            )
        return RequestError(
            f"GET {where}: {status}{detail}. The connector's request is at fault, please report it{support}",
            status=status,
            request_id=request_id,
        )

    def _given_up(self, error: ApiError, tries: int, where: str) -> ApiError:
        support = f" (request_id {error.request_id})" if error.request_id else ""
        kind = UnexpectedAnswerError if isinstance(error, UnexpectedAnswerError) else TransientError
        report = ", and report it if it stays" if kind is UnexpectedAnswerError else ""
        return kind(
            f"GET {where}: {error.message}; given up after {_tries(max(tries, 1))}{support}. Run the sync again later"
            f"{report}",
            status=error.status,
            request_id=error.request_id,
        )

    def _wait_before_retry(self, tries: int, retry_after: float | None) -> float:
        if retry_after is not None:
            return min(retry_after, LONGEST_WAIT) + random.uniform(0.0, 0.25)
        return random.uniform(0.0, min(BACKOFF_CEILING, BACKOFF_BASE * 2.0 ** max(tries, 1)))

    def _wait_for_token(self, endpoint: str, give_up_at: float, where: str) -> None:
        while wait := self.pace.reserve(endpoint):
            if time.monotonic() + wait > give_up_at:
                raise TransientError(
                    f"GET {where}: the rate limit left no room within {LONGEST_REQUEST:g} s. Run the sync again when "
                    "fewer other programs use the organisation's limit"
                )
            self._sleep(wait)
        if self._stop.is_set():
            self.pace.abandoned(endpoint)
            raise Stopped

    def _sleep(self, seconds: float) -> None:
        with self._waits:
            stopped = self._stop.wait(seconds)
        if stopped:
            raise Stopped

    def _where(self, request: requests.PreparedRequest) -> str:
        """The path, and of the query what tells one request of a list from the next."""
        path, _, query = request.path_url.removeprefix(self._prefix).partition("?")
        pairs = parse_qsl(query)
        times = Counter(name for name, _ in pairs)
        kept = {name: self.scrub(value)[:80] for name, value in pairs if times[name] == 1 and name != "page_size"}
        asked = urlencode(kept, safe="[]:*")
        return quote(self.scrub(unquote(path)), safe="/*") + (f"?{asked}" if asked else "")

    def _limit_key(self, request: requests.PreparedRequest) -> str:
        """What shares a limit: the endpoint, whatever ids are in its path."""
        segments = urlsplit(request.path_url).path.removeprefix(self._prefix).split("/")
        return "/".join([*segments[:3], *("*" for _ in segments[3:])])


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"


class _Stopwatch:
    """Counts the seconds in which at least one thread is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._since = 0.0
        self._counted = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._since = time.monotonic()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._counted += time.monotonic() - self._since

    @property
    def seconds(self) -> float:
        with self._lock:
            return self._counted + (time.monotonic() - self._since if self._inside else 0.0)


class _TooManyRequests(TransientError):
    """429, with the seconds that the API asks to wait."""

    def __init__(self, message: str, *, retry_after: float | None, request_id: str | None) -> None:
        super().__init__(message, status=429, request_id=request_id)
        self.retry_after = 1.0 if retry_after is None else retry_after


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(_with_whole_pairs(content))
    except (ValueError, RecursionError):
        raise TransientError("the answer is not whole JSON") from None


def _with_whole_pairs(content: bytes) -> str:
    """The JSON with U+FFFD for each half of a surrogate pair: it is no character, and UTF-8 can't hold it.

    JSON's grammar allows it as an escape (RFC 8259, 8.2): text that a program cut in the middle of an emoji has one.

    Raises:
        ValueError, RecursionError: it is no JSON.
    """
    text = json.dumps(json.loads(content.decode()), ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _server_time(date: str | None, elapsed: float) -> datetime | None:
    """When the request was made, by the server's clock: its Date header less the time the answer took."""
    if not date:
        return None
    try:
        answered = email.utils.parsedate_to_datetime(date)
        return datetime.fromtimestamp(answered.timestamp() - elapsed, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a Retry-After of seconds or of an HTTP date; None where it says nothing usable."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    if seconds != seconds:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _reason(error: Exception, timeout: float) -> str:
    """An exception of requests or urllib3 in a few words, without the object addresses in theirs."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection within the timeout"
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS connection failed"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused the connection"
    if isinstance(error, urllib3.exceptions.DecodeError):
        return "it can't be decompressed"
    text = str(error)
    if "IncompleteRead" in text:
        return "it ended too early"
    for known in (
        "Connection refused",
        "Connection reset",
        "Name or service not known",
        "Connection aborted",
    ):
        if known in text:
            return known.lower()
    return type(error).__name__
