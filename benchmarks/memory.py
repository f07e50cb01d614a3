"""The peak resident memory of a read: of a short and a very long list, and of the join of the nested columns."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common import Result, main, median, read
from integration_tests.sandbox import Sandbox

MOST = 150.0
SHORT, LONG = 10_000, 1_000_000
INCIDENTS = 100_000


def measure() -> Iterator[Result]:
    with Sandbox(process=True, alerts=SHORT, plain=True) as sandbox:
        short = median(lambda: read(sandbox, streams={"alerts": []}).memory)
    with Sandbox(process=True, alerts=LONG, plain=True) as sandbox:
        long = read(sandbox, streams={"alerts": []}).memory
    yield Result(f"memory, {LONG:,} alerts against {SHORT:,}", long, short, 1.10, "MB")
    yield Result(f"memory, {LONG:,} alerts", long, 0, MOST, "MB", absolute=True)
    options = {"incidents": INCIDENTS, "updates": 2 * INCIDENTS, "actions": INCIDENTS}
    with Sandbox(process=True, **options) as sandbox:
        # Attachments come incident by incident: the two other columns are what has to be joined.
        nested = read(sandbox, streams={"incidents": ["attachments"]}).memory
    yield Result(f"memory, {INCIDENTS:,} incidents joined with their columns", nested, 0, MOST, "MB", absolute=True)


if __name__ == "__main__":
    main(measure)
