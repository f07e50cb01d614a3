"""Retries of one request: which errors are retried, how long to wait, when to give up."""

import logging
import random
import time

from source_incident.api.errors import TooManyRequestsError, TransientError, UnexpectedAnswerError
from source_incident.api.rate_limit import MAX_WAIT
from source_incident.api.transport import PreparedGet, Response, Transport

logger = logging.getLogger("airbyte.incident.api")

# The exponential backoff in seconds: its first and its last ceiling. The wait is random below the ceiling.
BACKOFF_BASE = 1.0
BACKOFF_CEILING = 60.0
# A 429 has a Retry-After, so it does not count as a try. This bounds one request's waits in total, in seconds.
MAX_REQUEST_SECONDS = 1800.0


class RetriedRequest:
    """One GET with its retries.

    `send` retries transient errors. Where the caller finds that the body does not fit the contract, `retry` counts a
    failed try, and `send` can be called again:

        while True:
            response = request.send()
            try:
                return parse(response.body)
            except UnexpectedAnswerError as error:
                request.retry(error)
    """

    def __init__(self, transport: Transport, get: PreparedGet, max_retries: int) -> None:
        self._transport = transport
        self._get = get
        self._max_retries = max_retries
        self._give_up_at = time.monotonic() + MAX_REQUEST_SECONDS
        self._tries = 0

    def send(self) -> Response:
        """Send the request, and retry transient errors.

        Raises:
            AuthenticationError, ForbiddenError, NotFoundError, RequestError: final answers of the API.
            TransientError, UnexpectedAnswerError: the error outlasted the retries.
            Cancelled: the run is being stopped.
        """
        while True:
            self._wait_for_rate_limit()
            try:
                return self._transport.send(self._get)
            except (TransientError, UnexpectedAnswerError) as error:
                self.retry(error)

    def retry(self, error: TransientError | UnexpectedAnswerError) -> None:
        """Count a failed try, and wait until the next one.

        Raises:
            TransientError, UnexpectedAnswerError: there is no next try.
            Cancelled: the run is being stopped.
        """
        error.release_memory()  # other requests may wait for the memory of this answer
        too_many = isinstance(error, TooManyRequestsError)
        self._tries += not too_many
        wait = _throttled(error.retry_after) if isinstance(error, TooManyRequestsError) else _backoff(self._tries)
        if self._tries > self._max_retries or time.monotonic() + wait > self._give_up_at:
            raise self._final(error) from None
        if too_many:
            self._transport.rate_limiter.block(self._get.limit_key, wait)
        self._transport.count_retry()
        logger.warning(
            "retry: GET %s: %s; waiting %.1f s, try %d of %d%s",
            self._get.label,
            error.message,
            wait,
            self._tries + 1,
            self._max_retries + 1,
            f", request_id {error.request_id}" if error.request_id else "",
        )
        self._transport.sleep(wait)

    def _wait_for_rate_limit(self) -> None:
        while wait := self._transport.rate_limiter.reserve(self._get.limit_key):
            if time.monotonic() + wait > self._give_up_at:
                raise TransientError(
                    f"GET {self._get.label}: the rate limit left no room within {MAX_REQUEST_SECONDS:g} s. Run the "
                    "sync again when fewer other programs use the organisation's limit"
                )
            self._transport.sleep(wait)

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
    return random.uniform(0.0, min(BACKOFF_CEILING, BACKOFF_BASE * 2.0 ** (tries - 1)))
