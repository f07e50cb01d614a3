"""SyncStats: counts of records, outcomes and requests, and their texts."""

from collections.abc import Iterator

import pytest

from source_incident.api import Client
from source_incident.sync import Checkpoint, Expected, Failed, Finished, LeftOut, Records, Started
from source_incident.sync.stats import SyncStats


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(endpoint="http://127.0.0.1:1", api_key="inc_1234567890", user_agent="tap/1")
    yield client
    client.close()


@pytest.fixture
def stats(client: Client) -> SyncStats:
    """Two active streams, one of them with a total, and one stream of each outcome."""
    stats = SyncStats(client, 6)
    for name in ("incidents", "alerts", "users", "teams", "workflows"):
        stats.add(Started(name))
    stats.add(Expected("incidents", 4000))
    stats.add(Expected("incidents", 1000))
    stats.add(Records("incidents", [{}] * 1250))
    stats.add(Records("alerts", [{}] * 50))
    stats.add(Checkpoint("alerts", {}))
    stats.add(Records("users", [{}]))
    stats.add(Finished("users"))
    stats.add(Failed("teams", ValueError()))
    stats.add(LeftOut("workflows", "no scope"))
    return stats


def test_the_summary_has_streams_records_requests_retries_waits_and_duration(client: Client, stats: SyncStats) -> None:
    client.requests, client.retries = 1234, 1
    assert stats.summary() == (
        "1 of 6 streams finished, 1 failed, 1 left out; 1,301 records; 1,234 requests, 1 retry, 0.0 s waited; "
        "0.0 s in all"
    )


def test_the_summary_uses_singular_and_plural(client: Client) -> None:
    stats = SyncStats(client, 1)
    stats.add(Records("users", [{}]))
    assert stats.records_summary() == "0 of 1 stream finished; 1 record"
    assert stats.requests_summary().startswith("0 requests, 0 retries, ")


def test_a_stream_is_active_until_it_has_an_outcome(stats: SyncStats) -> None:
    assert [name for name, _ in stats.active_streams()] == ["incidents", "alerts"]


def test_adds_up_the_totals_of_a_stream(stats: SyncStats) -> None:
    progress = {name: stream.progress for name, stream in stats.active_streams()}
    assert progress == {"incidents": "1,250 of 5,000", "alerts": "50"}


def test_add_returns_the_counts_of_the_stream(client: Client) -> None:
    stats = SyncStats(client, 1)
    assert stats.add(Records("users", [{}, {}])).records == 2
    assert stats.add(Records("users", [{}])).records == 3
    assert stats.add(Expected("users", 7)).total == 7


def test_has_the_remaining_rate_limit_after_the_api_reported_it(client: Client) -> None:
    stats = SyncStats(client, 1)
    assert stats.rate_limit_remaining() is None
    headers = {"X-RateLimit-Limit": "1200, 1200;window=1e9", "X-RateLimit-Remaining": "1100"}
    client.rate_limiter.answered("/v2/users", headers)
    assert stats.rate_limit_remaining() == 1100
