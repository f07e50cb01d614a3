"""Token buckets, and the X-RateLimit headers that describe them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from sandbox.asgi import Headers


@dataclass
class Bucket:
    """A token bucket: `size` requests, refilled at `rate` requests per second.

    A simulated second client takes `others` requests per second from it.
    """

    size: float
    rate: float
    others: float = 0.0
    tokens: float = -1.0
    refilled_at: float = -1.0

    def refill(self, now: float) -> None:
        if self.refilled_at < 0:
            self.tokens = self.size
        else:
            elapsed = now - self.refilled_at
            # The second client's rejected requests are not carried over: tokens never go below 0.
            self.tokens = min(self.size, max(0.0, self.tokens + (self.rate - self.others) * elapsed))
        self.refilled_at = now

    @property
    def window(self) -> int:
        """Seconds in which an empty bucket fills."""
        return max(1, round(self.size / self.rate)) if self.rate else 60

    @property
    def wait(self) -> float:
        """Seconds until there is a token."""
        gain = self.rate - self.others
        if self.tokens >= 1:
            return 0.0
        return (1 - self.tokens) / gain if gain > 0 else 60.0


class RateLimits:
    """The buckets of one key: one for all requests, and one more for each path with a limit of its own."""

    def __init__(self, *, enforced: bool, send_headers: bool, key: Bucket, paths: dict[str, Bucket]) -> None:
        self._enforced = enforced
        self._send_headers = send_headers
        self._key = key
        self._paths = paths
        self._full_headers: dict[str, Headers] = {}

    def take(self, path: str) -> tuple[float, Headers]:
        """Take one token from each bucket of a path.

        Returns:
            Seconds to wait if a bucket is empty, else 0; and the headers.
        """
        if not self._enforced:
            return 0.0, self._headers_of_full_buckets(path) if self._send_headers else []
        buckets = self._buckets(path)
        now = time.monotonic()
        for bucket in buckets:
            bucket.refill(now)
        wait = max(bucket.wait for bucket in buckets)
        if wait == 0.0:
            for bucket in buckets:
                bucket.tokens -= 1
        return wait, self._headers(buckets) if self._send_headers else []

    def _buckets(self, path: str) -> list[Bucket]:
        own = self._paths.get(path)
        return [self._key] if own is None else [self._key, own]

    def _headers_of_full_buckets(self, path: str) -> Headers:
        """Headers of full buckets, cached: without enforcement nothing is taken."""
        path = path if path in self._paths else ""
        headers = self._full_headers.get(path)
        if headers is None:
            buckets = self._buckets(path)
            for bucket in buckets:
                bucket.tokens = bucket.size
            headers = self._full_headers[path] = self._headers(buckets)
            headers.pop()
        return [*headers, (b"x-ratelimit-reset", str(int(time.time())).encode())]

    @staticmethod
    def _headers(buckets: list[Bucket]) -> Headers:
        binding = min(buckets, key=lambda bucket: bucket.tokens)
        limits = ", ".join(f"{bucket.size:g};window={bucket.window}" for bucket in buckets)
        remaining = max(0, math.floor(binding.tokens))
        until_full = (binding.size - binding.tokens) / binding.rate if binding.rate else 0.0
        return [
            (b"x-ratelimit-limit", f"{binding.size:g}, {limits}".encode()),
            (b"x-ratelimit-remaining", str(remaining).encode()),
            (b"x-ratelimit-used", str(max(0, math.floor(binding.size) - remaining)).encode()),
            (b"x-ratelimit-reset", str(math.ceil(time.time() + until_full)).encode()),
        ]
