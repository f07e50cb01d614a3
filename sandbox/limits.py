"""Token buckets, and the headers that tell of them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass
class Bucket:
    """A bucket that holds `size` requests and gains `rate` a second; others may take from it."""

    size: float
    rate: float
    others: float = 0.0
    tokens: float = -1.0
    at: float = -1.0

    def refill(self, now: float) -> None:
        if self.at < 0:
            self.tokens = self.size
        else:
            passed = now - self.at
            # The others ask all the time: what they do not get is refused to them, not owed.
            self.tokens = min(self.size, max(0.0, self.tokens + (self.rate - self.others) * passed))
        self.at = now

    @property
    def window(self) -> int:
        return max(1, round(self.size / self.rate)) if self.rate else 60

    @property
    def wait(self) -> float:
        """Seconds until there is a token."""
        gain = self.rate - self.others
        if self.tokens >= 1:
            return 0.0
        return (1 - self.tokens) / gain if gain > 0 else 60.0


class Limits:
    """The buckets of one key: one of its own, and one of each path that has a limit."""

    def __init__(self, *, enforced: bool, key: Bucket, paths: dict[str, Bucket]) -> None:
        self.enforced = enforced
        self.headers_sent = True
        self._key = key
        self._paths = paths
        self._headers: dict[str, list[tuple[bytes, bytes]]] = {}

    def take(self, path: str) -> tuple[float, list[tuple[bytes, bytes]]]:
        """Take a request's tokens: (seconds to wait when there is none, else 0; the headers)."""
        if not self.enforced:
            return 0.0, self._unlimited(path) if self.headers_sent else []
        buckets = self._of(path)
        now = time.monotonic()
        for bucket in buckets:
            bucket.refill(now)
        wait = max(bucket.wait for bucket in buckets)
        if wait == 0.0:
            for bucket in buckets:
                bucket.tokens -= 1
        return wait, self._told(buckets) if self.headers_sent else []

    def _of(self, path: str) -> list[Bucket]:
        own = self._paths.get(path)
        return [self._key] if own is None else [self._key, own]

    def _unlimited(self, path: str) -> list[tuple[bytes, bytes]]:
        """Headers of a full bucket; made once, for nothing is ever taken."""
        path = path if path in self._paths else ""
        found = self._headers.get(path)
        if found is None:
            buckets = self._of(path)
            for bucket in buckets:
                bucket.tokens = bucket.size
            found = self._headers[path] = self._told(buckets)
            found.pop()
        return [*found, (b"x-ratelimit-reset", str(int(time.time())).encode())]

    @staticmethod
    def _told(buckets: list[Bucket]) -> list[tuple[bytes, bytes]]:
        binding = min(buckets, key=lambda bucket: bucket.tokens)
        limits = ", ".join(f"{bucket.size:g};window={bucket.window}" for bucket in buckets)
        remaining = max(0, math.floor(binding.tokens))
        full = (binding.size - binding.tokens) / binding.rate if binding.rate else 0.0
        return [
            (b"x-ratelimit-limit", f"{binding.size:g}, {limits}".encode()),
            (b"x-ratelimit-remaining", str(remaining).encode()),
            (b"x-ratelimit-used", str(max(0, math.floor(binding.size) - remaining)).encode()),
            (b"x-ratelimit-reset", str(math.ceil(time.time() + full)).encode()),
        ]
