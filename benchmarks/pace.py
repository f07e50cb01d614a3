"""How close a first sync runs to the API's rate limits, with 80 ms latency, and how many 429 responses it gets.

The burst capacity of the token buckets is scaled down, so that the refill rate decides. The time of a run is from its
first request to its last response.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.common import ACCOUNT, RUNS, Result, main, read
from sandbox import Sandbox

LATENCY = 80
INCIDENTS = "/v2/incidents"
# Requests per second of another client: half of the rate.
OTHER_CLIENT = 10.0


def minimum_seconds(counts: Mapping[str, int], options: Mapping[str, float], share: float = 1.0) -> float:
    """The time in which the token buckets allow these requests.

    Args:
        counts: requests by path.
        options: the capacities and refill rates of the buckets.
        share: the share of the rate that other clients leave.
    """
    key_seconds = (sum(counts.values()) - options["limit"]) / (options["rate"] * share)
    incidents_seconds = (counts[INCIDENTS] - options["incidents_limit"]) / options["incidents_rate"]
    return max(key_seconds, incidents_seconds)


def measure() -> Iterator[Result]:
    usual = {"limit": 60.0, "rate": 20.0, "incidents_limit": 5.0, "incidents_rate": 1.0}
    with Sandbox(process=True, preload=True, **ACCOUNT) as sandbox:
        yield from _alone("20 a second", sandbox, usual)
        yield from _alone("40 a second, known from the headers only", sandbox, {**usual, "rate": 40.0}, runs=1)
    # Twice the records for a run of two minutes: in a run under one minute a single 429 would miss the bound.
    twice = {name: 2 * count for name, count in ACCOUNT.items()}
    with Sandbox(process=True, preload=True, **twice) as sandbox:
        run = _Run(sandbox, {**usual, "other_client": OTHER_CLIENT})
        floor = minimum_seconds(run.counts, usual, 1 - OTHER_CLIENT / usual["rate"])
        yield Result("pace, another client takes half", run.seconds, floor, 1.05, "s")
        yield Result(
            "pace, another client takes half: 429 a minute",
            run.rejections / (run.seconds / 60),
            0,
            1,
            "",
            absolute=True,
        )
    with Sandbox(process=True, preload=True, **{**ACCOUNT, "incidents": 16_000}) as sandbox:
        columns = {"incidents": ["attachments", "updates", "actions"]}
        yield from _alone("1 a second on incidents", sandbox, usual, columns, runs=1)


def _alone(
    name: str, sandbox: Sandbox, options: Mapping[str, float], streams: Any = None, runs: int = RUNS
) -> Iterator[Result]:
    measured = [_Run(sandbox, options, streams) for _ in range(runs)]
    floor = statistics.median(minimum_seconds(run.counts, options) for run in measured)
    yield Result(f"pace, {name}", statistics.median(run.seconds for run in measured), floor, 1.05, "s")
    yield Result(f"pace, {name}: 429", max(run.rejections for run in measured), 0, 0, "", absolute=True)


class _Run:
    """One run: its seconds, its successful requests by path, and the number of 429 responses."""

    def __init__(self, sandbox: Sandbox, options: Mapping[str, float], streams: Any = None) -> None:
        sandbox.config(buckets=True, latency=LATENCY, **{"other_client": 0.0, **options})
        sandbox.reset()
        read(sandbox, streams=streams)
        log = sandbox.requests()["log"]
        self.counts = Counter(entry["path"] for entry in log if entry["status"] != 429)
        self.rejections = sum(entry["status"] == 429 for entry in log)
        self.seconds = log[-1]["t"] - log[0]["t"] + LATENCY / 1000


if __name__ == "__main__":
    main(measure)
