"""The rate limit: token buckets whose sizes come from the API's headers.

`X-RateLimit-Limit: 60, 1200;window=60, 60;window=60` has the binding limit, then every limit with its window in
seconds. `X-RateLimit-Remaining` has what is left of the binding limit. The buckets refill continuously. The widest
limit belongs to the key and is shared by all requests. A narrower limit belongs to one endpoint (docs/api.md, limits).
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# The longest single wait, in seconds. A longer Retry-After is treated as a fault of the answer.
MAX_WAIT = 300.0
# Tokens that stay in a bucket: what it gains in so many seconds, but at most LARGEST_RESERVE. Answers arrive out of
# order, and other keys of the organisation can use the same bucket. The reserve costs a sync a quarter of a second.
RESERVE_SECONDS = 0.25
LARGEST_RESERVE = 5
# After a 429 although a token was left, other clients use the bucket: this client gets a smaller share of the refill.
SHARE_AFTER_REFUSAL = 0.7
SMALLEST_SHARE = 0.1
# The share grows again by this much with each answer that leaves spare tokens.
SHARE_REGAINED = 0.05


@dataclass
class Bucket:
    """This client's estimate of one token bucket.

    Attributes:
        share: the part of the refill that other clients leave to this one, 0 to 1.
    """

    limit: float
    window: float
    tokens: float
    filled_at: float
    blocked_until: float = 0.0
    in_flight: int = 0
    share: float = 1.0

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.limit / self.window

    @property
    def reserve(self) -> int:
        """Tokens that stay in the bucket."""
        return min(math.floor(self.rate * RESERVE_SECONDS), LARGEST_RESERVE, math.floor(self.limit / 2))

    def refill(self, now: float) -> None:
        self.tokens = min(self.limit, self.tokens + max(0.0, now - self.filled_at) * self.rate)
        self.filled_at = now

    def wait(self, now: float) -> float:
        """Seconds until a token is available."""
        self.refill(now)
        missing = max(0.0, min(1.0 + self.reserve, self.limit) - self.tokens) / (self.rate * self.share)
        return max(missing, self.blocked_until - now)


class RateLimiter:
    """Paces requests by the limits that the answers report. Safe for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._key: Bucket | None = None
        self._endpoints: dict[str, Bucket] = {}
        self._blocked_until: dict[str, float] = {}

    def reserve(self, endpoint: str) -> float:
        """Take a token for `endpoint` if one is available.

        Returns:
            0.0: the token was taken. Otherwise: seconds to wait before the next call.
        """
        with self._lock:
            now = self._clock()
            buckets = self._buckets(endpoint)
            wait = max(
                [bucket.wait(now) for bucket in buckets] + [self._blocked_until.get(endpoint, 0.0) - now],
                default=0.0,
            )
            if wait > 0.0:
                return wait
            for bucket in buckets:
                bucket.tokens -= 1.0
                bucket.in_flight += 1
            return 0.0

    def answered(self, endpoint: str, headers: Mapping[str, str]) -> None:
        """Update the buckets from an answer's headers."""
        with self._lock:
            now = self._clock()
            for bucket in self._buckets(endpoint):
                bucket.in_flight = max(0, bucket.in_flight - 1)
            limits = parse_limits(headers.get("X-RateLimit-Limit", ""))
            if limits is None:
                return
            binding, all_limits = limits
            self._key = self._resized(self._key, max(all_limits, key=lambda item: item[0]), now)
            own = min(all_limits, key=lambda item: item[0])
            if len(all_limits) > 1 and own[0] < self._key.limit:
                self._endpoints[endpoint] = self._resized(self._endpoints.get(endpoint), own, now)
            else:
                self._endpoints.pop(endpoint, None)
            remaining = _number(headers.get("X-RateLimit-Remaining"))
            if remaining is None:
                return
            for bucket in self._buckets(endpoint):
                if bucket.limit == binding:
                    bucket.refill(now)
                    # `remaining` may not count the requests in flight yet. Other clients may use the key too.
                    bucket.tokens = remaining - bucket.in_flight
                    if bucket.tokens > bucket.reserve + 1.0:
                        bucket.share = min(1.0, bucket.share + SHARE_REGAINED)

    def abandoned(self, endpoint: str) -> None:
        """Record that a request ended without an answer."""
        with self._lock:
            for bucket in self._buckets(endpoint):
                bucket.in_flight = max(0, bucket.in_flight - 1)

    def block(self, endpoint: str, seconds: float) -> None:
        """Send nothing to `endpoint` for so many seconds, because it answered 429."""
        with self._lock:
            now = self._clock()
            before = self._blocked_until.get(endpoint, 0.0)
            self._blocked_until[endpoint] = max(now + min(seconds, MAX_WAIT), before)
            for bucket in self._buckets(endpoint):
                # Several 429s of requests that were in flight together count once.
                if bucket.tokens < 1.0 and before <= now:
                    bucket.share = max(SMALLEST_SHARE, bucket.share * SHARE_AFTER_REFUSAL)

    @property
    def remaining(self) -> int | None:
        """Tokens left in the key's bucket; None: no answer reported a limit."""
        with self._lock:
            if self._key is None:
                return None
            self._key.refill(self._clock())
            return max(0, int(self._key.tokens))

    def _buckets(self, endpoint: str) -> list[Bucket]:
        own = self._endpoints.get(endpoint)
        return [bucket for bucket in (self._key, own) if bucket is not None]

    @staticmethod
    def _resized(bucket: Bucket | None, size: tuple[float, float], now: float) -> Bucket:
        limit, window = size
        if bucket is None:
            return Bucket(limit, window, limit, now)
        if (bucket.limit, bucket.window) != size:
            bucket.refill(now)
            bucket.limit, bucket.window = limit, window
            bucket.tokens = min(bucket.tokens, limit)
        return bucket


def parse_limits(header: str) -> tuple[float, list[tuple[float, float]]] | None:
    """Parse an X-RateLimit-Limit header.

    Returns:
        The binding limit, and every limit as (requests, seconds); None: the header is not usable.
    """
    first, *rest = header.split(",")
    binding = _number(first.split(";")[0])
    if binding is None or binding < 1:
        return None
    limits = []
    for item in rest:
        size, *parameters = (part.strip() for part in item.split(";"))
        windows = (_number(part.removeprefix("window=")) for part in parameters if part.startswith("window="))
        limit, window = _number(size), next(windows, None)
        if limit and window and limit >= 1 and window > 0:
            limits.append((limit, window))
    return binding, limits or [(binding, 60.0)]


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e12 else None
