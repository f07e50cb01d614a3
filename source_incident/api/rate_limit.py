"""The pace: as many requests as the API's token buckets hold, learnt from its answers.

Every answer says what binds (`X-RateLimit-Limit: 60, 1200;window=60, 60;window=60`: the binding limit, then every
limit with its window in seconds) and how much of the binding one is left (`X-RateLimit-Remaining`). The buckets are
refilled all the time. The widest limit is the key's, shared by all requests; a narrower one is the endpoint's own.
Source: api.md, measured live; the header's form is that of draft-ietf-httpapi-ratelimit-headers-03.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# The longest that one wait can be: a Retry-After beyond it is a fault of the answer, not a wish of the API.
LONGEST_WAIT = 300.0
# What stays in a bucket, in seconds of its refilling and at most so many tokens: answers come out of order, and other
# keys of the organisation can take from the same bucket. They take a quarter of a second from the whole sync.
RESERVE_SECONDS = 0.25
LARGEST_RESERVE = 5
# A 429 although a token seemed to be there: others take from the bucket, so it refills for us more slowly than it says.
SHARE_AFTER_REFUSAL = 0.7
SMALLEST_SHARE = 0.1
# As long as answers tell of more than this many spare tokens, the share grows again.
SHARE_REGAINED = 0.05


@dataclass
class Bucket:
    """One token bucket as this client believes it to be.

    Attributes:
        share: of what the bucket gains, the part that others leave to this client.
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
        """Tokens a second."""
        return self.limit / self.window

    @property
    def reserve(self) -> int:
        """Whole tokens that are left alone."""
        return min(math.floor(self.rate * RESERVE_SECONDS), LARGEST_RESERVE, math.floor(self.limit / 2))

    def refill(self, now: float) -> None:
        self.tokens = min(self.limit, self.tokens + max(0.0, now - self.filled_at) * self.rate)
        self.filled_at = now

    def wait(self, now: float) -> float:
        """Seconds until a token is there."""
        self.refill(now)
        missing = max(0.0, min(1.0 + self.reserve, self.limit) - self.tokens) / (self.rate * self.share)
        return max(missing, self.blocked_until - now)


class Pace:
    """Lets requests through as fast as the answers so far say that the API takes them. Safe for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._key: Bucket | None = None
        self._endpoints: dict[str, Bucket] = {}
        self._blocked_until: dict[str, float] = {}

    def reserve(self, endpoint: str) -> float:
        """Takes a token for `endpoint` if one is there.

        Returns:
            0.0: go on. Anything else: wait so many seconds, then ask again.
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
        """Takes in what an answer's headers say of the limits."""
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
                    # What is under way may not be counted in `remaining` yet. Others may use the key as well.
                    bucket.tokens = remaining - bucket.in_flight
                    if bucket.tokens > bucket.reserve + 1.0:
                        bucket.share = min(1.0, bucket.share + SHARE_REGAINED)

    def abandoned(self, endpoint: str) -> None:
        """A request ended without an answer."""
        with self._lock:
            for bucket in self._buckets(endpoint):
                bucket.in_flight = max(0, bucket.in_flight - 1)

    def block(self, endpoint: str, seconds: float) -> None:
        """Nothing goes to `endpoint` for so long: it answered 429."""
        with self._lock:
            now = self._clock()
            before = self._blocked_until.get(endpoint, 0.0)
            self._blocked_until[endpoint] = max(now + min(seconds, LONGEST_WAIT), before)
            for bucket in self._buckets(endpoint):
                # Those that were under way together count once.
                if bucket.tokens < 1.0 and before <= now:
                    bucket.share = max(SMALLEST_SHARE, bucket.share * SHARE_AFTER_REFUSAL)

    @property
    def remaining(self) -> int | None:
        """What is left of the key's limit, as far as it is known."""
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
    """Reads an X-RateLimit-Limit header.

    Returns:
        The binding limit, and every limit as (requests, seconds); None where the header says nothing usable.
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
