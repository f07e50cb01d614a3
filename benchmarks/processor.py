"""The processor time of a read, without imports, compared with reading the same pages with requests and orjson only.

The lower bound is `benchmarks/floor.py`.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.common import RUNS, Result, command_to_read, main, run
from sandbox import Sandbox

SMALL = 100_000
NESTED = 20_000


def measure() -> Iterator[Result]:
    small: dict[str, Any] = {"incidents": 1000, "updates": SMALL, "plain": True, "preload": True}
    with Sandbox(process=True, **small) as sandbox:
        yield from _modes(
            f"{SMALL:,} incident_updates", sandbox, {"incident_updates": []}, "incident_updates", 2 * RUNS
        )
    nested: dict[str, Any] = {"incidents": NESTED, "updates": 2 * NESTED, "actions": NESTED, "preload": True}
    with Sandbox(process=True, **nested) as sandbox:
        yield from _modes(f"{NESTED:,} nested incidents", sandbox, {"incidents": []}, "incidents", 1)


def _modes(
    name: str, sandbox: Sandbox, streams: Mapping[str, Sequence[str]], stream: str, rounds: int
) -> Iterator[Result]:
    """Measure the lower bound and the connector alternately, so that other load on the machine affects both."""
    floor = [sys.executable, "-m", "benchmarks.floor", stream, sandbox.url, sandbox.key]
    # The first read fills the sandbox's caches, so that later reads take the same time.
    run(floor)
    measurements: dict[str, Callable[[], float]] = {
        "floor": lambda: _seconds(floor),
        "Airbyte": lambda: _read_seconds(sandbox, streams, singer=False),
        "Singer": lambda: _read_seconds(sandbox, streams, singer=True),
    }
    measured = [{key: measure_one() for key, measure_one in measurements.items()} for _ in range(rounds)]
    medians = {key: statistics.median(seconds[key] for seconds in measured) for key in measurements}
    for protocol in ("Airbyte", "Singer"):
        yield Result(f"processor, {name}, {protocol}", medians[protocol], medians["floor"], 2.0, "s")


def _read_seconds(sandbox: Sandbox, streams: Mapping[str, Sequence[str]], *, singer: bool) -> float:
    with command_to_read(sandbox, streams=streams, singer=singer, module="benchmarks.measured") as (
        command,
        environment,
    ):
        return _seconds(command, environment)


def _seconds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    return float(run(command, environment).stderr.splitlines()[-1])


if __name__ == "__main__":
    main(measure)
