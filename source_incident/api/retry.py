"""Retries of one request: which errors are retried, how long to wait, when to give up."""

import logging
import random
import time
from types import TracebackType
from typing import TYPE_CHECKING

from source_incident.api.errors import TooManyRequestsError, TransientError, UnexpectedAnswerError
from source_incident.api.rate_limit import MAX_WAIT

if TYPE_CHECKING:
    from source_incident.api.client import Client, PreparedGet, Response

logger = logging.getLogger("airbyte.incident.api")

# Statuses that are retried (docs/api.md, errors). Every other 4xx is final.
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
# The exponential backoff in seconds: the first ceiling and the last one. The wait is random below the ceiling.
BACKOFF_BASE = 0.5
BACKOFF_CEILING = 60.0
# A 429 says when to come back, so it does not count as a try. This bounds one request's waits in total, in seconds.
MAX_REQUEST_SECONDS = 1800.0


class RetriedRequest:
    """One GET with its retries, as a context manager that can be entered again.

        while True:
            with client.request(path, params) as response:
                return parse(response.body)

    Entering it sends the request, and retries transient errors. An `UnexpectedAnswerError` that is raised inside the
    block counts as a failed try: the block is left, and entering it again sends the request again.
    """

    def __init__(self, client: "Client", get: "PreparedGet", max_retries: int) -> None:
        self._client = client
        self._get = get
        self._max_retries = max_retries
        self._give_up_at = time.monotonic() + MAX_REQUEST_SECONDS
        self._tries = 0

    def __enter__(self) -> "Response":
        return self.response()

    def response(self) -> "Response":
        """Send the request, and retry transient errors.

        Raises:
            AuthenticationError, ForbiddenError, NotFoundError, RequestError: final answers of the API.
            TransientError, UnexpectedAnswerError: the error outlasted the retries.
            Cancelled: the run is being stopped.
        """
        while True:
            self._wait_for_rate_limit()
            try:
                return self._client.send(self._get)
            except (TransientError, UnexpectedAnswerError) as error:
                self._prepare_retry(error)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        if not isinstance(error, UnexpectedAnswerError):
            return False
        self._prepare_retry(error)
        return True

    def _wait_for_rate_limit(self) -> None:
        while wait := self._client.rate_limiter.reserve(self._get.limit_key):
            if time.monotonic() + wait > self._give_up_at:
                raise TransientError(
                    f"GET {self._get.label}: the rate limit left no room within {MAX_REQUEST_SECONDS:g} s. Run the "
                    "sync again when fewer other programs use the organisation's limit"
                )
            self._client.sleep(wait)

    def _prepare_retry(self, error: TransientError | UnexpectedAnswerError) -> None:
        """Wait until the next try.

        Raises:
            TransientError, UnexpectedAnswerError: there is no next try.
        """
        too_many = isinstance(error, TooManyRequestsError)
        self._tries += not too_many
        wait = _throttled(error.retry_after) if isinstance(error, TooManyRequestsError) else _backoff(self._tries)
        if self._tries > self._max_retries or time.monotonic() + wait > self._give_up_at:
            raise self._final(error) from None
        if too_many:
            self._client.rate_limiter.block(self._get.limit_key, wait)
        self._client.count_retry()
        logger.warning(
            "retry: GET %s: %s; waiting %.1f s, try %d of %d%s",
            self._get.label,
            error.message,
            wait,
            self._tries + 1,
            self._max_retries + 1,
            f", request_id {error.request_id}" if error.request_id else "",
        )
        self._client.sleep(wait)

    def _final(self, error: TransientError | UnexpectedAnswerError) -> TransientError | UnexpectedAnswerError:
        tries = max(self._tries, 1)
        support = f" (request_id {error.request_id})" if error.request_id else ""
        kind = UnexpectedAnswerError if isinstance(error, UnexpectedAnswerError) else TransientError
        report = ". Report it if it happens again" if kind is UnexpectedAnswerError else ""
        return kind(
            f"GET {self._get.label}: {error.message}; gave up after {tries} {'try' if tries == 1 else 'tries'}"
            f"{support}. Run the sync again later{report}",
            status=error.status,
            request_id=error.request_id,
        )


def _throttled(retry_after: float) -> float:
    """Seconds to wait after a 429."""
    return min(retry_after, MAX_WAIT) + random.uniform(0.0, 0.25)


def _backoff(tries: int) -> float:
    """Seconds to wait after so many failed tries, with full jitter."""
    return random.uniform(0.0, min(BACKOFF_CEILING, BACKOFF_BASE * 2.0 ** max(tries, 1)))
