"""The peak resident memory of a read: a short list, a very long list, and incidents with nested columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.common import Result, main, median, read
from sandbox import Sandbox

MAX_MB = 150.0
SHORT, LONG = 10_000, 1_000_000
FEW_INCIDENTS, INCIDENTS = 10_000, 100_000


def measure() -> Iterator[Result]:
    with Sandbox(process=True, alerts=SHORT, plain=True) as sandbox:
        short = median(lambda: read(sandbox, streams={"alerts": []}).memory)
    with Sandbox(process=True, alerts=LONG, plain=True) as sandbox:
        long = read(sandbox, streams={"alerts": []}).memory
    yield Result(f"memory, {LONG:,} alerts against {SHORT:,}", long, short, 1.10, "MB")
    yield Result(f"memory, {LONG:,} alerts", long, 0, MAX_MB, "MB", absolute=True)
    few, many = (_read_nested(incidents) for incidents in (FEW_INCIDENTS, INCIDENTS))
    yield Result(f"memory, {INCIDENTS:,} nested incidents against {FEW_INCIDENTS:,}", many, few, 1.10, "MB")


def _read_nested(incidents: int) -> float:
    """The peak memory of a read without attachments, which need one request per incident."""
    options: dict[str, Any] = {"incidents": incidents, "updates": 2 * incidents, "actions": incidents}
    with Sandbox(process=True, **options) as sandbox:
        return read(sandbox, streams={"incidents": ["attachments"]}).memory


if __name__ == "__main__":
    main(measure)
