"""The peak resident memory of a read: of a short and a very long list, and of the join of the nested columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.common import Result, main, median, read
from sandbox import Sandbox

MOST = 150.0
SHORT, LONG = 10_000, 1_000_000
FEW_INCIDENTS, INCIDENTS = 10_000, 100_000


def measure() -> Iterator[Result]:
    with Sandbox(process=True, alerts=SHORT, plain=True) as sandbox:
        short = median(lambda: read(sandbox, streams={"alerts": []}).memory)
    with Sandbox(process=True, alerts=LONG, plain=True) as sandbox:
        long = read(sandbox, streams={"alerts": []}).memory
    yield Result(f"memory, {LONG:,} alerts against {SHORT:,}", long, short, 1.10, "MB")
    yield Result(f"memory, {LONG:,} alerts", long, 0, MOST, "MB", absolute=True)
    join = {incidents: _join(incidents) for incidents in (FEW_INCIDENTS, INCIDENTS)}
    what = f"memory, {INCIDENTS:,} nested incidents against {FEW_INCIDENTS:,}"
    yield Result(what, join[INCIDENTS], join[FEW_INCIDENTS], 1.10, "MB")


def _join(incidents: int) -> float:
    """Attachments come incident by incident: the two other columns are what has to be joined."""
    options: dict[str, Any] = {"incidents": incidents, "updates": 2 * incidents, "actions": incidents}
    with Sandbox(process=True, **options) as sandbox:
        return read(sandbox, streams={"incidents": ["attachments"]}).memory


if __name__ == "__main__":
    main(measure)
