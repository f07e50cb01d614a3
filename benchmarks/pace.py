"""How close a first sync runs to the API's token buckets, with 80 ms latency, and how seldom it is refused.

The bursts are scaled down, so that the pace and not the burst decides. A run's time is from its first request to the
end of its process.
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
# Where another client takes half of the rate: that much is left.
HALF = 10.0


def least(counts: Mapping[str, int], options: Mapping[str, float], left: float = 1.0) -> float:
    """The seconds in which the buckets let so many requests through, `left` being the share that others leave."""
    key = (sum(counts.values()) - options["limit"]) / (options["rate"] * left)
    incidents = (counts[INCIDENTS] - options["incidents_limit"]) / options["incidents_rate"]
    return max(key, incidents)


def measure() -> Iterator[Result]:
    usual = {"limit": 60.0, "rate": 20.0, "incidents_limit": 5.0, "incidents_rate": 1.0}
    with Sandbox(process=True, preload=True, **ACCOUNT) as sandbox:
        yield from _alone("20 a second", sandbox, usual)
        yield from _alone("40 a second, by the headers alone", sandbox, {**usual, "rate": 40.0}, runs=1)
    # Twice as much, for two minutes: one refusal in less than one would be more than one a minute.
    twice = {name: 2 * count for name, count in ACCOUNT.items()}
    with Sandbox(process=True, preload=True, **twice) as sandbox:
        run = _run(sandbox, {**usual, "other_client": HALF})
        floor = least(run.counts, usual, 1 - HALF / usual["rate"])
        yield Result("pace, another client takes half", run.seconds, floor, 1.05, "s")
        yield Result("pace, 429 a minute beside it", run.refused / (run.seconds / 60), 0, 1, "", absolute=True)
    with Sandbox(process=True, preload=True, **{**ACCOUNT, "incidents": 16_000}) as sandbox:
        columns = {"incidents": ["attachments", "updates", "actions"]}
        yield from _alone("1 a second on incidents", sandbox, usual, columns, runs=1)


def _alone(
    what: str, sandbox: Sandbox, options: Mapping[str, float], streams: Any = None, runs: int = RUNS
) -> Iterator[Result]:
    done = [_run(sandbox, options, streams) for _ in range(runs)]
    floor = statistics.median(least(run.counts, options) for run in done)
    yield Result(f"pace, {what}", statistics.median(run.seconds for run in done), floor, 1.05, "s")
    yield Result(f"pace, {what}: 429", max(run.refused for run in done), 0, 0, "", absolute=True)


class _run:  # noqa: N801
    """One run: its seconds, the requests that were answered by path, and how many were refused."""

    def __init__(self, sandbox: Sandbox, options: Mapping[str, float], streams: Any = None) -> None:
        sandbox.config(buckets=True, latency=LATENCY, **{"other_client": 0.0, **options})
        sandbox.reset()
        read(sandbox, streams=streams)
        log = sandbox.requests()["log"]
        self.counts = Counter(entry["path"] for entry in log if entry["status"] != 429)
        self.refused = sum(entry["status"] == 429 for entry in log)
        self.seconds = log[-1]["t"] - log[0]["t"] + LATENCY / 1000


if __name__ == "__main__":
    main(measure)
