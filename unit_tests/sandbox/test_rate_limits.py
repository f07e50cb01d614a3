"""Token buckets: how many requests they allow, and their headers."""

from __future__ import annotations

import time

import pytest

from sandbox.rate_limits import Bucket, RateLimits

from .conftest import Start


def test_a_bucket_allows_its_size_and_then_its_rate(start: Start) -> None:
    _, client = start(incidents=3, buckets=True, limit=10, rate=20)
    started = time.monotonic()
    statuses = []
    while time.monotonic() - started < 1.0:
        statuses.append(client.get("/v1/severities").status_code)
        time.sleep(0.01)
    elapsed = time.monotonic() - started
    allowed = statuses.count(200)
    assert set(statuses) == {200, 429}
    assert abs(allowed - (10 + 20 * elapsed)) <= 3


def test_a_429_has_retry_after_and_rate_limit_headers(start: Start) -> None:
    _, client = start(incidents=3, buckets=True, incidents_limit=2, incidents_rate=0.5)
    answers = [client.get("/v2/incidents") for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    last = answers[-1]
    assert last.headers["Retry-After"] == "2"
    assert last.json()["type"] == "too_many_requests"
    assert last.json()["errors"][0]["code"] == "rate_limit_reached"
    assert [a.headers["X-RateLimit-Remaining"] for a in answers] == ["1", "0", "0"]
    assert [a.headers["X-RateLimit-Used"] for a in answers] == ["1", "2", "2"]
    assert last.headers["X-RateLimit-Limit"] == "2, 1200;window=60, 2;window=4"
    assert 0 <= int(last.headers["X-RateLimit-Reset"]) - time.time() <= 5
    # Another path uses only the key's bucket. The rejected request took nothing from it.
    assert client.get("/v1/severities").headers["X-RateLimit-Remaining"] == "1197"


def test_reset_refills_the_buckets(start: Start) -> None:
    sandbox, client = start(incidents=3, buckets=True, limit=1, rate=0.01)
    assert [client.get("/v1/severities").status_code for _ in range(2)] == [200, 429]
    sandbox.reset()
    assert client.get("/v1/severities").status_code == 200


def test_limits_can_change_while_serving(start: Start) -> None:
    sandbox, client = start(incidents=3)
    sandbox.config(buckets=True, limit=5, rate=1)
    headers = client.get("/v1/severities").headers
    assert headers["X-RateLimit-Limit"] == "5, 5;window=5"


def test_a_second_client_takes_tokens() -> None:
    bucket = Bucket(size=10, rate=4, others=3, tokens=0, refilled_at=100.0)
    bucket.refill(102.0)
    assert bucket.tokens == pytest.approx(2.0)
    bucket.others = 8
    bucket.refill(110.0)
    assert bucket.tokens == 0.0


def test_rate_headers_can_be_disabled() -> None:
    limits = RateLimits(enforced=False, send_headers=False, key=Bucket(1, 1), paths={})
    assert limits.take("/v2/incidents") == (0.0, [])
