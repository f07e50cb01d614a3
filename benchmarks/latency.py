"""The wall time of a first sync with 150 ms per response and no rate limit."""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.common import ACCOUNT, Result, main, median, read
from sandbox import Sandbox
from source_incident.streams.alerts import Alerts

LATENCY = 0.150
WORKERS = 10
# Alerts in a list that is long enough to be divided into partitions.
LONG = 20_000


def measure() -> Iterator[Result]:
    with Sandbox(process=True, preload=True, **ACCOUNT) as sandbox:
        read(sandbox, workers=WORKERS)
        requests = sandbox.requests(log=False)["total"]
        sandbox.config(latency=LATENCY * 1000)
        seconds = median(lambda: read(sandbox, workers=WORKERS).seconds)
    assert Alerts.page_size
    sequential_pages = math.ceil(ACCOUNT["alerts"] / Alerts.page_size)
    floor = requests * LATENCY / WORKERS + sequential_pages * LATENCY
    yield Result(f"latency, {requests} requests of 150 ms, 10 workers", seconds, floor, 1.3, "s")
    yield from _long()


def _long() -> Iterator[Result]:
    """A long list: time compared with reading page by page, requests compared with the number of pages."""
    assert Alerts.page_size
    pages = math.ceil(LONG / Alerts.page_size)
    with Sandbox(process=True, preload=True, alerts=LONG, plain=True, latency=LATENCY * 1000) as sandbox:
        seconds = read(sandbox, streams={"alerts": []}, workers=WORKERS).seconds
        requests = sandbox.requests(log=False)["total"]
    yield Result(f"latency, {LONG:,} alerts against page by page", seconds, pages * LATENCY, 0.5, "s")
    yield Result(f"requests, {LONG:,} alerts in partitions", requests, pages, 1.05, "requests")


if __name__ == "__main__":
    main(measure)
