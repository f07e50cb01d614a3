"""Run all benchmarks and print one table. A missed bound is marked in the table; it does not change the exit code."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from benchmarks.common import Result, main

NAMES = ("requests", "pace", "latency", "processor", "memory", "start", "peer")


def measure() -> Iterator[Result]:
    for name in NAMES:
        yield from importlib.import_module(f"benchmarks.{name}").measure()


if __name__ == "__main__":
    main(measure)
