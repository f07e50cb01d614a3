"""The processor time that a read takes, less that of importing, against reading the same pages with bare libraries.

The floor is `benchmarks/floor.py`: requests reads the pages, orjson parses them and writes the lines.
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
    what: str, sandbox: Sandbox, streams: Mapping[str, Sequence[str]], stream: str, rounds: int
) -> Iterator[Result]:
    """Floor and connector are measured in turns, so that the machine's other work hits all alike."""
    floor = [sys.executable, "-m", "benchmarks.floor", stream, sandbox.url, sandbox.key]
    # A first reading fills the sandbox's caches, so that it takes the same part in every run.
    run(floor)
    turns: dict[str, Callable[[], float]] = {
        "floor": lambda: _seconds(floor),
        "Airbyte": lambda: _reading(sandbox, streams, singer=False),
        "Singer": lambda: _reading(sandbox, streams, singer=True),
    }
    measured = [{name: turn() for name, turn in turns.items()} for _ in range(rounds)]
    medians = {name: statistics.median(one[name] for one in measured) for name in turns}
    for name in ("Airbyte", "Singer"):
        yield Result(f"processor, {what}, {name}", medians[name], medians["floor"], 2.0, "s")


def _reading(sandbox: Sandbox, streams: Mapping[str, Sequence[str]], *, singer: bool) -> float:
    with command_to_read(sandbox, streams=streams, singer=singer, module="benchmarks.measured") as (
        command,
        environment,
    ):
        return _seconds(command, environment)


def _seconds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    return float(run(command, environment).said.splitlines()[-1])


if __name__ == "__main__":
    main(measure)
