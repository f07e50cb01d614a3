"""Run all benchmarks and print one table. A missed bound is marked in the table; it does not change the exit code."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.common import Result, main

NAMES = ("requests", "pace", "latency", "processor", "memory", "start", "peer")


def measure() -> Iterator[Result]:
    """Run each benchmark in a process of its own: Linux counts the memory of a parent as that of its children."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in NAMES:
            yield from pool.submit(_measure, name).result()


def _measure(name: str) -> list[Result]:
    return list(importlib.import_module(f"benchmarks.{name}").measure())


if __name__ == "__main__":
    main(measure)
