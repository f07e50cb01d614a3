"""The wall time of a first sync where every answer takes 150 ms and nothing limits it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.common import ACCOUNT, Result, main, median, read
from integration_tests.sandbox import Sandbox
from source_incident.streams.alerts import Alerts

LATENCY = 0.150
WORKERS = 10


def measure() -> Iterator[Result]:
    with Sandbox(process=True, preload=True, **ACCOUNT) as sandbox:
        read(sandbox, workers=WORKERS)
        requests = sandbox.requests(log=False)["total"]
        sandbox.config(latency=LATENCY * 1000)
        seconds = median(lambda: read(sandbox, workers=WORKERS).seconds)
    assert Alerts.page_size
    chain = math.ceil(ACCOUNT["alerts"] / Alerts.page_size)
    floor = requests * LATENCY / WORKERS + chain * LATENCY
    yield Result(f"latency, {requests} requests of 150 ms, 10 workers", seconds, floor, 1.3, "s")


if __name__ == "__main__":
    main(measure)
